//! Slots of one parent: hints, blocks, desks, the rover and its unlinking, with everybody at once, and a cancel in the
//! middle of it.

use crate::support::{Call, Crew, below, explore, root};

#[test]
fn six_come_and_go() {
    explore("six come and go", || {
        let (parent, handle) = root();
        let mut crew = Crew::default();
        for _ in 0..6 {
            let parent = parent.clone();
            crew.spawn(move || {
                let mut held = Vec::new();
                for _ in 0..8 {
                    held.push(parent.with_cancel());
                    if below(2) == 0 {
                        drop(held.swap_remove(below(held.len())));
                    }
                }
                assert!(held.iter().all(|(child, _)| !child.is_done()), "nobody has canceled");
            });
        }
        crew.join();
        drop((parent, handle));
    });
}

#[test]
fn five_come_and_go_under_a_cancel() {
    explore("five come and go under a cancel", || {
        let (parent, handle) = root();
        let before: Vec<_> = (0..5).map(|_| parent.with_cancel()).collect();
        let mut crew = Crew::default();
        for _ in 0..5 {
            let parent = parent.clone();
            crew.spawn(move || {
                let mut held = Vec::new();
                let mut calls = Vec::new();
                for _ in 0..5 {
                    let was_ended = parent.is_done();
                    let child = parent.with_cancel();
                    assert!(!was_ended || child.0.is_done(), "born live below an ended parent");
                    if below(3) == 0 {
                        let call = Call::default();
                        let after = child.0.after_func(call.function(|| ()));
                        calls.push((call, after));
                    }
                    held.push(child);
                    if below(2) == 0 {
                        drop(held.swap_remove(below(held.len())));
                    }
                }
                // Either prevented or run, now or by the canceler, who is under way.
                for (call, after) in calls {
                    if after.stop() {
                        assert!(call.is_dropped_unrun());
                    }
                }
            });
        }
        handle.cancel();
        assert!(before.iter().all(|(child, _)| child.is_done()), "the cancel has returned");
        crew.join();
        assert!(parent.with_cancel().0.is_done());
    });
}

/// Blocks are unlinked while others search, sit and leave in them.
#[test]
fn a_crowd_leaves_and_others_find_the_room() {
    explore("a crowd leaves, others find the room", || {
        let (parent, handle) = root();
        let mut crowd: Vec<_> = (0..12).map(|_| parent.with_cancel()).collect();
        let mut crew = Crew::default();
        for _ in 0..3 {
            let part = crowd.split_off(crowd.len() - 4);
            crew.spawn(move || drop(part));
        }
        for _ in 0..3 {
            let parent = parent.clone();
            crew.spawn(move || {
                for _ in 0..4 {
                    let two = (parent.with_cancel(), parent.with_cancel());
                    drop(two);
                }
            });
        }
        crew.join();
        assert!(!parent.is_done());
        handle.cancel();
    });
}
