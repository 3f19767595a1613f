//! M11: overflow. A block is pushed with its first entry inside: the push is the registration, and a closed head refuses
//! it. Empty blocks are sealed, unlinked and retired while others look for seats, leave, or walk the chain to cancel.

use crate::support::{ALL, both, explore, preemptions, root};
use ripcord::{CancelHandle, Context};

#[test]
fn first_block_while_canceled() {
    explore("M11 first block while canceled", ALL, || {
        let (parent, handle) = root();
        let inline = [parent.with_cancel(), parent.with_cancel()];
        let ours = parent.clone();
        let coming = loom::thread::spawn(move || ours.with_cancel());
        handle.cancel();
        assert!(coming.join().unwrap().0.is_done(), "ended at birth, or reached");
        assert!(inline.iter().all(|(ctx, _)| ctx.is_done()));
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

/// A parent whose desk for this thread has a full newest block and, behind it, a block with one sitter, which comes back
/// too; the hint points nowhere near it.
fn one_sitter_in_the_old_block(parent: &Context) -> (Vec<(Context, CancelHandle)>, (Context, CancelHandle)) {
    // Two inline, one in the block whose making puts up the desks, one at the desk, two in the old block, two in the new.
    let mut all: Vec<_> = (0..8).map(|_| parent.with_cancel()).collect();
    let last = all.remove(4);
    drop(all.remove(4));
    // The hint goes to the new block, and its slot is taken again.
    drop(all.pop());
    all.push(parent.with_cancel());
    (all, last)
}

#[test]
fn block_is_retired_while_canceled() {
    explore("M11 block is retired while canceled", ALL, || {
        let (parent, handle) = root();
        let (all, last) = one_sitter_in_the_old_block(&parent);
        drop(last);
        let thread = loom::thread::spawn(move || handle.cancel());
        // Walks past the new block, and finds the old one empty, or closed.
        let new = parent.with_cancel();
        thread.join().unwrap();
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
        // The second thread shares our desk.
        let ours = parent.clone();
        let coming = loom::thread::spawn(move || ours.with_cancel());
        let new = parent.with_cancel();
        let theirs = coming.join().unwrap();
        going.join().unwrap();
        handle.cancel();
        assert!(all.iter().chain([&new, &theirs]).all(|(ctx, _)| ctx.is_done()), "sits where it was found");
    });
}
