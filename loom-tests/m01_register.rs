//! M1: somebody registers while the owner is canceled. A seat taken, then a look at the state; the end, then a look at the seats:
//! either the canceler finds the entry, or the registrant finds the end. Never missed, never told twice.

use crate::support::{ALL, Count, both, explore, preemptions, root, said, waits_beside};

/// Registers a child while the parent is canceled, with so many siblings registered before, or somebody who waits.
fn child_is_reached(name: &str, siblings: usize, awaited: bool) {
    explore(name, ALL, move || {
        let (parent, handle) = root();
        let _waiter = awaited.then(|| waits_beside(&parent));
        let before: Vec<_> = (0..siblings).map(|_| parent.with_cancel()).collect();
        let ours = parent.clone();
        let (child, ()) = both(
            move || ours.with_cancel().0,
            || {
                handle.cancel_cause("gone");
                assert!(before.iter().all(|(sibling, _)| sibling.is_done()), "the cancel has returned");
            },
        );
        assert_eq!(said(&child).as_deref(), Some("gone"), "ended at birth, or reached");
    });
}

#[test]
fn first_child() {
    child_is_reached("M1 first child", 0, false);
}

#[test]
fn first_child_beside_a_waiter() {
    child_is_reached("M1 first child, beside a waiter", 0, true);
}

#[test]
fn second_child() {
    child_is_reached("M1 second child", 1, false);
}

#[test]
fn two_children() {
    explore("M1 two children register", preemptions(2, Some(3)), || {
        let (parent, handle) = root();
        let ours = parent.clone();
        let thread = loom::thread::spawn(move || ours.with_cancel().0);
        let theirs = parent.clone();
        let other = loom::thread::spawn(move || theirs.with_cancel().0);
        handle.cancel();
        assert!(thread.join().unwrap().is_done());
        assert!(other.join().unwrap().is_done());
    });
}

#[test]
fn function_runs_once() {
    explore("M1 function registers", ALL, || {
        let (ctx, handle) = root();
        let calls = Count::default();
        let function = calls.call();
        both(move || handle.cancel(), || drop(ctx.after_func(function)));
        assert_eq!(calls.get(), 1, "by the canceler, or by the registrant, not by both");
    });
}

#[test]
fn function_of_an_ended_context_waits_for_nobody() {
    explore("M1 function registers after the end", preemptions(4, None), || {
        let (ctx, handle) = root();
        let calls = Count::default();
        let function = calls.call();
        let counted = calls.clone();
        both(
            move || handle.cancel(),
            move || {
                let ended = ctx.is_done();
                drop(ctx.after_func(function));
                assert!(!ended || counted.get() == 1, "left to a canceler that is still walking");
            },
        );
        assert_eq!(calls.get(), 1);
    });
}
