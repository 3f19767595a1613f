//! The rules of cancelation once more, with every party on a thread of its own.
//!
//! Each test is a bounded stress; `RIPCORD_STRESS` multiplies the rounds. What broke others is in `stress/`.
#![cfg(not(feature = "loom"))]

mod common;

use common::*;
use ripcord::{CancelHandle, Context, Error};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::Poll;
use std::thread;

#[test]
fn g1_whoever_sees_one_view_ended_sees_all_ended() {
    for round in 0..stress(200) {
        let (root, handle) = Context::background().with_cancel();
        let ctx = match round % 4 {
            0 => root.clone(),
            1 => root.with_cancel().0.with_value(1u8).with_cancel().0,
            2 => Context::background().with_cancel_from(&root).0,
            _ => root.with_deadline(far()).0,
        };
        let start = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                handle.cancel_cause(oops(1));
            });
            start.wait();
            let mut done = ctx.done();
            loop {
                let seen = match round / 4 % 4 {
                    0 => ctx.is_done(),
                    1 => ctx.err().is_some(),
                    2 => ctx.cause().is_some(),
                    _ => poll(&mut done).is_ready(),
                };
                if seen {
                    break;
                }
                std::hint::spin_loop();
            }
            assert!(ctx.is_done());
            assert_eq!(ctx.err(), Some(Error::Canceled));
            assert_eq!(oops_of(&ctx), Some(1));
            assert_eq!(poll(&mut ctx.done()), Poll::Ready(Error::Canceled));
            assert!(ctx.with_cancel().0.is_done());
        });
    }
}

#[test]
fn g2_racing_cancels_agree_on_one_cause_for_ever() {
    let wins: [AtomicUsize; 3] = Default::default();
    for _ in 0..stress(300) {
        let (parent, parent_handle) = Context::background().with_cancel();
        let (other, other_handle) = Context::background().with_cancel();
        let (ctx, own) = parent.with_cancel_from(&other);
        let below = ctx.with_cancel().0;
        let start = Barrier::new(3);
        let seen: Vec<u32> = thread::scope(|scope| {
            let racers: Vec<_> = [&own, &parent_handle, &other_handle]
                .into_iter()
                .zip(0..)
                .map(|(handle, n)| {
                    let (ctx, below, start) = (&ctx, &below, &start);
                    scope.spawn(move || {
                        start.wait();
                        handle.cancel_cause(oops(n));
                        let seen = oops_of(ctx).expect("ended when any cancel above it returns");
                        assert_eq!(oops_of(below), Some(seen));
                        assert_eq!(ctx.err(), Some(Error::Canceled));
                        seen
                    })
                })
                .collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        assert!(seen.iter().all(|n| *n == seen[0]), "{seen:?}");
        assert_eq!((oops_of(&ctx), oops_of(&below)), (Some(seen[0]), Some(seen[0])));
        wins[seen[0] as usize].fetch_add(1, SeqCst);
        assert_eq!((oops_of(&parent), oops_of(&other)), (Some(1), Some(2)));
    }
    let total: usize = wins.iter().map(|n| n.load(SeqCst)).sum();
    assert_eq!(total, stress(300));
}

/// A random tree; the handles of the inner contexts besides.
fn tree(random: &mut Random, root: &Context, n: usize) -> Vec<(Context, Option<CancelHandle>)> {
    let mut all = vec![(root.clone(), None)];
    for _ in 0..n {
        let parent = all[random.below(all.len())].0.clone();
        let other = all[random.below(all.len())].0.clone();
        all.push(match random.below(8) {
            0 => (parent.with_value(1u8), None),
            1 => with(parent.with_deadline(far())),
            2 => with(parent.with_cancel_from(&other)),
            3 => with(Context::background().with_cancel_from(&parent)),
            _ => with(parent.with_cancel()),
        });
    }
    all
}

fn with((ctx, handle): (Context, CancelHandle)) -> (Context, Option<CancelHandle>) {
    (ctx, Some(handle))
}

#[test]
fn g3_every_cancel_return_implies_every_registered_descendant_is_ended() {
    let mut random = Random::new(33);
    for _ in 0..stress(40) {
        let (root, handle) = Context::background().with_cancel();
        let all = tree(&mut random, &root, 600);
        let start = Barrier::new(3);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    start.wait();
                    handle.cancel();
                    for (ctx, _) in &all {
                        assert!(ctx.is_done());
                    }
                });
            }
        });
    }
}

#[test]
fn g3_a_cancel_in_the_middle_of_a_running_fan_out_returns_with_its_part_ended() {
    let mut random = Random::new(34);
    for _ in 0..stress(40) {
        let (root, root_handle) = Context::background().with_cancel();
        let wide: Vec<_> = (0..300).map(|_| root.with_cancel().0).collect();
        let (middle, middle_handle) = root.with_cancel();
        let below = tree(&mut random, &middle, 300);
        let start = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                root_handle.cancel_cause(oops(0));
                assert!(wide.iter().chain(below.iter().map(|(ctx, _)| ctx)).all(Context::is_done));
            });
            start.wait();
            middle_handle.cancel_cause(oops(1));
            assert!(below.iter().all(|(ctx, _)| ctx.is_done()));
        });
        let winner = oops_of(&middle);
        assert!(below.iter().all(|(ctx, _)| oops_of(ctx) == winner));
        assert!(wide.iter().all(|ctx| oops_of(ctx) == Some(0)));
    }
}

#[test]
fn g4_g5_a_child_born_during_a_cancel_is_ended_at_birth_or_reached() {
    for round in 0..stress(60) {
        let (root, handle) = Context::background().with_cancel();
        let ended = AtomicBool::new(false);
        let start = Barrier::new(3);
        thread::scope(|scope| {
            let makers: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        let mut born = Vec::new();
                        while born.len() < 40 || (!ended.load(SeqCst) && born.len() < 4_000) {
                            let was_ended = root.is_done();
                            let child = match born.len() % 4 {
                                0 => root.with_deadline(far()),
                                1 => Context::background().with_cancel_from(&root),
                                _ => root.with_cancel(),
                            };
                            assert!(!was_ended || child.0.is_done(), "born live below an ended parent");
                            let tale = Tale::new();
                            let (wakes, waker) = Wakes::new();
                            let mut done = child.0.clone().into_done();
                            let pending = poll_with(&mut done, &waker).is_pending();
                            child.0.after_func(tale.function());
                            born.push((child, done, wakes, pending, tale));
                        }
                        born
                    })
                })
                .collect();
            start.wait();
            for _ in 0..round % 7 * 100 {
                std::hint::spin_loop();
            }
            handle.cancel_cause(oops(5));
            ended.store(true, SeqCst);
            for maker in makers {
                for ((child, _handle), mut done, wakes, pending, tale) in maker.join().unwrap() {
                    assert_eq!(oops_of(&child), Some(5));
                    assert!(tale.has_run(), "a callback runs once: {tale:?}");
                    assert_eq!(wakes.count(), usize::from(pending), "a waiter is woken once");
                    assert_eq!(poll(&mut done), Poll::Ready(Error::Canceled));
                }
            }
        });
    }
}

#[test]
fn g6_children_come_and_go_under_one_parent_while_others_are_canceled() {
    let (root, handle) = Context::background().with_cancel();
    let rounds = stress(1_500);
    thread::scope(|scope| {
        for seed in 0..4 {
            let root = &root;
            scope.spawn(move || {
                let mut random = Random::new(seed);
                let mut held = Vec::new();
                for n in 0..rounds {
                    let (child, child_handle) = root.with_cancel();
                    assert!(!child.is_done());
                    match random.below(3) {
                        0 => child_handle.cancel_cause(oops(u32::try_from(n).unwrap())),
                        1 => drop(child.with_value(n).with_cancel()),
                        _ => held.push((child, child_handle)),
                    }
                    if held.len() > 40 {
                        let at = random.below(held.len());
                        let (child, _) = held.swap_remove(at);
                        assert!(!child.is_done());
                    }
                }
            });
        }
    });
    assert_live(&root);
    handle.cancel();
    assert_canceled(&root);
}

/// Those who wait may use the first of a context's slots alone, however often they get in each other's way.
#[test]
fn a_child_is_found_after_two_threads_have_waited_in_each_others_way() {
    for _ in 0..stress(20) {
        let (parent, handle) = Context::background().with_cancel();
        let start = Barrier::new(2);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..5_000 {
                        assert!(poll(&mut parent.done()).is_pending());
                    }
                });
            }
        });
        let (child, _own) = parent.with_cancel();
        handle.cancel();
        assert!(child.is_done(), "a cancel has returned");
        let relay = parent.with_cancel();
        drop((parent, handle));
        assert_canceled(&relay.0);
    }
}

/// Each cancel would walk what is below it: five thousand million steps.
#[test]
fn a_chain_that_has_been_canceled_from_above_is_not_walked_again_from_each_level() {
    within_a_minute(|| {
        let levels = chain_of(100_001);
        levels[0].1.cancel_cause("above");
        for (ctx, handle) in &levels {
            handle.cancel();
            assert_ended(ctx, Error::Canceled, "above");
        }
    });
}
