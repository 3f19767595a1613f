//! M26: too late, and found. One canceler has gone by before the seat was taken, and returns; another, as slow
//! as the first was quick, finds who sits there and has not come to marking it.

#[cfg(not(crossbeam_loom))]
use crate::support::{explore, preemptions, root};
#[cfg(not(crossbeam_loom))]
use ripcord::{CancelHandle, Context, loom_support};

/// Whatever is derived from a context by now: when a cancel of that has returned, it has ended.
#[cfg(not(crossbeam_loom))]
fn is_late(name: &str, derive: fn(&Context) -> (Context, CancelHandle)) {
    explore(name, preemptions(1, Some(2)), move || {
        let (parent, handle) = root();
        let _first = parent.with_cancel();
        let (slow, quick) = (handle.clone(), handle);
        // Handles come back, so that their drops are no part of the schedule.
        let slow = loom::thread::spawn(move || {
            // Not at the parent; at the first child, and at the next.
            loom_support::linger(0b110);
            slow.cancel();
            slow
        });
        let quick = loom::thread::spawn(move || {
            quick.cancel();
            quick
        });
        // Where it has seen that the second seat is free.
        loom_support::linger(0b1);
        let (late, _own) = derive(&parent);
        let _quick = quick.join().unwrap();
        assert!(late.is_done(), "a cancel of its parent has returned");
        let _slow = slow.join().unwrap();
    });
}

#[cfg(not(crossbeam_loom))]
#[test]
fn child_is_found_and_not_marked() {
    is_late("M26 child is found, and not marked", Context::with_cancel);
}

#[cfg(not(crossbeam_loom))]
#[test]
fn merge_is_found_and_not_marked() {
    is_late("M26 merge is found, and not marked", |parent| Context::background().with_cancel_from(parent));
}
