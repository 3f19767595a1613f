//! M25: the gates. The first to sit at an inline slot opens its gate in the owner's state; the end shuts those that are not
//! open, and the canceler goes by. Who comes too late stands up, unless it was found.

use crate::support::{ALL, both, explore, preemptions, root, said};
use ripcord::loom_support;

#[test]
fn at_an_open_gate() {
    explore("M25 child at an open gate", ALL, || {
        let (parent, handle) = root();
        drop(parent.with_cancel());
        let ours = parent.clone();
        let (child, ()) = both(move || ours.with_cancel().0, || handle.cancel_cause("gone"));
        assert_eq!(said(&child).as_deref(), Some("gone"), "ended at birth, or reached");
    });
}

#[test]
fn second_comer_cancels() {
    explore("M25 second comer opens, then cancels", preemptions(4, None), || {
        let (parent, handle) = root();
        let ours = parent.clone();
        let (first, ()) = both(
            move || ours.with_cancel().0,
            || {
                let (second, _own) = parent.with_cancel();
                handle.cancel();
                assert!(second.is_done(), "registered before the cancel began");
            },
        );
        assert!(first.is_done());
        drop(first);
    });
}

#[test]
fn waiter_comes_as_another_opens_and_cancels() {
    explore("M25 waiter, second comer cancels", preemptions(3, None), || {
        let (ctx, handle) = root();
        let ours = ctx.clone();
        both(
            move || assert_eq!(loom::future::block_on(ours.done()), ripcord::Error::Canceled),
            || {
                let (child, _own) = ctx.with_cancel();
                handle.cancel();
                assert!(child.is_done());
            },
        );
    });
}

/// The tag of one canceler keeps the other from writing: what it has read is all that it knows of who sits there.
#[test]
fn found_by_two() {
    explore("M25 found by two", preemptions(2, None), || {
        let (parent, handle) = root();
        drop(parent.with_cancel());
        let (one, other) = (handle.clone(), handle);
        let one = loom::thread::spawn(move || {
            one.cancel();
            one
        });
        let other = loom::thread::spawn(move || {
            other.cancel();
            other
        });
        // Where it has seen that the seat is free.
        loom_support::linger(0b1);
        let (child, _own) = parent.with_cancel();
        let _handles = (one.join().unwrap(), other.join().unwrap());
        assert!(child.is_done());
    });
}

#[test]
fn past_both_gates() {
    explore("M25 past both gates", preemptions(2, Some(3)), || {
        let (parent, handle) = root();
        let (_first, _own) = parent.with_cancel();
        let (second, third) = (parent.clone(), parent);
        let at_the_gate = loom::thread::spawn(move || second.with_cancel().0);
        let behind = loom::thread::spawn(move || third.with_cancel().0);
        handle.cancel();
        assert!(at_the_gate.join().unwrap().is_done());
        assert!(behind.join().unwrap().is_done());
    });
}
