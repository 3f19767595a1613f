//! The deadlines of the process: its one engine, and the hooks by which that learns of a `fork`.

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
    use crate::sync::around_forks;
    use crate::timer::Still;
    use std::cell::Cell;
    use std::ptr;

    // A bare pointer: it is there whatever becomes of the thread's other things.
    std::thread_local! {
        /// What this thread holds as it forks.
        static STILL: Cell<*mut Still> = const { Cell::new(ptr::null_mut()) };
    }

    pub(super) fn watch() {
        around_forks(before, in_parent, in_child);
    }

    fn held() -> Option<Still> {
        let still = STILL.replace(ptr::null_mut());
        // SAFETY: put there by `before`, as a box.
        (!still.is_null()).then(|| *unsafe { Box::from_raw(still) })
    }

    extern "C" fn before() {
        STILL.set(Box::into_raw(Box::new(timers().hold())));
    }

    extern "C" fn in_parent() {
        drop(held());
    }

    extern "C" fn in_child() {
        timers().forked(held());
    }
}
