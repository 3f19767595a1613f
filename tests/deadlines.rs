//! The rules of deadlines, as far as a caller can see them: those that need no waiting, and those that need real time.
//! Waiting for deadlines is in `deadlines_passing.rs`. The driver's thread is watched in `driver.rs`, what a deadline costs
//! in `sizes.rs`, what it leaves behind in `stress_flat.rs`.
#![cfg(not(feature = "loom"))]

mod common;

use common::early::none_is_early;
use common::*;
use ripcord::{Context, Error};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

const HOUR: Duration = Duration::from_secs(3600);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[test]
fn d1_a_timeout_is_a_deadline_counted_from_the_creation() {
    for after in [HOUR, Duration::from_nanos(3_600_000_000_001), Duration::from_secs(86_400 * 365)] {
        let before = Instant::now();
        let (ctx, _handle) = Context::background().with_timeout(after);
        let made = Instant::now();
        let deadline = ctx.deadline().expect("a deadline");
        assert!(before + after <= deadline && deadline <= made + after);
        let remaining = ctx.remaining().expect("time left");
        assert!(remaining <= after);
        assert!(remaining >= after.saturating_sub(before.elapsed()));
        assert_live(&ctx);
    }
}

#[test]
fn d1_a_deadline_is_kept_to_the_nanosecond() {
    for extra in 0..50 {
        let at = far() + Duration::from_nanos(extra);
        let (ctx, handle) = Context::background().with_deadline(at);
        assert_eq!(ctx.deadline(), Some(at));
        assert!(handle.reset_deadline(at + Duration::from_nanos(1)));
        assert_eq!(ctx.deadline(), Some(at + Duration::from_nanos(1)));
    }
}

#[test]
fn d1_an_overflowing_timeout_is_never() {
    for after in [Duration::MAX, Duration::MAX - ms(1), Duration::from_secs(u64::MAX / 2)] {
        let (ctx, handle) = Context::background().with_timeout(after);
        assert_eq!((ctx.deadline(), ctx.remaining()), (None, None));
        assert_live(&ctx);
        handle.cancel();
        assert_canceled(&ctx);
        let (ctx, _handle) = Context::background().with_timeout_cause(after, "never");
        assert_eq!(ctx.deadline(), None);
        assert_live(&ctx);
    }
}

#[test]
fn d1_without_a_deadline_nothing_remains_to_be_told() {
    let (ctx, _handle) = Context::background().with_cancel();
    for ctx in [&ctx, &Context::background(), &Context::todo(), &ctx.with_value(1u8), &ctx.without_cancel()] {
        assert_eq!((ctx.deadline(), ctx.remaining()), (None, None));
    }
}

#[test]
fn d2_a_past_deadline_ends_the_context_before_the_constructor_returns() {
    let parent = Context::background().with_value(1u8);
    let contexts = [
        parent.with_deadline(past()),
        parent.with_timeout(Duration::ZERO),
        parent.with_deadline_cause(past(), "late"),
        parent.with_timeout_cause(Duration::ZERO, "late"),
    ];
    for ((ctx, handle), cause) in
        contexts.iter().zip(["context deadline exceeded", "context deadline exceeded", "late", "late"])
    {
        assert_ended(ctx, Error::DeadlineExceeded, cause);
        assert_eq!(ctx.remaining(), Some(Duration::ZERO));
        handle.cancel();
        assert_ended(ctx, Error::DeadlineExceeded, cause);
    }
}

#[test]
fn d2_a_parent_that_was_canceled_first_wins_over_a_past_deadline() {
    let (parent, handle) = Context::background().with_cancel();
    handle.cancel_cause("parent");
    let (ctx, _handle) = parent.with_deadline_cause(past(), "child");
    assert_ended(&ctx, Error::Canceled, "parent");
}

#[test]
fn d2_of_two_past_deadlines_the_earlier_gives_the_cause() {
    for _ in 0..stress(20) {
        let first = Instant::now() + ms(3);
        let (parent, _parent) = Context::background().with_deadline_cause(first, "parent");
        // Made while the parent is live, or just too late for that: its own deadline is the later one.
        while Instant::now() <= first {
            thread::yield_now();
        }
        let (later, _later) = parent.with_deadline_cause(first + Duration::from_nanos(1), "child");
        assert_ended(&later, Error::DeadlineExceeded, "parent");
        wait_for(&parent);
        assert_ended(&parent, Error::DeadlineExceeded, "parent");
    }
}

#[test]
fn d3_an_earlier_deadline_of_the_parent_is_the_childs_too() {
    let early = far();
    let (parent, _parent) = Context::background().with_deadline(early);
    let (child, _child) = parent.with_deadline(early + HOUR);
    let (sooner, _sooner) = child.with_deadline(early - ms(1));
    assert_eq!(child.deadline(), Some(early));
    assert_eq!(child.with_value(1u8).with_cancel().0.deadline(), Some(early));
    assert_eq!(sooner.deadline(), Some(early - ms(1)));
    assert_eq!(child.without_cancel().deadline(), None);
}

#[test]
fn d4_no_deadline_fires_early() {
    let rounds = stress(400);
    none_is_early(3 * rounds, "on three threads", |fired| {
        thread::scope(|scope| {
            for seed in 0..3 {
                scope.spawn(move || {
                    let mut random = Random::new(seed);
                    for _ in 0..rounds {
                        let after = Duration::from_nanos(random.next() % 30_000_000);
                        let at = Instant::now() + after;
                        let (ctx, _handle) = Context::background().with_deadline(at);
                        fired.expect(&ctx, at);
                    }
                });
            }
        });
    });
}

#[test]
fn d6_a_reset_to_a_past_instant_ends_the_context_and_returns_true() {
    for by_timeout in [false, true] {
        let (ctx, handle) = Context::background().with_deadline_cause(far(), "late");
        let child = ctx.with_cancel().0;
        let tale = Tale::new();
        child.after_func(tale.function());
        let moved = if by_timeout { handle.reset_timeout(Duration::ZERO) } else { handle.reset_deadline(past()) };
        assert!(moved);
        assert_ended(&ctx, Error::DeadlineExceeded, "late");
        assert_ended(&child, Error::DeadlineExceeded, "late");
        assert!(tale.has_run());
        assert!(!handle.reset_deadline(past()), "the second time it has ended already");
    }
}

/// About the distance from which the exact clock is not asked, on either side of it.
#[test]
fn d2_d6_what_has_just_passed_ends_at_once_and_nothing_ends_early() {
    for n in 0..stress(200) as u64 {
        for distance in [0, 1, 1_000_000, 499_999_999, 500_000_000, 500_000_001, 510_000_000, 1_000_000_000] {
            // The kernel's ticks come at any moment of this.
            let distance = Duration::from_nanos(distance + n % 5);
            let (ctx, handle) = Context::background().with_deadline(far());
            let at = Instant::now();
            let passed = at.checked_sub(distance).unwrap_or(at);
            assert!(handle.reset_deadline(passed));
            assert_ended(&ctx, Error::DeadlineExceeded, "context deadline exceeded");
            assert_ended(
                &Context::background().with_deadline(passed).0,
                Error::DeadlineExceeded,
                "context deadline exceeded",
            );

            let to_come = Instant::now() + distance;
            let (ctx, handle) = Context::background().with_deadline(to_come);
            assert!(!ctx.is_done() || Instant::now() >= to_come, "made {distance:?} ahead, ended early");
            let moved = handle.reset_deadline(to_come + distance);
            assert!(moved || Instant::now() >= to_come, "ended early");
            assert!(
                !moved || !ctx.is_done() || Instant::now() >= to_come + distance,
                "moved {distance:?}, ended early"
            );
        }
    }
}

#[test]
fn d6_a_reset_beyond_the_parents_deadline_is_remembered() {
    let at = far();
    let (_parent, parent_handle) = Context::background().with_deadline(at);
    let (child, child_handle) = parent_handle.context().with_cancel();
    assert_eq!(child.deadline(), Some(at));
    assert!(child_handle.reset_deadline(at + HOUR));
    assert_eq!(child.deadline(), Some(at), "never past the parent's");
    assert!(parent_handle.reset_deadline(at + HOUR * 5));
    assert_eq!(child.deadline(), Some(at + HOUR));
}

#[test]
fn d6_a_reset_of_an_ended_context_changes_nothing() {
    let at = far();
    let (ctx, handle) = Context::background().with_deadline_cause(at, "late");
    handle.cancel_cause("first");
    assert!(!handle.reset_deadline(past()));
    assert!(!handle.reset_deadline(at + HOUR));
    assert!(!handle.reset_timeout(Duration::ZERO));
    assert!(!handle.reset_timeout(Duration::MAX));
    assert_ended(&ctx, Error::Canceled, "first");
}

#[test]
fn d6_a_reset_loses_cleanly_against_a_deadline_that_fires() {
    let (mut moved, mut lost) = (0, 0);
    for round in 0..stress(12) {
        let at = Instant::now() + ms(4);
        let contexts: Vec<_> = (0..24).map(|_| Context::background().with_deadline(at)).collect();
        let later = at + ms(8);
        while Instant::now() < at + Duration::from_micros(100 * (round as u64 % 12)) {
            std::hint::spin_loop();
        }
        let results: Vec<_> = contexts.iter().map(|(_, handle)| handle.reset_deadline(later)).collect();
        for ((ctx, _), won) in contexts.iter().zip(results) {
            if won {
                moved += 1;
                assert_eq!(wait_for(ctx), Error::DeadlineExceeded);
                assert!(Instant::now() >= later, "fired by the deadline it had been moved from");
            } else {
                lost += 1;
                assert_eq!(ctx.err(), Some(Error::DeadlineExceeded));
            }
        }
    }
    assert_eq!(moved + lost, stress(12) * 24);
}

#[test]
fn d6_a_reset_against_a_cancel_has_one_winner() {
    for _ in 0..stress(200) {
        let (ctx, handle) = Context::background().with_deadline_cause(far(), "late");
        let (moved, again) = thread::scope(|scope| {
            let canceler = scope.spawn(|| handle.cancel_cause("canceled"));
            let moved = handle.reset_deadline(past());
            canceler.join().unwrap();
            (moved, handle.reset_deadline(past()))
        });
        if moved {
            assert_ended(&ctx, Error::DeadlineExceeded, "late");
        } else {
            assert_ended(&ctx, Error::Canceled, "canceled");
        }
        assert!(!again);
    }
}

#[test]
fn d6_a_reset_to_the_past_ends_the_context_also_against_a_push_back() {
    for _ in 0..stress(300) {
        let (ctx, handle) = Context::background().with_deadline(far());
        let start = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                while handle.reset_timeout(Duration::MAX) {}
            });
            start.wait();
            let moved = handle.reset_deadline(past());
            let ended = ctx.is_done();
            // So that the other thread's loop has its end whatever happened.
            handle.cancel();
            assert!(moved && ended, "ended before the call returns");
        });
        assert_ended(&ctx, Error::DeadlineExceeded, "context deadline exceeded");
    }
}

#[test]
fn d4_d5_timers_come_and_go_from_every_thread() {
    thread::scope(|scope| {
        for seed in 0..4 {
            scope.spawn(move || {
                let mut random = Random::new(seed);
                let mut held = Vec::new();
                for _ in 0..stress(3_000) {
                    let at = Instant::now() + Duration::from_micros(random.next() % 40_000);
                    let (ctx, handle) = Context::background().with_deadline(at);
                    match random.below(4) {
                        0 => handle.cancel(),
                        1 => drop(ctx),
                        2 => drop(handle.reset_timeout(Duration::from_micros(random.next() % 60_000))),
                        _ => held.push((ctx, at)),
                    }
                }
                for (ctx, at) in held {
                    assert_eq!(wait_for(&ctx), Error::DeadlineExceeded);
                    assert!(Instant::now() >= at);
                }
            });
        }
    });
}
