//! Everything at once: two cancelers at different heights, threads that register and leave, stop and drop.

use crate::support::{Call, Count, Crew, below, explore, root};
use ripcord::Context;
use std::pin::Pin;
use std::task::Context as Task;

#[test]
fn cancels_at_two_heights_in_a_crowd() {
    explore("cancels at two heights in a crowd", || {
        let (top, top_handle) = root();
        let (middle, middle_handle) = top.with_cancel();
        let leaves: Vec<_> = (0..4).map(|_| middle.with_cancel()).collect();
        let calls: Vec<Call> = (0..4).map(|_| Call::default()).collect();
        let afters: Vec<_> =
            leaves.iter().zip(&calls).map(|((ctx, _), call)| ctx.after_func(call.function(|| ()))).collect();
        let before: Vec<Context> = leaves.iter().map(|(ctx, _)| ctx.clone()).collect();
        let mut crew = Crew::default();
        let seen = before.clone();
        crew.spawn(move || {
            top_handle.cancel_cause("top");
            assert!(seen.iter().all(Context::is_done), "the cancel of the top has returned");
        });
        let seen = before.clone();
        crew.spawn(move || {
            middle_handle.cancel_cause("middle");
            assert!(seen.iter().all(Context::is_done), "the cancel of the middle has returned");
        });
        for parent in [top.clone(), middle.clone()] {
            crew.spawn(move || {
                for _ in 0..4 {
                    let was_ended = parent.is_done();
                    let child = parent.with_cancel();
                    let call = Call::default();
                    let after = child.0.after_func(call.function(|| ()));
                    assert!(!was_ended || call.has_run(), "registered after the end: run at once");
                    if after.stop() {
                        assert!(call.is_dropped_unrun());
                    }
                }
            });
        }
        let target = before[0].clone();
        crew.spawn(move || {
            let wakes = Count::default();
            let mut done = target.into_done();
            for _ in 0..3 {
                if Pin::new(&mut done).poll(&mut Task::from_waker(&wakes.waker())).is_ready() {
                    return;
                }
            }
        });
        let counts = calls.clone();
        crew.spawn(move || {
            for (after, call) in afters.into_iter().zip(counts).take(3) {
                if below(2) == 0 {
                    drop(after);
                } else if after.stop() {
                    assert!(call.is_dropped_unrun());
                }
            }
        });
        crew.spawn(move || drop(leaves));
        crew.join();
        let words: Vec<_> = before.iter().map(|ctx| ctx.cause().unwrap().to_string()).collect();
        assert!(words.iter().all(|word| *word == words[0]), "one cause for all: {words:?}");
        assert!(calls.iter().all(|call| call.has_run() || call.is_dropped_unrun()));
        assert!(!calls.iter().any(Call::is_waiting));
    });
}

/// The tree is built, ended and taken down by all threads together, in whatever order the draw says.
#[test]
fn random_scripts_on_one_tree() {
    explore("random scripts on one tree", || {
        let (top, top_handle) = root();
        let mut crew = Crew::default();
        for _ in 0..5 {
            let (top, top_handle) = (top.clone(), top_handle.clone());
            crew.spawn(move || {
                let mut held = vec![(top, Some(top_handle))];
                for _ in 0..10 {
                    let at = below(held.len());
                    let parent = held[at].0.clone();
                    match below(7) {
                        0 | 1 => {
                            let (ctx, handle) = parent.with_cancel();
                            held.push((ctx, Some(handle)));
                        }
                        2 => {
                            let other = held[below(held.len())].0.clone();
                            let (ctx, handle) = parent.with_cancel_from(&other);
                            held.push((ctx, Some(handle)));
                        }
                        3 => held.push((parent.with_value(7u8), None)),
                        4 => {
                            let call = Call::default();
                            let after = parent.after_func(call.function(|| ()));
                            if below(2) == 0 && after.stop() {
                                assert!(call.is_dropped_unrun());
                            }
                        }
                        5 if at > 0 => drop(held.swap_remove(at)),
                        _ => {
                            // The top now and then only.
                            if let Some(handle) = held[at].1.as_ref().filter(|_| at > 0 || below(4) == 0) {
                                let below = parent.with_cancel().0;
                                handle.cancel();
                                assert!(parent.is_done() && below.is_done(), "the cancel has returned");
                            }
                        }
                    }
                }
            });
        }
        crew.join();
        top_handle.cancel();
        assert!(top.is_done());
    });
}
