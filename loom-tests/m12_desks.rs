//! M12: an owner gets crowded and puts up desks, while it is canceled. Who sits down at a desk in time is found there, through
//! a table that may be younger than the walk; who comes too late finds the end.

use crate::support::{ALL, both, explore, preemptions, root, waits_beside};
use ripcord::{CancelHandle, Context};

type Child = (Context, CancelHandle);

/// Children that fill what one thread makes alone: the owner's own slots and a block. The next of another thread puts up desks.
fn full_house(parent: &Context) -> [Child; 4] {
    std::array::from_fn(|_| parent.with_cancel())
}

/// An owner with desks, and nobody at them.
fn with_desks(parent: &Context) -> ([Child; 4], Child) {
    let alone = full_house(parent);
    let another = parent.clone();
    (alone, loom::thread::spawn(move || another.with_cancel()).join().unwrap())
}

#[test]
fn desks_are_put_up_while_canceled() {
    explore("M12 desks are put up while canceled", preemptions(3, Some(4)), || {
        let (parent, handle) = root();
        let before = full_house(&parent);
        let ours = parent.clone();
        // The first makes a block, and that puts up the desks; the second sits at one.
        let ((first, second), ()) = both(move || (ours.with_cancel(), ours.with_cancel()), || handle.cancel());
        assert!(first.0.is_done() && second.0.is_done(), "ended at birth, or reached");
        assert!(before.iter().all(|(ctx, _)| ctx.is_done()));
    });
}

/// Those who wait collide at the word of the state, and only one of the owner's own slots is used.
#[test]
fn waiters_put_up_desks() {
    explore("M12 waiters put up desks", preemptions(3, None), || {
        let (parent, handle) = root();
        let theirs = parent.clone();
        drop(both(move || waits_beside(&theirs), || waits_beside(&parent)));
        let (child, _own) = parent.with_cancel();
        handle.cancel();
        assert!(child.is_done(), "found, wherever it sits");
    });
}

#[test]
fn two_threads_crowd() {
    explore("M12 two threads crowd", preemptions(3, Some(4)), || {
        let (parent, handle) = root();
        let _before = full_house(&parent);
        let ours = parent.clone();
        let ((first, second), more) =
            both(move || (ours.with_cancel(), ours.with_cancel()), || [parent.with_cancel(), parent.with_cancel()]);
        handle.cancel();
        assert!(more.iter().chain([&first, &second]).all(|(ctx, _)| ctx.is_done()), "found at every desk");
    });
}

#[test]
fn nobody_is_born_live_at_a_desk_below_a_parent_seen_ended() {
    explore("M12 birth at a desk of a parent seen ended", preemptions(3, Some(4)), || {
        let (parent, handle) = root();
        let _others = with_desks(&parent);
        both(
            move || handle.cancel(),
            || {
                let ended = parent.is_done();
                let (child, _own) = parent.with_cancel();
                assert!(!ended || child.is_done(), "born live below an ended parent");
            },
        );
    });
}

#[test]
fn desk_is_left_while_canceled() {
    explore("M12 desk is left while canceled", ALL, || {
        let (parent, handle) = root();
        let _others = with_desks(&parent);
        let at_desk = parent.with_cancel();
        both(move || handle.cancel(), move || drop(at_desk));
    });
}
