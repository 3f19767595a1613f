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

/// Somebody begins to wait for an end, or leaves a function for it. In a forked child nobody may drive the deadlines yet.
#[inline(always)]
pub(crate) fn are_awaited() {
    #[cfg(not(feature = "loom"))]
    forks::are_awaited();
}

/// Models do not fork.
#[cfg(not(feature = "loom"))]
mod forks {
    use super::timers;
    use crate::sync::{AtomicBool, Held, Ordering, Turn, hold_at_forks};
    use crate::timer::Still;

    /// This is a forked child, and nobody has begun to wait.
    static FORKED: AtomicBool = AtomicBool::new(false);

    struct Engine(Still);

    #[inline(always)]
    pub(super) fn are_awaited() {
        // ORDERING: none. The child's only thread writes it, and makes those to come.
        if FORKED.load(Ordering::Relaxed) {
            drive();
        }
    }

    #[cold]
    #[inline(never)]
    fn drive() {
        // ORDERING: none, as above. Of several threads one does it.
        if FORKED.swap(false, Ordering::Relaxed) {
            timers().after_fork_child();
        }
    }

    pub(super) fn watch() {
        hold_at_forks(Turn::Timer, |until| Box::new(Engine(timers().hold(until))));
    }

    impl Held for Engine {
        fn in_child(self: Box<Self>) {
            timers().forked(Some(self.0));
            // ORDERING: none, as above.
            FORKED.store(true, Ordering::Relaxed);
        }
    }
}
