//! S6: whoever helps, retries or is called back comes to an end. Every loop of the crate goes round again only because
//! somebody else got on; so with a fixed amount of work, all of it gets done. The watchdog says who did not.

use crate::common::watch::Watch;
use crate::common::*;
use ripcord::{CancelHandle, Context};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::thread;

/// A tree of so many nodes, mixed; no handle is kept but the inner ones that are returned.
fn tree(random: &mut Random, root: &Context, nodes: usize) -> Vec<(Context, CancelHandle)> {
    let mut all: Vec<(Context, CancelHandle)> = vec![root.with_cancel()];
    for _ in 1..nodes {
        let parent = all[random.below(all.len())].0.clone();
        all.push(match random.below(6) {
            0 => parent.with_deadline(far()),
            1 => Context::background().with_cancel_from(&parent),
            2 => parent.with_cancel_from(root),
            _ => parent.with_cancel(),
        });
    }
    all
}

/// Four cancel at the top, two in the middle, while two more register and leave all over the tree.
#[test]
fn s6_many_helpers_of_one_large_cancel() {
    let watch = Watch::new();
    let mut random = Random::new(6);
    for _ in 0..stress(12) {
        let (root, handle) = Context::background().with_cancel();
        let all = tree(&mut random, &root, 1_500);
        let start = Barrier::new(8);
        let ended = AtomicUsize::new(0);
        watch.scope(|scope| {
            for n in 0..6 {
                let (all, start, ended, root, handle) = (&all, &start, &ended, &root, &handle);
                let post = watch.post(if n < 4 { "canceler of the root" } else { "canceler of the middle" });
                scope.spawn(move || {
                    start.wait();
                    if n < 4 {
                        post.during("cancel of the root", || handle.cancel());
                        assert!(root.is_done() && all.iter().all(|(ctx, _)| ctx.is_done()));
                    } else {
                        for (ctx, handle) in all.iter().skip(n).step_by(97) {
                            post.during("cancel in the middle", || handle.cancel());
                            assert!(ctx.is_done());
                        }
                    }
                    ended.fetch_add(1, SeqCst);
                });
            }
            for seed in 0..2 {
                let (all, start, ended, post) = (&all, &start, &ended, watch.post("registrant"));
                scope.spawn(move || {
                    let mut random = Random::new(seed);
                    start.wait();
                    while ended.load(SeqCst) < 6 {
                        let ctx = &all[random.below(all.len())].0;
                        post.during("register and leave", || drop(ctx.with_cancel().0.with_cancel_from(ctx)));
                        post.during("function and stop", || ctx.after_func(|| ()).stop());
                    }
                });
            }
        });
        assert!(all.iter().all(|(ctx, _)| ctx.is_done()));
    }
}

/// A cancel returns although others register all the time, and never stop by themselves.
#[test]
fn s6_a_cancel_comes_to_an_end_while_others_register_for_ever() {
    let watch = Watch::new();
    for _ in 0..stress(30) {
        let (root, handle) = Context::background().with_cancel();
        let over = AtomicBool::new(false);
        let start = Barrier::new(4);
        let born: usize = watch.scope(|scope| {
            let registrants: Vec<_> = (0..3)
                .map(|_| {
                    let (root, over, start, post) = (&root, &over, &start, watch.post("registrant"));
                    scope.spawn(move || {
                        let mut held = Vec::new();
                        start.wait();
                        let mut born = 0;
                        while !over.load(SeqCst) {
                            post.at("register");
                            held.push(root.with_cancel());
                            born += 1;
                            if held.len() == 300 {
                                post.at("leave");
                                held.clear();
                            }
                        }
                        assert!(held.iter().all(|(child, _)| child.is_done()), "the cancel has returned");
                        born
                    })
                })
                .collect();
            let post = watch.post("canceler");
            start.wait();
            thread::yield_now();
            post.during("cancel", || handle.cancel());
            over.store(true, SeqCst);
            registrants.into_iter().map(|registrant| registrant.join().unwrap()).sum()
        });
        assert!(root.with_cancel().0.is_done(), "{born} were born");
    }
}

/// Eight threads fight for the slots of one parent; each has its work, and gets it done.
#[test]
fn s6_registrants_that_fight_for_slots_all_get_through() {
    let watch = Watch::new();
    let (root, handle) = Context::background().with_cancel();
    watch.scope(|scope| {
        for seed in 0..8 {
            let (root, post) = (&root, watch.post("fighter"));
            scope.spawn(move || {
                let mut random = Random::new(seed);
                let mut held = Vec::new();
                for _ in 0..stress(3_000) {
                    post.at("register");
                    held.push(root.with_cancel());
                    if held.len() > random.below(64) {
                        post.at("leave");
                        drop(held.swap_remove(random.below(held.len())));
                    }
                }
                assert!(held.iter().all(|(child, _)| !child.is_done()));
            });
        }
    });
    assert_live(&root);
    handle.cancel();
}

/// Functions that cancel the next tree of a ring, started at several places at once: everybody meets somebody who is at
/// work already, and nobody waits or goes round for ever.
#[test]
fn s6_a_ring_of_functions_that_cancel_the_next_tree() {
    let watch = Watch::new();
    for _ in 0..stress(60) {
        let ring: Arc<Vec<_>> = Arc::new((0..24).map(|_| Context::background().with_cancel()).collect());
        let runs = Tale::new();
        for n in 0..ring.len() {
            let (all, probe) = (ring.clone(), runs.clone());
            ring[n].0.with_cancel().0.after_func(move || {
                all[(n + 1) % all.len()].1.cancel();
                all[(n + 7) % all.len()].1.cancel();
                probe.probe().run();
            });
        }
        let start = Barrier::new(3);
        watch.scope(|scope| {
            for n in 0..3 {
                let (ring, start, post) = (&ring, &start, watch.post("starter"));
                scope.spawn(move || {
                    start.wait();
                    post.during("cancel of one of the ring", || ring[n * 8].1.cancel());
                });
            }
        });
        assert!(ring.iter().all(|(ctx, _)| ctx.is_done()));
        eventually("every function of the ring", || runs.runs() == ring.len());
    }
}

/// Contexts that end each other as foreign parents, both ways: a circle of wakers.
#[test]
fn s6_a_circle_of_foreign_parents() {
    let watch = Watch::new();
    for round in 0..stress(200) {
        let roots: Vec<_> = (0..4).map(|_| Context::background().with_cancel()).collect();
        // Each ends when the next one does; its own end cancels the one before.
        let followers: Vec<_> =
            (0..4).map(|n| roots[n].0.with_cancel_on(roots[(n + 1) % 4].0.clone().into_done())).collect();
        for n in 0..4 {
            let back = roots[(n + 3) % 4].1.clone();
            followers[n].0.after_func(move || back.cancel());
        }
        watch.scope(|scope| {
            for n in [round % 4, (round + 2) % 4] {
                let (roots, post) = (&roots, watch.post("starter"));
                scope.spawn(move || post.during("cancel of one of the circle", || roots[n].1.cancel()));
            }
        });
        eventually("everybody of the circle", || followers.iter().chain(&roots).all(|(ctx, _)| ctx.is_done()));
    }
}

/// Two push one deadline back and forth, a third disarms it: none of them starves the one who ends it.
#[test]
fn s6_a_cancel_comes_through_resets_for_ever() {
    let watch = Watch::new();
    for _ in 0..stress(40) {
        let (ctx, handle) = Context::background().with_deadline(far());
        let moves: usize = watch.scope(|scope| {
            let movers: Vec<_> = (1..4)
                .map(|n| {
                    let (handle, post) = (&handle, watch.post("mover"));
                    scope.spawn(move || {
                        let mut moves = 0;
                        let far = far() + std::time::Duration::from_secs(n);
                        while post.during("reset", || handle.reset_deadline(far)) {
                            moves += 1;
                            if n == 3 {
                                handle.reset_timeout(std::time::Duration::MAX);
                            }
                        }
                        moves
                    })
                })
                .collect();
            thread::yield_now();
            watch.post("canceler").during("cancel", || handle.cancel());
            movers.into_iter().map(|mover| mover.join().unwrap()).sum()
        });
        assert_canceled(&ctx);
        assert!(!handle.reset_deadline(far()), "after {moves} moves");
    }
}
