//! crossbeam-channel: a receiver that the end closes, for `select!`.

use crate::context::{Attached, Context};
use crossbeam_channel::{Receiver, Sender, bounded, never};
use std::convert::Infallible;
use std::sync::{Arc, LazyLock};
use std::task::{Wake, Waker};

/// Closes its channel when it is woken, or dropped: both take the last share of the sender.
struct Close(#[expect(dead_code, reason = "it is there to be dropped")] Sender<Infallible>);

impl Wake for Close {
    fn wake(self: Arc<Self>) {}
}

fn closed() -> Receiver<Infallible> {
    bounded(1).1
}

impl Context {
    /// A channel that never carries anything and is closed by the end, for crossbeam's `select!`.
    ///
    /// Made on the first use (about 800 bytes) and the same from then on; nothing is allocated
    /// on a context that has ended, or never will. Constant time, lock-free.
    ///
    /// * Whoever sees it closed through a borrow sees [`is_done`](Context::is_done).
    /// * Called after the end, this returns a closed channel. A receiver that was taken *before* the end is closed by the
    ///   thread that ends the context, together with the wakers: for that moment it may still be empty where `is_done` is
    ///   true already.
    /// * A clone may outlive every handle of its context. Then nobody can ask the context any more, and the clone is closed.
    ///
    /// ```
    /// use crossbeam_channel::{select, unbounded};
    /// use ripcord::Context;
    /// use std::thread;
    ///
    /// let (ctx, handle) = Context::background().with_cancel();
    /// let (jobs, inbox) = unbounded::<u32>();
    /// let worker = thread::spawn(move || {
    ///     let mut sum = 0;
    ///     loop {
    ///         select! {
    ///             recv(inbox) -> job => sum += job.expect("the sender outlives us"),
    ///             recv(ctx.done_channel()) -> _ => return sum,
    ///         }
    ///     }
    /// });
    /// jobs.send(7).unwrap();
    /// while !jobs.is_empty() {
    ///     thread::yield_now();
    /// }
    /// handle.cancel();
    /// assert_eq!(worker.join().unwrap(), 7);
    /// ```
    #[must_use]
    pub fn done_channel(&self) -> &Receiver<Infallible> {
        static NEVER: LazyLock<Receiver<Infallible>> = LazyLock::new(never);
        static CLOSED: LazyLock<Receiver<Infallible>> = LazyLock::new(closed);
        let attached = self.attached(|| {
            let (sender, receiver) = bounded(1);
            (Box::new(receiver), Waker::from(Arc::new(Close(sender))))
        });
        match attached {
            Attached::Endless => &NEVER,
            Attached::Ended => &CLOSED,
            Attached::Live(receiver) => receiver.downcast_ref().expect("nothing else is ever attached"),
        }
    }
}
