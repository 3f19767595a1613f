//! The configuration of the process: where functions run, who hears of panics, how deadlines are coalesced.
//!
//! A process of its own, and one test at a time: what is installed here is installed for everybody.
#![cfg(not(feature = "loom"))]

mod common;

use common::alone::Configuring;
use common::early::none_is_early;
use common::*;
use ripcord::{CancelHandle, Config, Context, Error};
use std::any::Any;
use std::panic::{catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

type Job = Box<dyn FnOnce() + Send>;

/// An executor that keeps what it is given until it is asked to work.
fn collector() -> (Config, mpsc::Receiver<Job>) {
    let (give, given) = mpsc::channel::<Job>();
    let give = Mutex::new(give);
    (Config::default().callbacks(move |job| drop(give.lock().unwrap().send(job))), given)
}

#[test]
fn callbacks_run_where_the_executor_takes_them() {
    let _alone = Configuring::alone();
    let (config, jobs) = collector();
    config.install();
    let (ctx, handle) = Context::background().with_cancel();
    let (before, after, at_once, by_deadline) = (Tale::new(), Tale::new(), Tale::new(), Tale::new());
    ctx.after_func(before.function());
    ctx.with_cancel().0.after_func(after.function());
    handle.cancel();
    assert!(before.is_waiting() && after.is_waiting(), "handed over, not run");
    ctx.after_func(at_once.function());
    assert!(at_once.is_waiting(), "a function on an ended context is handed over too");
    let jobs_so_far: Vec<_> = jobs.try_iter().collect();
    assert_eq!(jobs_so_far.len(), 3);
    thread::spawn(move || jobs_so_far.into_iter().for_each(|job| job())).join().unwrap();
    assert!(before.has_run() && after.has_run() && at_once.has_run());

    let (timed, _timed) = Context::background().with_timeout(Duration::from_millis(2));
    timed.after_func(by_deadline.function());
    let job = jobs.recv_timeout(Duration::from_secs(60)).expect("handed over by the driver");
    assert!(timed.is_done() && by_deadline.is_waiting());
    job();
    assert!(by_deadline.has_run());
}

#[test]
fn a_function_that_the_executor_drops_never_runs() {
    let _alone = Configuring::alone();
    Config::default().callbacks(drop).install();
    let (ctx, handle) = Context::background().with_cancel();
    let tale = Tale::new();
    let after = ctx.after_func(tale.function());
    handle.cancel();
    assert!(tale.is_dropped_unrun());
    assert!(!after.stop(), "it was the executor that prevented the run");
}

#[test]
fn a_stopped_function_is_not_handed_over() {
    let _alone = Configuring::alone();
    let (config, jobs) = collector();
    config.install();
    let (ctx, handle) = Context::background().with_cancel();
    let tale = Tale::new();
    let stopped = ctx.after_func(tale.function());
    let kept = ctx.after_func(|| ());
    assert!(stopped.stop());
    handle.cancel();
    assert_eq!(jobs.try_iter().count(), 1);
    assert!(!kept.stop(), "handed over is too late to stop");
    assert!(tale.is_dropped_unrun());
}

#[test]
fn an_executor_frees_functions_that_want_the_cancelers_lock() {
    let _alone = Configuring::alone();
    Config::default().callbacks(|job| drop(thread::spawn(job))).install();
    within_a_minute(|| {
        let lock = Arc::new(Mutex::new(0));
        let (ctx, handle) = Context::background().with_cancel();
        let inside = lock.clone();
        ctx.after_func(move || *inside.lock().unwrap() += 1);
        let guard = lock.lock().unwrap();
        handle.cancel();
        drop(guard);
        eventually("the function", || *lock.lock().unwrap() == 1);
    });
}

#[test]
fn a_panicking_executor_strands_nobody() {
    let _alone = Configuring::alone();
    Config::default().callbacks(|_| resume_unwind(Box::new("executor"))).install();
    let (ctx, handle) = Context::background().with_cancel();
    let (wakes, waker) = Wakes::new();
    let mut done = ctx.done();
    assert!(poll_with(&mut done, &waker).is_pending());
    let children: Vec<_> = (0..5).map(|_| ctx.with_cancel().0).collect();
    for child in &children {
        child.after_func(|| ());
    }
    assert_eq!(catch_unwind(|| handle.cancel()).unwrap_err().downcast_ref(), Some(&"executor"));
    assert!(children.iter().all(Context::is_done));
    assert_eq!(wakes.count(), 1);
}

fn text_of(payload: &(dyn Any + Send)) -> String {
    payload.downcast_ref::<&'static str>().map_or_else(String::new, |text| (*text).to_owned())
}

#[test]
fn on_panic_hears_of_every_panic_and_nothing_resurfaces() {
    let _alone = Configuring::alone();
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    Config::default().on_panic(move |payload| drop(tell.lock().unwrap().send(text_of(&*payload)))).install();
    let heard = || {
        let mut heard: Vec<String> = told.try_iter().collect();
        heard.sort();
        heard
    };

    let (ctx, handle) = Context::background().with_cancel();
    for n in 0..3 {
        let text = ["callback 0", "callback 1", "callback 2"][n];
        ctx.after_func(move || resume_unwind(Box::new(text)));
    }
    let mut done = ctx.with_cancel().0.into_done();
    assert!(poll_with(&mut done, &waker_fn(|| resume_unwind(Box::new("waker")))).is_pending());
    handle.cancel();
    assert_eq!(heard(), ["callback 0", "callback 1", "callback 2", "waker"]);
    ctx.after_func(|| resume_unwind(Box::new("at once")));
    assert_eq!(heard(), ["at once"]);

    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            resume_unwind(Box::new("value"));
        }
    }
    drop(Context::background().with_value(Bomb).with_cancel());
    assert_eq!(heard(), ["value"]);

    let (foreign, mut inner) = Foreign::<()>::new();
    let (_ctx, _handle) = Context::background().with_cancel_on(std::future::poll_fn(move |cx| {
        if poll_with(&mut inner, cx.waker()).is_ready() {
            resume_unwind(Box::new("future"));
        }
        std::task::Poll::<()>::Pending
    }));
    foreign.complete(());
    assert_eq!(heard(), ["future"]);

    let (timed, _timed) = Context::background().with_timeout(Duration::from_millis(1));
    timed.after_func(|| resume_unwind(Box::new("driver")));
    assert_eq!(told.recv_timeout(Duration::from_secs(60)).as_deref(), Ok("driver"));
}

#[test]
fn a_hook_that_panics_itself_changes_nothing() {
    let _alone = Configuring::alone();
    Config::default().on_panic(|_| resume_unwind(Box::new("hook"))).install();
    let (ctx, handle) = Context::background().with_cancel();
    let tale = Tale::new();
    let children: Vec<_> = (0..5).map(|_| ctx.with_cancel().0).collect();
    for child in &children {
        child.after_func(|| resume_unwind(Box::new("callback")));
    }
    ctx.after_func(tale.function());
    handle.cancel();
    assert!(tale.has_run() && children.iter().all(Context::is_done));
}

#[test]
fn without_a_window_deadlines_are_still_never_early() {
    let _alone = Configuring::alone();
    for window in [Duration::ZERO, Duration::from_micros(50), Duration::from_millis(20), Duration::from_millis(1)] {
        Config::default().timer_window(window).install();
        none_is_early(stress(200), format!("with a window of {window:?}"), |fired| {
            let mut random = Random::new(7);
            for _ in 0..stress(200) {
                let at = Instant::now() + Duration::from_nanos(random.next() % 5_000_000);
                let (ctx, _handle) = Context::background().with_deadline(at);
                fired.expect(&ctx, at);
            }
        });
    }
}

/// Pushed back a little, just before it fires: the reminder surfaces before the deadline has come.
#[test]
fn d4_a_deadline_pushed_back_at_the_last_moment_is_not_early_either() {
    let _alone = Configuring::alone();
    let mut random = Random::new(8);
    for window in [Duration::ZERO, Duration::from_millis(1)] {
        Config::default().timer_window(window).install();
        for _ in 0..stress(10) {
            none_is_early(40, format!("with a window of {window:?}"), |fired| {
                let at = Instant::now() + Duration::from_millis(2);
                for n in 0..40 {
                    let (ctx, handle) = Context::background().with_deadline(at + Duration::from_micros(n));
                    let later = at + Duration::from_micros(n + 1 + random.next() % 1_500);
                    let last = if handle.reset_deadline(later) { later } else { at };
                    fired.expect(&ctx, last);
                }
            });
        }
    }
}

/// With a long window a deadline is past long before the driver comes: a parent that is, and its deadline.
fn overdue(window: Duration) -> (Context, CancelHandle, Instant) {
    Config::default().timer_window(window).install();
    let first = Instant::now() + Duration::from_millis(3);
    let (parent, handle) = Context::background().with_deadline_cause(first, "parent");
    while Instant::now() <= first + Duration::from_nanos(50) {
        thread::yield_now();
    }
    (parent, handle, first)
}

/// How the second of two past deadlines is made, 10 ns after the first: always the first gives the cause.
#[test]
fn d2_of_two_past_deadlines_the_earlier_gives_the_cause_also_before_the_driver_has_come() {
    let _alone = Configuring::alone();
    type Make = fn(&Context, Instant) -> Context;
    let ways: [(&str, Make); 6] = [
        ("a deadline", |parent, at| parent.with_deadline_cause(at, "child").0),
        ("no time at all", |parent, _| parent.with_value(1u8).with_timeout_cause(Duration::ZERO, "child").0),
        ("below a child", |parent, at| parent.with_cancel().0.with_deadline_cause(at, "child").0),
        ("below a merge", |parent, at| {
            Context::background().with_cancel_from(parent).0.with_deadline_cause(at, "child").0
        }),
        ("a reset", |parent, at| {
            let (ctx, handle) = parent.with_deadline_cause(far(), "child");
            handle.reset_deadline(at);
            ctx
        }),
        ("a reset below a merge", |parent, at| {
            let (merged, _) = Context::background().with_cancel_from(parent);
            let (ctx, handle) = merged.with_deadline_cause(far(), "child");
            handle.reset_deadline(at);
            ctx
        }),
    ];
    for (way, make) in ways {
        let (parent, _parent, first) = overdue(Duration::from_millis(60));
        let child = make(&parent, first + Duration::from_nanos(10));
        assert_eq!(child.cause().expect("ended when made").to_string(), "parent", "{way}");
        assert_ended(&child, Error::DeadlineExceeded, "parent");
        assert_eq!(wait_for(&parent), Error::DeadlineExceeded);
    }
    // Pushed back in time, the parent's deadline is not past any more.
    let (parent, handle, first) = overdue(Duration::from_millis(60));
    if handle.reset_deadline(far()) {
        let (child, _child) = parent.with_deadline_cause(first, "child");
        assert_ended(&child, Error::DeadlineExceeded, "child");
        assert_live(&parent);
    }
}

/// From one past instant to another, before the driver has come: the second is past all the same.
#[test]
fn d6_an_overdue_deadline_moved_to_a_later_past_instant_ends_the_context_at_once() {
    let _alone = Configuring::alone();
    for by_timeout in [false, true] {
        let (ctx, handle, first) = overdue(Duration::from_millis(60));
        let moved = if by_timeout {
            handle.reset_timeout(Duration::ZERO)
        } else {
            handle.reset_deadline(first + Duration::from_nanos(20))
        };
        assert!(ctx.is_done(), "ended before the call returns; moved: {moved}, by a timeout: {by_timeout}");
        assert_ended(&ctx, Error::DeadlineExceeded, "parent");
    }
}

#[test]
fn d2_a_childs_own_earlier_deadline_gives_its_own_cause() {
    let _alone = Configuring::alone();
    let (parent, _parent, first) = overdue(Duration::from_millis(60));
    let (sooner, _sooner) = parent.with_deadline_cause(first - Duration::from_nanos(10), "sooner");
    // Unless the driver was there already.
    let cause = sooner.cause().unwrap().to_string();
    assert!(cause == "sooner" || (cause == "parent" && parent.is_done()), "{cause}");
    wait_for(&parent);
    assert_ended(&parent, Error::DeadlineExceeded, "parent");
}

/// Parent and child fall due in one wake-up of the driver, armed on different threads: still in the order of time.
#[test]
fn d3_deadlines_that_fire_together_fire_in_the_order_of_time() {
    let _alone = Configuring::alone();
    Config::default().timer_window(Duration::from_millis(5)).install();
    for _ in 0..stress(8) {
        let at = Instant::now() + Duration::from_millis(4);
        let trees: Vec<_> = (0..40).map(|_| Context::background().with_deadline_cause(at, "parent")).collect();
        let children: Vec<_> = thread::scope(|scope| {
            let parts: Vec<_> = trees
                .chunks(10)
                .zip(1..)
                .map(|(part, n)| {
                    let later = at + Duration::from_nanos(n);
                    let below = move |(parent, _): &(Context, CancelHandle)| parent.with_deadline_cause(later, "child");
                    scope.spawn(move || part.iter().map(below).collect::<Vec<_>>())
                })
                .collect();
            parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
        });
        for (child, _) in &children {
            wait_for(child);
            assert_ended(child, Error::DeadlineExceeded, "parent");
        }
    }
}

#[test]
fn a_configuration_may_be_installed_again_and_copied() {
    let _alone = Configuring::alone();
    let (first, first_jobs) = collector();
    let (second, second_jobs) = collector();
    for (config, n) in [(first, 1), (second, 2)] {
        config.install();
        let (ctx, handle) = Context::background().with_cancel();
        ctx.after_func(|| ());
        handle.cancel();
        assert_eq!(
            (first_jobs.try_iter().count(), second_jobs.try_iter().count()),
            (usize::from(n == 1), usize::from(n == 2))
        );
    }
    Config::default().install();
    let (ctx, handle) = Context::background().with_cancel();
    let tale = Tale::new();
    ctx.after_func(tale.function());
    handle.cancel();
    assert!(tale.has_run(), "the default runs functions on the spot");
}

#[test]
fn configurations_are_installed_while_everything_runs() {
    let _alone = Configuring::alone();
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            for _ in 0..stress(400) {
                let (ctx, handle) = Context::background().with_timeout(Duration::from_secs(60));
                let tale = Tale::new();
                ctx.after_func(tale.function());
                handle.cancel();
                assert!(tale.has_run());
            }
        });
        while !worker.is_finished() {
            Config::default().callbacks(|job| job()).timer_window(Duration::ZERO).install();
            Config::default().install();
        }
    });
}
