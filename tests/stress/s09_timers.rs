//! S9: deadlines are moved, fired, canceled and dropped all at once. Never early, one end, and the right cause; and no
//! deadline that nobody took back is lost.

use crate::common::watch::Watch;
use crate::common::*;
use ripcord::{CancelHandle, Context, Error};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

fn us(n: u64) -> Duration {
    Duration::from_micros(n)
}

/// What happened to one context, told by its function and by whoever moved or canceled it.
#[derive(Default)]
struct Record {
    /// When it ended, as its function saw it.
    ends: Mutex<Vec<(Instant, Option<Error>, String)>>,
    /// Per mover, the last instant it moved the deadline to, and was told that it did.
    moved: [Mutex<Option<Instant>>; 2],
}

fn watched(ctx: &Context, record: &Arc<Record>) {
    let (inside, record) = (ctx.clone(), record.clone());
    ctx.after_func(move || {
        let cause = inside.cause().map(|cause| cause.to_string()).unwrap_or_default();
        record.ends.lock().unwrap().push((Instant::now(), inside.err(), cause));
    });
}

/// Two move the deadline about, to instants from the past to a few milliseconds ahead; the timer fires; in some rounds a
/// third cancels or drops.
#[test]
fn s9_reset_x_fire_x_cancel_x_drop() {
    let watch = Watch::new();
    let (by_deadline, by_cancel) = (AtomicUsize::new(0), AtomicUsize::new(0));
    for round in 0..stress(60) {
        let first = Instant::now() + us(3_000);
        let contexts: Vec<_> = (0..24)
            .map(|_| {
                let (ctx, handle) = Context::background().with_deadline_cause(first, "late");
                let record = Arc::new(Record::default());
                watched(&ctx, &record);
                // A relay's deadline reaches what is below it.
                let below = ctx.with_cancel().0;
                (ctx, handle, below, record)
            })
            .collect();
        let start = Barrier::new(3);
        watch.scope(|scope| {
            for mover in 0..2 {
                let (contexts, start, post) = (&contexts, &start, watch.post("mover"));
                let mut random = Random::new((2 * round + mover) as u64);
                scope.spawn(move || {
                    start.wait();
                    for _ in 0..12 {
                        for (_, handle, _, record) in contexts {
                            let to = Instant::now() + us(random.next() % 4_000);
                            if post.during("reset", || handle.reset_deadline(to)) {
                                *record.moved[mover].lock().unwrap() = Some(to);
                            }
                        }
                    }
                });
            }
            let post = watch.post("canceler");
            start.wait();
            if round % 3 != 0 {
                for (n, (_, handle, ..)) in contexts.iter().enumerate() {
                    if n % 3 == round % 3 {
                        post.during("cancel", || handle.cancel_cause("canceled"));
                    }
                    thread::yield_now();
                }
            }
        });
        let post = watch.post("waiter");
        for (ctx, handle, below, record) in contexts {
            post.during("wait for a deadline that nobody took back", || wait_for(&ctx));
            assert!(!handle.reset_deadline(far()), "it has ended");
            eventually("the function", || !record.ends.lock().unwrap().is_empty());
            let ends = record.ends.lock().unwrap();
            let [(at, error, cause)] = &ends[..] else { panic!("one end: {ends:?}") };
            assert_eq!((below.err(), ctx.err()), (*error, *error));
            assert_eq!(&below.cause().unwrap().to_string(), cause);
            match error {
                Some(Error::DeadlineExceeded) => {
                    assert_eq!(cause, "late");
                    by_deadline.fetch_add(1, SeqCst);
                    // It fired by the last move of all, which is the last of one of the movers.
                    let last = record.moved.iter().filter_map(|moved| *moved.lock().unwrap()).min();
                    let least = last.unwrap_or(first);
                    assert!(*at >= least, "fired {:?} early", least - *at);
                }
                _ => {
                    assert_eq!(cause, "canceled");
                    by_cancel.fetch_add(1, SeqCst);
                }
            }
        }
    }
    let (by_deadline, by_cancel) = (by_deadline.into_inner(), by_cancel.into_inner());
    assert_eq!(by_deadline + by_cancel, stress(60) * 24);
    assert!(by_deadline > 0, "the timer was never first");
}

/// Contexts come and go with their deadlines on every thread, so pooled cells are used again and again under addresses
/// that others have just let go of.
#[test]
fn s9_reused_reminders_fire_nobody_elses_deadline() {
    let watch = Watch::new();
    watch.scope(|scope| {
        for seed in 0..4 {
            let post = watch.post("worker");
            scope.spawn(move || {
                let mut random = Random::new(seed);
                let mut held: Vec<(Context, CancelHandle, Option<Instant>, Arc<Record>)> = Vec::new();
                for _ in 0..stress(3_000) {
                    let now = Instant::now();
                    post.at("arm");
                    let at = (random.below(3) > 0).then(|| now + us(random.next() % 2_000));
                    let (ctx, handle) = Context::background().with_deadline_cause(at.unwrap_or_else(far), "late");
                    let record = Arc::new(Record::default());
                    match random.below(4) {
                        0 => post.during("cancel", || handle.cancel_cause("canceled")),
                        1 => post.during("drop", || drop((ctx, handle))),
                        2 => {
                            watched(&ctx, &record);
                            let at = now + us(random.next() % 3_000);
                            let moved = post.during("reset", || handle.reset_deadline(at));
                            if moved {
                                held.push((ctx, handle, Some(at), record));
                            } else {
                                assert_ended(&ctx, Error::DeadlineExceeded, "late");
                            }
                        }
                        _ => {
                            watched(&ctx, &record);
                            held.push((ctx, handle, at, record));
                        }
                    }
                    if held.len() > 100 {
                        let (ctx, handle, at, record) = held.swap_remove(random.below(held.len()));
                        settle(&post, &ctx, &handle, at, &record);
                    }
                }
                for (ctx, handle, at, record) in held {
                    settle(&post, &ctx, &handle, at, &record);
                }
            });
        }
    });
}

/// A context with this deadline ends by it and not before; one without is canceled here.
fn settle(
    post: &crate::common::watch::Post,
    ctx: &Context,
    handle: &CancelHandle,
    at: Option<Instant>,
    record: &Record,
) {
    match at {
        Some(at) => {
            post.during("wait for a deadline", || assert_eq!(wait_for(ctx), Error::DeadlineExceeded));
            eventually("the function", || !record.ends.lock().unwrap().is_empty());
            let ends = record.ends.lock().unwrap();
            assert_eq!(ends.len(), 1);
            assert!(ends[0].0 >= at, "early");
        }
        None => {
            assert!(!ctx.is_done(), "ended by somebody else's deadline: {ctx:?}");
            post.during("cancel", || handle.cancel());
            assert_eq!(record.ends.lock().unwrap().len(), 1);
        }
    }
}

/// The same deadline pushed back just before it fires, by many, over and over: the timer meets each of them half-way.
#[test]
fn s9_push_backs_at_the_last_moment() {
    let watch = Watch::new();
    for round in 0..stress(10) {
        let pushes = 6;
        let step = us(600 + 100 * (round as u64 % 5));
        let contexts: Vec<_> = (0..40).map(|_| Context::background().with_timeout(step)).collect();
        let lasts: Vec<_> = contexts.iter().map(|_| Mutex::new(None)).collect();
        watch.scope(|scope| {
            for half in 0..2 {
                let (contexts, lasts, post) = (&contexts, &lasts, watch.post("pusher"));
                scope.spawn(move || {
                    for _ in 0..pushes {
                        thread::sleep(step);
                        for n in (half..contexts.len()).step_by(2) {
                            let to = Instant::now() + step;
                            if post.during("push back", || contexts[n].1.reset_deadline(to)) {
                                *lasts[n].lock().unwrap() = Some(to);
                            }
                        }
                    }
                });
            }
            let post = watch.post("waiter");
            for (ctx, _) in &contexts {
                post.during("wait", || assert_eq!(wait_for(ctx), Error::DeadlineExceeded));
            }
        });
        let now = Instant::now();
        for last in lasts {
            let last = last.into_inner().unwrap();
            assert!(last.is_none_or(|last| now >= last), "ended before the instant it was moved to");
        }
    }
}
