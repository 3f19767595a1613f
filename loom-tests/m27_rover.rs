//! M27: the walk round the chain comes to blocks that were pushed after the walker had looked at the head.

use crate::support::{explore, preemptions, root};

/// One thread fills blocks, and pushes more of them, as another looks for a slot.
fn blocks_come(name: &str, blocks: usize, pushed: usize) {
    explore(name, preemptions(2, Some(3)), move || {
        let (parent, handle) = root();
        let mut all: Vec<_> = (0..2 + 2 * blocks).map(|_| parent.with_cancel()).collect();
        let ours = parent.clone();
        let other = loom::thread::spawn(move || ours.with_cancel());
        all.extend((0..pushed).map(|_| parent.with_cancel()));
        all.push(other.join().unwrap());
        handle.cancel();
        assert!(all.iter().all(|(ctx, _)| ctx.is_done()), "sits where it was found");
    });
}

#[test]
fn walk_begins_at_a_new_block() {
    blocks_come("M27 walk begins at a new block", 1, 1);
}

#[test]
fn walk_goes_on_from_a_new_block() {
    blocks_come("M27 walk goes on from a new block", 2, 5);
}
