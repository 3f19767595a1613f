//! The rules of deadlines that pass. With feature `test-util` nobody sleeps here, and what has not happened yet is
//! checked too.
#![cfg(not(feature = "loom"))]

#[path = "common/clock.rs"]
mod clock;
mod common;

use clock::Clock;
use common::*;
use ripcord::{Context, Error};
use std::future::pending;
use std::time::{Duration, Instant};

const HOUR: Duration = Duration::from_secs(3600);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[test]
fn d3_when_the_parents_deadline_fires_the_child_ends_with_the_parents_cause() {
    let clock = Clock::take();
    let (parent, _parent) = Context::background().with_timeout_cause(ms(2), "parent");
    let (child, _child) = parent.with_timeout_cause(HOUR, "child");
    if clock.stands() {
        clock.pass(ms(2) - Duration::from_nanos(1));
        assert_live(&child);
    }
    clock.pass(ms(2));
    assert_eq!(wait_for(&child), Error::DeadlineExceeded);
    assert_ended(&child, Error::DeadlineExceeded, "parent");
    assert_ended(&parent, Error::DeadlineExceeded, "parent");
}

#[test]
fn d3_a_parent_pushed_back_beyond_the_child_leaves_the_childs_own_deadline() {
    let clock = Clock::take();
    let start = clock.now();
    let (parent, parent_handle) = Context::background().with_deadline_cause(start + HOUR, "parent");
    let own = start + HOUR * 2;
    let (child, child_handle) = parent.with_deadline_cause(own, "child");
    let grandchild = child.with_cancel().0;
    for (parents, effective) in [(HOUR * 3, own), (HOUR, start + HOUR), (HOUR * 9, own), (HOUR * 2, own)] {
        assert!(parent_handle.reset_deadline(start + parents));
        assert_eq!(child.deadline(), Some(effective));
        assert_eq!(grandchild.deadline(), Some(effective));
    }
    assert!(parent_handle.reset_timeout(Duration::MAX));
    assert_eq!((parent.deadline(), child.deadline()), (None, Some(own)));
    assert!(child_handle.reset_deadline(clock.now() + ms(1)));
    clock.pass(ms(1));
    wait_for(&grandchild);
    assert_ended(&grandchild, Error::DeadlineExceeded, "child");
    assert_live(&parent);
}

#[test]
fn d3_a_child_made_below_an_early_parent_fires_by_its_own_deadline_after_the_push() {
    let clock = Clock::take();
    let (parent, parent_handle) = Context::background().with_timeout_cause(HOUR, "parent");
    let at = clock.now() + HOUR + ms(5);
    let (child, child_handle) = parent.with_deadline_cause(at, "child");
    assert!(parent_handle.reset_timeout(HOUR * 2));
    assert_eq!(child.deadline(), Some(at));
    let soon = clock.now() + ms(3);
    assert!(child_handle.reset_deadline(soon));
    clock.pass(ms(3));
    assert_eq!(wait_for(&child), Error::DeadlineExceeded);
    assert!(clock.now() >= soon);
    assert_ended(&child, Error::DeadlineExceeded, "child");
}

#[test]
fn d4_every_kind_of_waiter_hears_of_a_deadline_in_time_order() {
    let clock = Clock::take();
    let start = clock.now();
    let (first, _first) = Context::background().with_deadline(start + ms(10));
    let (second, _second) = Context::background().with_deadline(start + ms(30));
    clock.pass(ms(10));
    assert_eq!(wait_for(&first), Error::DeadlineExceeded);
    if clock.stands() {
        assert_live(&second);
    }
    clock.pass(ms(20));
    assert_eq!(block_on(second.done()), Error::DeadlineExceeded);
    assert!(clock.now() >= start + ms(30));
    assert_ended(&first, Error::DeadlineExceeded, "context deadline exceeded");
    let (third, _third) = Context::background().with_timeout(ms(5));
    let waiter = std::thread::spawn(move || third.wait_timeout(HOUR));
    clock.pass(ms(5));
    assert_eq!(waiter.join().unwrap(), Some(Error::DeadlineExceeded));
    let (fourth, _fourth) = Context::background().with_timeout(ms(5));
    let mut run = Box::pin(fourth.run(pending::<()>()));
    assert!(poll(&mut run).is_pending());
    clock.pass(ms(5));
    assert_eq!(block_on(run), Err(Error::DeadlineExceeded));
}

#[test]
fn d5_a_released_deadline_ends_nobody() {
    let clock = Clock::take();
    let tale = Tale::new();
    let at = clock.now() + HOUR;
    let (kept, keeper) = Context::background().with_deadline(at);
    let (ctx, handle) = Context::background().with_deadline_cause(at, "late");
    ctx.after_func(tale.function());
    handle.cancel();
    assert!(tale.has_run());
    assert!(keeper.reset_deadline(clock.now() + ms(5)));
    clock.pass(ms(5));
    assert_eq!(wait_for(&kept), Error::DeadlineExceeded);
    if clock.stands() {
        clock.pass(HOUR);
    }
    assert_canceled(&ctx);

    let value = Tale::new();
    drop(Context::background().with_timeout(HOUR).0.with_value(value.probe()));
    assert_eq!(value.drops(), 1, "an armed deadline keeps nothing alive that nobody holds");
}

#[test]
fn d6_a_deadline_moves_either_way_any_number_of_times() {
    let clock = Clock::take();
    let (ctx, handle) = Context::background().with_deadline(clock.now() + HOUR);
    let mut random = Random::new(6);
    for round in 0..2_000 {
        let at = clock.now() + ms(60_000 + random.next() % 1_000_000);
        assert!(handle.reset_deadline(at));
        assert_eq!(ctx.deadline(), Some(at));
        if clock.stands() && round % 10 == 0 {
            clock.pass(ms(59_999));
        }
    }
    assert_live(&ctx);
    assert!(handle.reset_deadline(clock.now() + ms(5)));
    clock.pass(ms(5));
    assert_eq!(wait_for(&ctx), Error::DeadlineExceeded);
    assert!(!handle.reset_deadline(clock.now() + HOUR));
    assert!(!handle.reset_timeout(HOUR));
    assert_ended(&ctx, Error::DeadlineExceeded, "context deadline exceeded");
}

#[test]
fn d6_a_deadline_pushed_back_again_and_again_does_not_fire() {
    let clock = Clock::take();
    let (ctx, handle) = Context::background().with_timeout(HOUR);
    let until = clock.now() + ms(60);
    let mut pushed = 0;
    loop {
        let target = clock.now() + ms(20);
        if !handle.reset_deadline(target) {
            // The machine slept past the last target: that is the only way to lose.
            assert!(!clock.stands());
            assert_eq!(ctx.err(), Some(Error::DeadlineExceeded));
            break;
        }
        pushed += 1;
        if clock.now() >= until {
            clock.pass(ms(20));
            assert_eq!(wait_for(&ctx), Error::DeadlineExceeded);
            assert!(clock.now() >= target, "fired by a deadline that had been pushed back");
            break;
        }
        clock.pass(ms(1));
    }
    assert!(pushed > 0);
}

#[test]
fn d6_a_context_made_without_a_deadline_may_be_given_one() {
    let clock = Clock::take();
    let (root, _root) = Context::background().with_cancel();
    let (other, _other) = Context::background().with_cancel();
    let made = [root.with_cancel(), root.with_cancel_from(&other), root.with_cancel_on(pending::<()>())];
    for (ctx, handle) in made {
        let at = clock.now() + HOUR;
        assert!(handle.reset_deadline(at));
        assert_eq!(ctx.deadline(), Some(at));
        assert_eq!(ctx.with_cancel().0.deadline(), Some(at));
        let child = ctx.with_cancel().0;
        let soon = clock.now() + ms(2);
        assert!(handle.reset_deadline(soon));
        clock.pass(ms(2));
        wait_for(&child);
        assert!(clock.now() >= soon);
        assert_ended(&child, Error::DeadlineExceeded, "context deadline exceeded");
    }
    assert_live(&root);
    assert_live(&other);
}

#[test]
fn d6_the_longest_duration_and_the_latest_instant_disarm() {
    let clock = Clock::take();
    let (ctx, handle) = Context::background().with_timeout(HOUR);
    assert!(handle.reset_timeout(Duration::MAX));
    assert_eq!(ctx.deadline(), None);
    let mut latest = Instant::now();
    for step in (0..64).rev().map(|bit| Duration::from_secs(1 << bit)) {
        latest = latest.checked_add(step).unwrap_or(latest);
    }
    assert!(handle.reset_deadline(clock.now() + HOUR));
    assert!(handle.reset_deadline(latest));
    assert_eq!(ctx.deadline(), None);
    if clock.stands() {
        clock.pass(HOUR * 24 * 365);
    }
    assert_live(&ctx);
    assert!(handle.reset_timeout(ms(1)));
    clock.pass(ms(1));
    assert_eq!(wait_for(&ctx), Error::DeadlineExceeded);
}
