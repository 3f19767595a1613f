//! Deadlines that fire tell when: none may be early.

use ripcord::Context;
use std::fmt::Display;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

/// Told by each deadline when it was due, and when it fired.
#[derive(Debug)]
pub(crate) struct Fired(Sender<(Instant, Instant)>);

impl Fired {
    /// `ctx` is to end at `due`.
    pub(crate) fn expect(&self, ctx: &Context, due: Instant) {
        let tell = self.0.clone();
        ctx.after_func(move || tell.send((due, Instant::now())).unwrap());
    }
}

/// All that `arm` expects fire, so many, and none before it is due. Their handles may be gone: what is registered keeps a
/// context and its deadline.
#[track_caller]
pub(crate) fn none_is_early(many: usize, how: impl Display, arm: impl FnOnce(&Fired)) {
    let (tell, told) = channel();
    let fired = Fired(tell);
    arm(&fired);
    drop(fired);
    let mut count = 0;
    while let Ok((due, seen)) = told.recv_timeout(Duration::from_secs(60)) {
        assert!(seen >= due, "{:?} early {how}", due - seen);
        count += 1;
    }
    assert_eq!(count, many);
}
