//! S1: stop against fire. `stop()` is true exactly when it prevented the run; then the function is gone, and never runs
//! late. Otherwise it runs, once. Whoever waits and leaves is woken once at most.

use crate::common::watch::Watch;
use crate::common::*;
use crate::handler::Handler;
use ripcord::{CancelHandle, Context};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::Duration;

/// A context below `root` (or merged with it), and whatever else must be held so that only `root` ends it.
fn below(root: &Context, kind: usize) -> (Context, Option<CancelHandle>) {
    let (ctx, handle) = match kind % 6 {
        0 => return (root.clone(), None),
        1 => return (root.with_value(1u8), None),
        2 => root.with_cancel(),
        3 => root.with_deadline(far()),
        4 => Context::background().with_cancel_from(root),
        _ => root.with_cancel().0.with_value(1u8).with_cancel(),
    };
    (ctx, Some(handle))
}

#[test]
fn s1_stop_x_fire_is_decided_once_for_every_handler() {
    let watch = Watch::new();
    let handlers: Vec<_> = (0..36).map(|_| Handler::new()).collect();
    for round in 0..stress(150) {
        let (root, handle) = Context::background().with_cancel();
        let armed: Vec<_> = handlers
            .iter()
            .enumerate()
            .map(|(n, handler)| {
                let (ctx, held) = below(&root, n + round);
                (ctx.after_func(handler.arm()), handler, ctx, held)
            })
            .collect();
        let start = Barrier::new(4);
        watch.scope(|scope| {
            for part in armed.chunks(12) {
                let (start, post) = (&start, watch.post("stopper"));
                scope.spawn(move || {
                    start.wait();
                    for (after, handler, ..) in part {
                        handler.stopped(post.during("stop", || after.stop()));
                        assert!(!after.stop(), "stopped or run before");
                    }
                });
            }
            let post = watch.post("canceler");
            start.wait();
            for _ in 0..round % 5 * 60 {
                std::hint::spin_loop();
            }
            post.during("cancel", || handle.cancel());
        });
    }
    for handler in &handlers {
        assert_eq!(handler.rounds(), stress(150));
        handler.assert_clean();
    }
}

/// Registering, stopping and ending go on all the time: the owner of the current context ends it and makes the next.
#[test]
fn s1_register_x_stop_x_fire_storm() {
    let watch = Watch::new();
    let current = Mutex::new(Context::background().with_cancel());
    let over = AtomicBool::new(false);
    let rounds: usize = watch.scope(|scope| {
        let workers: Vec<_> = (0..3)
            .map(|seed| {
                let (current, post) = (&current, watch.post("registrant"));
                scope.spawn(move || {
                    let mut random = Random::new(seed);
                    let handlers: Vec<_> = (0..8).map(|_| Handler::new()).collect();
                    for _ in 0..stress(1_200) {
                        let ctx = current.lock().unwrap().0.clone();
                        let mut afters = Vec::new();
                        for (n, handler) in handlers.iter().enumerate() {
                            let (ctx, held) = below(&ctx, n);
                            afters.push((post.during("after_func", || ctx.after_func(handler.arm())), held));
                        }
                        for (handler, (after, held)) in handlers.iter().zip(afters) {
                            if random.below(3) == 0 {
                                drop(held);
                            }
                            handler.stopped(post.during("stop", || after.stop()));
                        }
                    }
                    handlers.iter().for_each(|handler| handler.assert_clean());
                    handlers.iter().map(|handler| handler.rounds()).sum::<usize>()
                })
            })
            .collect();
        let (over, current, post) = (&over, &current, watch.post("canceler"));
        let canceler = scope.spawn(move || {
            while !over.load(SeqCst) {
                let next = Context::background().with_cancel();
                let last = std::mem::replace(&mut *current.lock().unwrap(), next);
                post.during("cancel", || last.1.cancel());
                thread::yield_now();
            }
        });
        let rounds = workers.into_iter().map(|worker| worker.join().unwrap()).sum();
        over.store(true, SeqCst);
        canceler.join().unwrap();
        rounds
    });
    assert_eq!(rounds, 3 * 8 * stress(1_200));
}

#[test]
fn s1_stop_x_deadline() {
    let watch = Watch::new();
    let post = watch.post("stopper");
    let handlers: Vec<_> = (0..30).map(|_| Handler::new()).collect();
    let mut random = Random::new(1);
    for _ in 0..stress(12) {
        let armed: Vec<_> = handlers
            .iter()
            .map(|handler| {
                let (ctx, handle) =
                    Context::background().with_timeout(Duration::from_micros(500 + random.next() % 3_000));
                (ctx.after_func(handler.arm()), handler, ctx, handle)
            })
            .collect();
        for (after, handler, ..) in &armed {
            handler.stopped(post.during("stop", || after.stop()));
            if random.below(3) == 0 {
                thread::sleep(Duration::from_micros(random.next() % 300));
            }
        }
    }
    handlers.iter().for_each(|handler| handler.assert_clean());
}

/// The third who may decide: the last handle goes, and with it everybody who could end the context.
#[test]
fn s1_stop_x_last_handle() {
    let watch = Watch::new();
    for round in 0..stress(300) {
        let handler = Handler::new();
        let (root, handle) = Context::background().with_cancel();
        let ctx = if round % 2 == 0 { root.clone() } else { root.with_cancel().0 };
        let after = ctx.after_func(handler.arm());
        let start = Barrier::new(2);
        watch.scope(|scope| {
            let (start, post) = (&start, watch.post("leaver"));
            scope.spawn(move || {
                start.wait();
                post.during("drop of everything", || drop((ctx, root, handle)));
            });
            start.wait();
            if after.stop() { handler.stopped(true) } else { handler.goes_unrun() }
        });
        handler.assert_clean();
    }
}

#[test]
fn s1_many_stops_and_a_cancel_decide_once() {
    for _ in 0..stress(200) {
        let (ctx, handle) = Context::background().with_cancel();
        let tale = Tale::new();
        let after = ctx.after_func(tale.function());
        let start = Barrier::new(3);
        let stops: usize = thread::scope(|scope| {
            let stoppers: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        usize::from(after.stop())
                    })
                })
                .collect();
            start.wait();
            handle.cancel();
            stoppers.into_iter().map(|stopper| stopper.join().unwrap()).sum()
        });
        assert_eq!(tale.drops(), 1);
        assert_eq!(stops + tale.runs(), 1, "prevented or run, and only one of them");
    }
}

#[test]
fn s1_a_function_registered_during_a_cancel_runs_once() {
    for _ in 0..stress(200) {
        let (ctx, handle) = Context::background().with_cancel();
        let tales: Vec<_> = (0..8).map(|_| Tale::new()).collect();
        let start = Barrier::new(2);
        thread::scope(|scope| {
            let canceler = scope.spawn(|| {
                start.wait();
                handle.cancel();
            });
            start.wait();
            for tale in &tales {
                ctx.after_func(tale.function());
            }
            canceler.join().unwrap();
        });
        assert!(tales.iter().all(|tale| tale.has_run()), "{tales:?}");
    }
}

/// Three kinds of waiters: gone before the cancel (never woken), kept (woken once), dropped meanwhile (once at most).
#[test]
fn s1_dropped_waiters_x_wake() {
    let watch = Watch::new();
    for _ in 0..stress(60) {
        let (ctx, handle) = Context::background().with_cancel();
        let start = Barrier::new(2);
        let mut waiters: Vec<_> = (0..60)
            .map(|n| {
                let mut done = below(&ctx, n).0.into_done();
                let (wakes, waker) = Wakes::new();
                assert!(poll_with(&mut done, &waker).is_pending());
                (done, wakes)
            })
            .collect();
        let gone: Vec<_> = waiters.drain(..20).map(|(_, wakes)| wakes).collect();
        let leaving: Vec<_> = waiters.drain(..20).collect();
        let counts: Vec<_> = leaving.iter().map(|(_, wakes)| wakes.clone()).collect();
        watch.scope(|scope| {
            let (start, post) = (&start, watch.post("leaver"));
            scope.spawn(move || {
                start.wait();
                for (done, _) in leaving {
                    post.during("drop of a pending Done", || drop(done));
                }
            });
            let post = watch.post("canceler");
            start.wait();
            post.during("cancel", || handle.cancel());
        });
        assert!(gone.iter().all(|wakes| wakes.count() == 0), "left before the cancel");
        assert!(counts.iter().all(|wakes| wakes.count() <= 1), "woken twice");
        for (mut done, wakes) in waiters {
            assert_eq!(wakes.count(), 1);
            assert!(poll(&mut done).is_ready());
        }
    }
}
