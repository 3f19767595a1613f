//! Slots of one parent: hints, blocks, desks, the rover and its unlinking, with everybody at once, and a cancel in the
//! middle of it.

use crate::support::{Call, Count, Crew, below, explore, root};
use ripcord::{Context, loom_support};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Context as Task;

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

/// Three cancel, at two heights; the others come in every way, leave, and give blocks back under the walks.
#[test]
fn everybody_comes_as_three_cancel() {
    explore("everybody comes as three cancel", || {
        let (top, above) = root();
        let (parent, handle) = top.with_cancel();
        let (aside, _keep) = root();
        let mut before: Vec<_> = (0..7).map(|_| parent.with_cancel()).collect();
        // Each goes down for a while, and comes back to a block that may be gone.
        let below_them: Vec<_> = before.iter().map(|(child, _)| child.with_cancel()).collect();
        let stay: Vec<_> = [1, 3, 5].map(|n| before[n].0.clone()).into();
        loom_support::set_tidy(true);
        let mut crew = Crew::default();
        for canceler in [above, handle.clone(), handle] {
            let stay = stay.clone();
            crew.spawn(move || {
                canceler.cancel();
                assert!(stay.iter().all(Context::is_done), "returned before the end");
            });
        }
        crew.spawn(move || {
            drop(below_them);
            while !before.is_empty() {
                drop(before.swap_remove(below(before.len())));
            }
        });
        for _ in 0..3 {
            let (parent, aside) = (parent.clone(), aside.clone());
            crew.spawn(move || {
                for _ in 0..3 {
                    let ended = parent.is_done();
                    let child = if below(3) == 0 { aside.with_cancel_from(&parent) } else { parent.with_cancel() };
                    assert!(!ended || child.0.is_done(), "born live below an ended parent");
                    let (call, wakes) = (Call::default(), [Count::default(), Count::default()]);
                    let after = parent.after_func(call.function(|| ()));
                    assert!(!ended || call.has_run(), "left to somebody who is under way");
                    let mut done = parent.clone().into_done();
                    let polled = wakes
                        .each_ref()
                        .map(|wakes| Pin::new(&mut done).poll(&mut Task::from_waker(&wakes.waker())).is_pending());
                    assert!(!ended || polled == [false; 2]);
                    if below(2) == 0 {
                        child.1.cancel();
                    }
                    if after.stop() {
                        assert!(call.is_dropped_unrun());
                    }
                    drop(done);
                    assert!(wakes[0].get() + wakes[1].get() <= 1, "told twice");
                }
            });
        }
        crew.join();
        loom_support::set_tidy(false);
        assert!(parent.is_done() && !aside.is_done());
    });
}

/// Waiters and functions that stay: whoever finds them tells them, once.
#[test]
fn latecomers_are_told_once() {
    explore("latecomers are told once", || {
        let (parent, handle) = root();
        drop(parent.with_cancel());
        let mut crew = Crew::default();
        let told: Vec<(Call, Count)> = (0..4).map(|_| Default::default()).collect();
        let waiting = Arc::new(Mutex::new(Vec::new()));
        for (call, woken) in told.clone() {
            let (parent, waiting) = (parent.clone(), waiting.clone());
            crew.spawn(move || {
                drop(parent.after_func(call.function(|| ())));
                let mut done = parent.into_done();
                if Pin::new(&mut done).poll(&mut Task::from_waker(&woken.waker())).is_pending() {
                    waiting.lock().unwrap().push((done, woken));
                }
            });
        }
        for canceler in [handle.clone(), handle.clone(), handle] {
            crew.spawn(move || canceler.cancel());
        }
        crew.join();
        assert!(told.iter().all(|(call, woken)| call.has_run() && woken.get() <= 1));
        assert!(waiting.lock().unwrap().iter().all(|(_, woken)| woken.get() == 1), "pending, and not told");
    });
}
