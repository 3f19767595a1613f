//! Virtual time: it stands, it is moved, it runs on; deadlines fire in order, at their own nanosecond, before the call
//! returns.
#![cfg(not(feature = "loom"))]

#[path = "common/clock.rs"]
mod clock;
mod common;
#[cfg(target_os = "linux")]
#[path = "common/threads.rs"]
mod threads;

use clock::Clock;
use common::*;
use ripcord::{Context, Error, time};
use std::collections::HashSet;
use std::future::pending;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};
#[cfg(target_os = "linux")]
use threads::{asleep, sleeps, threads};

const HOUR: Duration = Duration::from_secs(3600);
const NANO: Duration = Duration::from_nanos(1);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[test]
fn a_stopped_clock_stands_still() {
    let _clock = Clock::take();
    let (ctx, _handle) = Context::background().with_timeout(ms(1));
    let (now, real) = (time::now(), Instant::now());
    thread::sleep(ms(20));
    time::pause();
    assert!(Instant::now() >= real + ms(20));
    assert_eq!(time::now(), now, "a second pause changes nothing");
    assert_eq!(ctx.deadline(), Some(now + ms(1)));
    assert_eq!(ctx.remaining(), Some(ms(1)));
    assert_live(&ctx);
    assert!(ctx.to_string().contains("[in 1ms]"), "{ctx}");
}

#[test]
fn a_deadline_fires_at_its_nanosecond_and_not_before() {
    let _clock = Clock::take();
    let (ctx, _handle) = Context::background().with_timeout_cause(HOUR, "late");
    time::advance(HOUR - NANO);
    assert_live(&ctx);
    assert_eq!(ctx.remaining(), Some(NANO));
    time::advance(Duration::ZERO);
    assert_live(&ctx);
    time::advance(NANO);
    assert_ended(&ctx, Error::DeadlineExceeded, "late");
    assert_eq!(ctx.remaining(), Some(Duration::ZERO));
}

#[test]
fn deadlines_fire_in_order_each_at_its_own_time_on_the_callers_thread() {
    let _clock = Clock::take();
    let start = time::now();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let mut random = Random::new(1);
    let mut held = Vec::new();
    for _ in 0..2_000 {
        let after = Duration::from_nanos(1 + random.next() % 1_000_000_000);
        let (ctx, handle) = Context::background().with_deadline(start + after);
        let heard = heard.clone();
        ctx.after_func(move || heard.lock().unwrap().push((after, time::now(), thread::current().id())));
        held.push((ctx, handle));
    }
    for _ in 0..10 {
        time::advance(ms(100));
        let now = time::now() - start;
        let heard = heard.lock().unwrap();
        assert!(heard.iter().all(|(after, _, _)| *after <= now));
        assert_eq!(heard.len(), held.iter().filter(|(ctx, _)| ctx.is_done()).count());
        assert_eq!(heard.len(), held.iter().filter(|(ctx, _)| ctx.deadline().unwrap() <= time::now()).count());
    }
    let heard = heard.lock().unwrap();
    assert_eq!(heard.len(), held.len());
    assert!(heard.is_sorted_by_key(|(after, _, _)| *after), "in the order of their times");
    assert!(heard.iter().all(|(after, at, _)| *at == start + *after), "each sees the clock at its deadline");
    assert!(heard.iter().all(|(_, _, thread)| *thread == thread::current().id()));
}

/// Goes off every 10 ms: armed again by its own callback.
fn every_10_ms(beats: Arc<Mutex<Vec<Instant>>>) {
    let (ctx, _handle) = Context::background().with_timeout(ms(10));
    ctx.after_func(move || {
        beats.lock().unwrap().push(time::now());
        every_10_ms(beats);
    });
}

#[test]
fn what_a_callback_arms_fires_on_the_way() {
    let _clock = Clock::take();
    let start = time::now();
    let beats = Arc::new(Mutex::new(Vec::new()));
    every_10_ms(beats.clone());
    time::advance(ms(95));
    let expected: Vec<_> = (1..10).map(|n| start + ms(10) * n).collect();
    assert_eq!(*beats.lock().unwrap(), expected);
    time::advance(ms(5));
    assert_eq!(beats.lock().unwrap().len(), 10);
}

#[test]
fn callbacks_may_move_stop_and_start_the_clock() {
    let _clock = Clock::take();
    let start = time::now();
    let (outer, _outer) = Context::background().with_timeout(ms(10));
    let (inner, _inner) = Context::background().with_timeout(ms(28));
    let (beyond, _beyond) = Context::background().with_timeout(ms(31));
    let seen = inner.clone();
    let tale = Tale::new();
    let run = tale.function();
    outer.after_func(move || {
        time::pause();
        time::advance(ms(10));
        assert!(seen.is_done(), "fired before the inner call returned");
        run();
    });
    time::advance(ms(20));
    assert!(tale.has_run());
    assert_eq!(time::now(), start + ms(30), "the two calls add up");
    assert_ended(&inner, Error::DeadlineExceeded, "context deadline exceeded");
    assert_live(&beyond);

    let (starts, _starts) = Context::background().with_timeout(ms(1));
    starts.after_func(time::resume);
    let (later, _later) = Context::background().with_timeout(HOUR);
    time::advance(HOUR * 2);
    assert!(time::now() >= start + ms(30) + HOUR * 2, "it runs on from where the advance ends");
    assert!(later.is_done());
}

#[test]
fn concurrent_advances_add_up_and_fire_everything_once() {
    let _clock = Clock::take();
    let start = time::now();
    let fired = Arc::new(AtomicUsize::new(0));
    let held: Vec<_> = (0..1_000u64)
        .map(|n| {
            let (ctx, handle) = Context::background().with_timeout(Duration::from_micros(100) * (n as u32 + 1));
            let fired = fired.clone();
            ctx.after_func(move || {
                fired.fetch_add(1, SeqCst);
            });
            (ctx, handle)
        })
        .collect();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..25 {
                    let before = time::now();
                    time::advance(ms(1));
                    let now = time::now();
                    assert!(now >= before + ms(1));
                    for (ctx, _) in &held {
                        assert!(ctx.is_done() || ctx.deadline().unwrap() > before + ms(1));
                    }
                }
            });
        }
    });
    assert_eq!(time::now(), start + ms(100));
    assert!(held.iter().all(|(ctx, _)| ctx.err() == Some(Error::DeadlineExceeded)));
    assert_eq!(fired.load(SeqCst), 1_000);
}

#[test]
fn time_never_runs_backward() {
    let _clock = Clock::take();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut last = time::now();
                while !stop.load(SeqCst) {
                    let now = time::now();
                    assert!(now >= last, "{:?} backward", last - now);
                    last = now;
                }
            });
        }
        for round in 0..stress(2_000) {
            time::resume();
            if round % 3 == 0 {
                time::advance(Duration::from_micros(5));
            }
            time::pause();
            time::advance(Duration::from_micros(5));
        }
        stop.store(true, SeqCst);
    });
}

#[test]
fn a_resumed_clock_goes_on_from_where_it_stood() {
    let _clock = Clock::take();
    let (ctx, _handle) = Context::background().with_timeout(ms(30));
    time::advance(ms(20));
    thread::sleep(ms(15));
    let (now, real) = (time::now(), Instant::now());
    time::resume();
    assert_eq!(wait_for(&ctx), Error::DeadlineExceeded);
    assert!(real.elapsed() >= ms(10), "what stood is not made up for");
    assert!(time::now() >= now + ms(10));
    time::resume();
    let (next, _next) = Context::background().with_timeout(ms(1));
    assert_eq!(wait_for(&next), Error::DeadlineExceeded);
}

#[test]
fn a_running_clock_is_moved_ahead_and_runs_on() {
    let _clock = Clock::take();
    time::resume();
    let (near, _near) = Context::background().with_timeout(HOUR);
    let (far, _far) = Context::background().with_timeout(HOUR * 3);
    let before = time::now();
    time::advance(HOUR * 2);
    assert!(time::now() >= before + HOUR * 2);
    assert_ended(&near, Error::DeadlineExceeded, "context deadline exceeded");
    assert_live(&far);
    assert!(far.remaining().unwrap() <= HOUR);
    let (soon, _soon) = Context::background().with_timeout(ms(2));
    assert_eq!(wait_for(&soon), Error::DeadlineExceeded);
}

#[test]
fn instants_count_by_the_stopped_clock() {
    let _clock = Clock::take();
    let now = time::now();
    assert!(Context::background().with_deadline(now).0.is_done());
    assert!(Context::background().with_deadline(now - HOUR).0.is_done());
    let (ctx, handle) = Context::background().with_deadline(now + NANO);
    assert_live(&ctx);
    assert!(handle.reset_deadline(now + HOUR));
    time::advance(HOUR);
    assert!(ctx.is_done());
    assert!(!handle.reset_deadline(time::now() + HOUR));
    // The system's clock is behind by now: an instant of its is past.
    assert!(Context::background().with_deadline(Instant::now()).0.is_done());
}

#[test]
fn deadlines_are_moved_while_the_clock_stands() {
    let _clock = Clock::take();
    let (ctx, handle) = Context::background().with_timeout(ms(10));
    time::advance(ms(9));
    for _ in 0..100 {
        assert!(handle.reset_timeout(ms(10)));
        time::advance(ms(9));
        assert_live(&ctx);
    }
    assert!(handle.reset_timeout(HOUR));
    assert!(handle.reset_timeout(ms(5)));
    time::advance(ms(4));
    assert_live(&ctx);
    assert!(handle.reset_deadline(time::now()), "the present is past");
    assert_ended(&ctx, Error::DeadlineExceeded, "context deadline exceeded");
}

#[test]
fn waiting_threads_see_the_clock_move() {
    let _clock = Clock::take();
    let (live, _live) = Context::background().with_cancel();
    let (timed, _timed) = Context::background().with_timeout(HOUR);
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        let wait = |name: &'static str, ctx: &Context, after: Duration| {
            let (tell, ctx) = (tell.clone(), ctx.clone());
            scope.spawn(move || {
                tell.send(("waits", None)).unwrap();
                let end = ctx.wait_timeout(after);
                tell.send((name, end)).unwrap();
            });
            assert_eq!(told.recv().unwrap().0, "waits");
        };
        wait("for the live", &live, HOUR * 2);
        wait("for the timed", &timed, HOUR * 2);
        wait("in vain for the timed", &timed, ms(1));
        // They may not have read the clock yet: step by step, it comes to all of them. With a rest in between, or they
        // hardly get at it, and it is at the end of time before they do.
        let mut ends = Vec::new();
        while ends.len() < 3 {
            time::advance(ms(600_000));
            thread::sleep(ms(1));
            ends.extend(told.try_iter());
        }
        assert!(ends.contains(&("for the live", None)), "{ends:?}");
        assert!(ends.contains(&("for the timed", Some(Error::DeadlineExceeded))), "{ends:?}");
        assert!(ends.iter().any(|end| end.0 == "in vain for the timed"), "{ends:?}");
    });
}

#[test]
fn a_thread_that_waits_sleeps_as_long_as_the_clock_stands_and_wakes_when_it_runs() {
    let _clock = Clock::take();
    let (ctx, _handle) = Context::background().with_cancel();
    let back = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            assert_eq!(ctx.wait_timeout(ms(2)), None);
            back.store(true, SeqCst);
        });
        thread::sleep(ms(20));
        assert!(!back.load(SeqCst), "no time has passed");
        time::resume();
        eventually("the thread to come back", || back.load(SeqCst));
    });
}

#[test]
fn futures_end_by_virtual_deadlines() {
    let _clock = Clock::take();
    let (ctx, _handle) = Context::background().with_timeout(HOUR);
    let (wakes, waker) = Wakes::new();
    let mut run = Box::pin(ctx.run(pending::<()>()));
    assert!(poll_with(&mut run, &waker).is_pending());
    time::advance(HOUR - NANO);
    assert_eq!(wakes.count(), 0);
    time::advance(NANO);
    assert_eq!(wakes.count(), 1, "woken before the call returned");
    assert_eq!(block_on(run), Err(Error::DeadlineExceeded));
}

#[test]
fn parents_and_children_end_by_the_earlier_deadline() {
    let _clock = Clock::take();
    let (parent, parent_handle) = Context::background().with_timeout_cause(HOUR, "parent");
    let (child, _child) = parent.with_timeout_cause(HOUR * 2, "child");
    let (sooner, _sooner) = parent.with_timeout_cause(HOUR / 2, "sooner");
    time::advance(HOUR / 2);
    assert_ended(&sooner, Error::DeadlineExceeded, "sooner");
    assert!(parent_handle.reset_timeout(HOUR * 9));
    time::advance(HOUR);
    assert_live(&child);
    time::advance(HOUR / 2);
    assert_ended(&child, Error::DeadlineExceeded, "child");
    assert_live(&parent);
    time::advance(HOUR * 8);
    assert_ended(&parent, Error::DeadlineExceeded, "parent");
}

#[test]
fn released_deadlines_do_not_fire() {
    let _clock = Clock::take();
    let tale = Tale::new();
    let (canceled, handle) = Context::background().with_timeout(ms(1));
    handle.cancel();
    let dropped = Context::background().with_timeout(ms(1)).0.with_value(tale.probe());
    drop(dropped);
    assert!(tale.is_dropped_unrun());
    let (disarmed, disarmed_handle) = Context::background().with_timeout(ms(1));
    assert!(disarmed_handle.reset_timeout(Duration::MAX));
    time::advance(HOUR);
    assert_canceled(&canceled);
    assert_live(&disarmed);
}

#[test]
fn g8_a_panicking_callback_does_not_stop_the_clock_and_goes_on_from_advance() {
    let _clock = Clock::take();
    let (loud, _loud) = Context::background().with_timeout(ms(1));
    loud.after_func(|| panic!("on the way"));
    let (next, _next) = Context::background().with_timeout(ms(2));
    next.after_func(|| panic!("later"));
    let start = time::now();
    let panic = catch_unwind(|| time::advance(ms(3))).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"on the way"));
    assert_eq!(time::now(), start + ms(3));
    assert!(loud.is_done() && next.is_done());
    time::advance(ms(1));
}

#[test]
fn arms_and_advances_from_many_threads_lose_nothing() {
    let _clock = Clock::take();
    let early = AtomicUsize::new(0);
    thread::scope(|scope| {
        for seed in 0..3 {
            let early = &early;
            scope.spawn(move || {
                let mut random = Random::new(seed);
                for _ in 0..stress(300) {
                    let at = time::now() + Duration::from_nanos(1 + random.next() % 3_000_000);
                    let (ctx, handle) = Context::background().with_deadline(at);
                    if random.below(4) == 0 {
                        handle.reset_timeout(ms(2));
                    }
                    // The move may have been one to earlier.
                    let due = ctx.deadline().unwrap();
                    if random.below(3) == 0 {
                        early.fetch_add(usize::from(ctx.is_done() && time::now() < due), SeqCst);
                        continue;
                    }
                    while !ctx.is_done() {
                        time::advance(Duration::from_nanos(random.next() % 1_000_000));
                    }
                    assert!(time::now() >= ctx.deadline().unwrap(), "fired early");
                }
            });
        }
    });
    assert_eq!(early.load(SeqCst), 0);
}

#[test]
#[cfg(target_os = "linux")]
fn the_timers_thread_sleeps_while_the_clock_stands() {
    let _clock = Clock::take();
    // So that there is one, even if this test runs alone.
    let (_armed, _handle) = Context::background().with_timeout(HOUR);
    let mut drivers: Vec<u32> = Vec::new();
    eventually("the thread to start", || {
        drivers = threads().into_iter().filter(|(_, name)| name.starts_with("ripcord")).map(|(id, _)| id).collect();
        !drivers.is_empty()
    });
    let before = drivers.iter().map(|&id| asleep(id)).sum::<u64>();
    let ids = HashSet::from([thread::current().id()]);
    for _ in 0..100 {
        let (ctx, _handle) = Context::background().with_timeout(HOUR * 2);
        let ids = ids.clone();
        ctx.after_func(move || assert!(ids.contains(&thread::current().id())));
        time::advance(HOUR * 3);
        assert!(ctx.is_done());
    }
    // An arm that is earlier than all before it calls the thread, which goes back to sleep.
    let woken = drivers.iter().map(|&id| sleeps(id)).sum::<u64>() - before;
    assert!(woken <= 101, "it sleeps but for being called: woken {woken} times");
}
