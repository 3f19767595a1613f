//! The deadlines of the process: its one engine, which is held still while somebody forks.

use super::Node;
use crate::timer::Timers;

#[cfg(not(feature = "loom"))]
static TIMERS: std::sync::LazyLock<Timers<Node>> = std::sync::LazyLock::new(|| {
    // First: from here on a fork waits until the engine is made.
    forks::watch();
    Timers::new()
});
#[cfg(feature = "loom")]
crate::sync::lazy_static! {
    static ref TIMERS: crate::sync::Lasting<Timers<Node>> = crate::sync::Lasting::new(Timers::new);
}

/// The deadlines of the process.
#[inline]
pub(crate) fn timers() -> &'static Timers<Node> {
    #[cfg(not(feature = "loom"))]
    return &TIMERS;
    #[cfg(feature = "loom")]
    &TIMERS
}

/// Models do not fork.
#[cfg(not(feature = "loom"))]
mod forks {
    use super::timers;
    use crate::sync::{Held, Turn, hold_at_forks};
    use crate::timer::Still;

    struct Engine(Still);

    pub(super) fn watch() {
        hold_at_forks(Turn::Timer, |until| Box::new(Engine(timers().hold(until))));
    }

    impl Held for Engine {
        fn in_child(self: Box<Self>) {
            timers().forked(Some(self.0));
        }
    }
}
