//! M11: overflow. A block is pushed with its first entry inside: the push takes its seat.
//! Empty blocks are sealed, unlinked and retired while others look for seats, leave, or walk the chain to cancel.

use crate::support::{ALL, both, explore, preemptions, root};
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
