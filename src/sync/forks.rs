//! What is held still around a `fork`: by the C library's hooks, where it has them.
//!
//! A fork copies the memory, and one thread. A lock that another thread held is held for ever in the child, and what it guards
//! is half done there. So whoever forks takes first what the process has only one of, and many threads lock: all of it, in
//! one order. In the parent it is let go of as if nothing had been; in the child its owner puts it right.
//!
//! # Invariants
//!
//! 1. What is held is held in the order of [`Turn`], whichever of it was made first: the C library would call hooks in the order of
//!    their registration, which is that of chance. Who has the lock of one turn may wait for one of a later turn, never of
//!    an earlier.
//! 2. A fork waits for who is at work, but no longer than [`PATIENCE`] for all together: somebody may fork under one of these locks.
//!
//! # Not here
//!
//! Children that come about by other means than the C library's `fork`: by the bare system call, by `_Fork`, or by
//! `posix_spawn`, whose child becomes another program.

use super::{reclaim, shard_count};
use std::cell::Cell;
use std::ptr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long a fork waits for who is at work. A pass of the timer takes milliseconds, unless a hundred thousand end in it; the others
/// take less.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is held, in this order.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "each feature has its own")]
pub(crate) enum Turn {
    /// The timer: a pass may make and drop contexts, as by a cause that is dropped from the epoch.
    Timer,
    /// The list of contexts, for `inspect`.
    List,
    /// The sets of counters, for `metrics`.
    Counts,
}

const TURNS: usize = Turn::Counts as usize + 1;

/// What a thread that forks holds. In the parent, it is dropped.
pub(crate) trait Held {
    /// Called in the child, by its only thread.
    fn in_child(self: Box<Self>);
}

/// Takes all locks of one turn, and waits for nobody beyond the instant.
type Hold = fn(Instant) -> Box<dyn Held>;

/// What is known to be held, each at its turn.
struct Holds([OnceLock<Hold>; TURNS]);

static HOLDS: Holds = Holds::new();

impl Holds {
    const fn new() -> Holds {
        Holds([const { OnceLock::new() }; TURNS])
    }

    fn add(&self, turn: Turn, hold: Hold) {
        // Called once.
        let _ = self.0[turn as usize].set(hold);
    }

    fn hold(&self, until: Instant) -> Vec<Box<dyn Held>> {
        self.0.iter().filter_map(OnceLock::get).map(|hold| hold(until)).collect()
    }
}

// A bare pointer: it is there whatever becomes of the thread's other things.
std::thread_local! {
    /// What this thread holds as it forks.
    static HELD: Cell<*mut Vec<Box<dyn Held>>> = const { Cell::new(ptr::null_mut()) };
}

/// Has `hold` called by whoever is about to fork, when it is its turn. To be called once for each turn, by whoever makes what is held,
/// before it is there: from here on a fork waits until it is. There is no taking back.
pub(crate) fn hold_at_forks(turn: Turn, hold: Hold) {
    // Before `hold` is known: some C libraries have no hook registered while others run, and those may wait for who is here.
    register();
    HOLDS.add(turn, hold);
}

/// There may be several hooks, one for each turn: the first that is called does it all.
fn register() {
    #[cfg(all(
        any(
            target_os = "linux",
            target_os = "android",
            target_vendor = "apple",
            target_os = "freebsd",
            target_os = "netbsd",
            target_os = "openbsd",
            target_os = "dragonfly",
            target_os = "illumos",
            target_os = "solaris"
        ),
        not(miri)
    ))]
    {
        type Hook = Option<extern "C" fn()>;
        unsafe extern "C" {
            fn pthread_atfork(before: Hook, parent: Hook, child: Hook) -> std::ffi::c_int;
        }
        // It fails for lack of memory only: then all is as where there are no hooks.
        // SAFETY: these may be called on any thread, at any time.
        let _ = unsafe { pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
    }
}

#[allow(dead_code, reason = "where there are no hooks")]
extern "C" fn before() {
    if HELD.get().is_null() {
        // Made by whoever comes first: a child would wait for ever for one that it does not have.
        let _ = shard_count();
        drop(reclaim::pin());
        let held = HOLDS.hold(Instant::now() + PATIENCE);
        HELD.set(Box::into_raw(Box::new(held)));
    }
}

#[allow(dead_code, reason = "where there are no hooks")]
extern "C" fn in_parent() {
    drop(take());
}

#[allow(dead_code, reason = "where there are no hooks")]
extern "C" fn in_child() {
    take().into_iter().for_each(Held::in_child);
}

fn take() -> Vec<Box<dyn Held>> {
    let held = HELD.replace(ptr::null_mut());
    if held.is_null() {
        return Vec::new();
    }
    // SAFETY: put there by `before`, as a box.
    *unsafe { Box::from_raw(held) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The instant that each was called with, and the order.
    static CALLS: std::sync::Mutex<Vec<(&str, Instant)>> = std::sync::Mutex::new(Vec::new());

    struct Nothing;

    impl Held for Nothing {
        fn in_child(self: Box<Self>) {}
    }

    fn call(name: &'static str, until: Instant) -> Box<dyn Held> {
        CALLS.lock().unwrap().push((name, until));
        Box::new(Nothing)
    }

    #[test]
    fn all_are_held_in_their_order_whoever_comes_first() {
        let (holds, until) = (Holds::new(), Instant::now());
        assert_eq!(holds.hold(until).len(), 0);
        holds.add(Turn::Counts, |until| call("counts", until));
        holds.add(Turn::List, |until| call("list", until));
        assert_eq!(holds.hold(until).len(), 2);
        holds.add(Turn::Timer, |until| call("timer", until));
        assert_eq!(holds.hold(until).len(), 3);
        let calls = std::mem::take(&mut *CALLS.lock().unwrap());
        assert_eq!(calls, ["list", "counts", "timer", "list", "counts"].map(|name| (name, until)));
    }
}
