//! M11: overflow. A block is pushed with its first entry inside: the push takes its seat.
//! Empty blocks are sealed, unlinked and retired while others look for seats, leave, or walk the chain to cancel.

use crate::support::{ALL, Count, both, explore, preemptions, root};
use ripcord::{CancelHandle, Context, loom_support};

type Child = (Context, CancelHandle);

#[test]
fn first_block_while_canceled() {
    explore("M11 first block while canceled", ALL, || {
        let (parent, handle) = root();
        let inline = [parent.with_cancel(), parent.with_cancel()];
        let ours = parent.clone();
        let (new, ()) = both(move || ours.with_cancel(), || handle.cancel());
        assert!(new.0.is_done(), "ended at birth, or reached");
        assert!(inline.iter().all(|(ctx, _)| ctx.is_done()));
    });
}

#[test]
fn two_make_the_first_block() {
    explore("M11 two make the first block", ALL, || {
        let (parent, handle) = root();
        let _inline = [parent.with_cancel(), parent.with_cancel()];
        let ours = parent.clone();
        let (one, other) = both(move || ours.with_cancel(), || parent.with_cancel());
        handle.cancel();
        assert!(one.0.is_done() && other.0.is_done(), "sits where it was found");
    });
}

#[test]
fn overflow_leaves_while_canceled() {
    explore("M11 overflow leaves while canceled", ALL, || {
        let (parent, handle) = root();
        let inline = [parent.with_cancel(), parent.with_cancel()];
        let over = parent.with_cancel();
        both(move || handle.cancel(), move || drop(over));
        assert!(inline.iter().all(|(ctx, _)| ctx.is_done()));
    });
}

/// A parent whose chain has a full newest block and, behind it, a block with one sitter, which comes back too; the hint
/// points nowhere near it.
fn one_sitter_in_the_old_block(parent: &Context) -> (Vec<Child>, Child) {
    // Two inline, two in the old block, two in the new.
    let mut all: Vec<_> = (0..6).map(|_| parent.with_cancel()).collect();
    let last = all.remove(2);
    drop(all.remove(2));
    // The hint goes to the new block, and its slot is taken again.
    drop(all.pop());
    all.push(parent.with_cancel());
    (all, last)
}

#[test]
fn block_is_retired_while_canceled() {
    explore("M11 block is retired while canceled", preemptions(4, None), || {
        let (parent, handle) = root();
        let (all, last) = one_sitter_in_the_old_block(&parent);
        drop(last);
        // Walks past the new block, and finds the old one empty, or closed.
        let ((), new) = both(move || handle.cancel(), || parent.with_cancel());
        assert!(new.0.is_done(), "ended at birth, or reached");
        assert!(all.iter().all(|(ctx, _)| ctx.is_done()));
    });
}

#[test]
fn block_is_retired_as_the_last_leaves() {
    explore("M11 block is retired as its last leaves", ALL, || {
        let (parent, handle) = root();
        let (all, last) = one_sitter_in_the_old_block(&parent);
        let mut new = Vec::new();
        both(move || drop(last), || new.push(parent.with_cancel()));
        // The hint may point to the old block: it must be there still.
        new.push(parent.with_cancel());
        handle.cancel();
        assert!(all.iter().chain(&new).all(|(ctx, _)| ctx.is_done()));
    });
}

#[test]
fn block_is_retired_while_another_comes() {
    explore("M11 block is retired while another comes", preemptions(2, Some(3)), || {
        let (parent, handle) = root();
        let (all, last) = one_sitter_in_the_old_block(&parent);
        let going = loom::thread::spawn(move || drop(last));
        let ours = parent.clone();
        let coming = loom::thread::spawn(move || ours.with_cancel());
        let new = parent.with_cancel();
        let theirs = coming.join().unwrap();
        going.join().unwrap();
        handle.cancel();
        assert!(all.iter().chain([&new, &theirs]).all(|(ctx, _)| ctx.is_done()), "sits where it was found");
    });
}

#[test]
fn hint_leads_to_a_new_block() {
    explore("M11 hint leads to a new block", ALL, || {
        let (parent, handle) = root();
        let _inline = [parent.with_cancel(), parent.with_cancel()];
        let ours = parent.clone();
        // Its block is made, and left, where the other may see the hint and nothing else of it.
        let ((), new) = both(move || drop(ours.with_cancel()), || parent.with_cancel());
        handle.cancel();
        assert!(new.0.is_done(), "sits where it was found");
    });
}

/// A parent with a chain of two blocks: the old one has one sitter, which comes back first, the new one has two, of which
/// the last comes back too. From here on whoever leaves tidies.
fn two_who_tidy(parent: &Context) -> (Vec<Child>, Child, Child) {
    let (mut all, old) = one_sitter_in_the_old_block(parent);
    let new = all.pop().expect("six came");
    loom_support::set_tidy(true);
    (all, old, new)
}

#[test]
fn two_leave_and_tidy() {
    explore("M11 two leave, and tidy", preemptions(2, Some(3)), || {
        let (parent, handle) = root();
        let (all, old, new) = two_who_tidy(&parent);
        both(move || drop(old), move || drop(new));
        loom_support::set_tidy(false);
        let again = [parent.with_cancel(), parent.with_cancel(), parent.with_cancel()];
        handle.cancel();
        assert!(all.iter().chain(&again).all(|(ctx, _)| ctx.is_done()), "sits where it was found");
    });
}

#[test]
fn one_tidies_while_canceled() {
    explore("M11 one tidies while canceled", preemptions(3, Some(4)), || {
        let (parent, handle) = root();
        let (all, old, new) = two_who_tidy(&parent);
        drop(old);
        both(move || handle.cancel(), move || drop(new));
        assert!(all.iter().all(|(ctx, _)| ctx.is_done()));
    });
}

#[test]
fn one_tidies_while_another_comes() {
    explore("M11 one tidies while another comes", preemptions(3, Some(4)), || {
        let (parent, handle) = root();
        // A block is full; the next who comes makes another.
        let mut all: Vec<_> = (0..4).map(|_| parent.with_cancel()).collect();
        let last = all.pop().expect("four came");
        all.push(parent.with_cancel());
        loom_support::set_tidy(true);
        let ours = parent.clone();
        let coming = loom::thread::spawn(move || ours.with_cancel());
        drop(last);
        let new = coming.join().unwrap();
        handle.cancel();
        assert!(new.0.is_done() && all.iter().all(|(ctx, _)| ctx.is_done()), "sits where it was found");
    });
}

/// The walk goes down from a block that is empty by the time it comes back, sealed, unlinked and retired.
#[test]
fn block_goes_while_the_walk_is_below_it() {
    explore("M11 a block goes while the walk is below it", preemptions(3, Some(4)), || {
        let (parent, handle) = root();
        let (mut all, (old, own)) = one_sitter_in_the_old_block(&parent);
        let below = old.with_cancel();
        let new = all.pop().expect("six came");
        let behind = all.iter().map(|(ctx, _)| ctx.clone()).collect::<Vec<_>>();
        loom_support::set_tidy(true);
        let ours = parent.clone();
        both(
            move || {
                handle.cancel();
                assert!(behind.iter().all(Context::is_done), "returned before the end");
            },
            move || {
                drop((below, old, own));
                drop(new);
                drop(ours.with_cancel());
            },
        );
    });
}

/// A function sits in a block, and before it has looked for the end it has been called, and its block given back.
#[test]
fn block_goes_before_its_function_looks() {
    explore("M11 a block goes before its function looks", preemptions(3, None), || {
        let (parent, handle) = root();
        let calls = Count::default();
        let mut all = vec![parent.with_cancel(), parent.with_cancel()];
        // In the oldest of three blocks: told last, and its teller tidies.
        drop(parent.after_func(calls.call()));
        all.extend((0..5).map(|_| parent.with_cancel()));
        // Two who tidy, and come again: the rover stands at the block in the middle, where nothing is unlinked.
        loom_support::set_tidy(true);
        for _ in 0..2 {
            drop(all.pop());
            all.push(parent.with_cancel());
        }
        loom_support::set_tidy(false);
        // That one is empty, and the hint leads there.
        drop(all.drain(3..5));
        loom_support::set_tidy(true);
        let function = calls.call();
        both(move || handle.cancel(), || drop(parent.after_func(function)));
        loom_support::set_tidy(false);
        assert_eq!(calls.get(), 2, "each once");
        assert!(all.iter().all(|(ctx, _)| ctx.is_done()));
    });
}
