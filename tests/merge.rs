//! `with_cancel_from`: a context that ends when either of two parents ends.
#![cfg(not(feature = "loom"))]

mod common;

use common::*;
use ripcord::{Context, Error};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

#[test]
fn a_merged_context_ends_with_whichever_parent_ends_first() {
    for other_first in [false, true] {
        let (one, one_handle) = Context::background().with_cancel();
        let (other, other_handle) = Context::background().with_cancel();
        let (merged, _merged) = one.with_cancel_from(&other);
        let below = merged.with_cancel().0;
        assert_live(&merged);
        let handles = if other_first { [&other_handle, &one_handle] } else { [&one_handle, &other_handle] };
        handles[0].cancel_cause("first");
        assert_ended(&merged, Error::Canceled, "first");
        assert_ended(&below, Error::Canceled, "first");
        handles[1].cancel_cause("second");
        assert_ended(&merged, Error::Canceled, "first");
        assert_ended(&below, Error::Canceled, "first");
    }
}

#[test]
fn it_may_be_canceled_itself_and_touches_neither_parent() {
    let (one, _one) = Context::background().with_cancel();
    let (other, _other) = Context::background().with_cancel();
    let (merged, handle) = one.with_cancel_from(&other);
    handle.cancel_cause("own");
    assert_ended(&merged, Error::Canceled, "own");
    assert_live(&one);
    assert_live(&other);
}

#[test]
fn a_deadline_of_either_parent_ends_it_with_that_ones_error_and_cause() {
    for on_other in [false, true] {
        let (timed, _timed) = Context::background().with_timeout_cause(Duration::from_millis(3), "timed");
        let (plain, _plain) = Context::background().with_cancel();
        let (merged, _merged) = if on_other { plain.with_cancel_from(&timed) } else { timed.with_cancel_from(&plain) };
        assert_eq!(wait_for(&merged), Error::DeadlineExceeded);
        assert_ended(&merged, Error::DeadlineExceeded, "timed");
        assert_live(&plain);
    }
}

#[test]
fn its_deadline_is_the_earlier_of_the_two() {
    let at = far();
    let later = at + Duration::from_secs(1);
    let (one, one_handle) = Context::background().with_deadline(at);
    let (other, other_handle) = Context::background().with_deadline(later);
    let plain = Context::background().with_cancel().0;
    assert_eq!(one.with_cancel_from(&other).0.deadline(), Some(at));
    assert_eq!(other.with_cancel_from(&one).0.deadline(), Some(at));
    assert_eq!(plain.with_cancel_from(&one).0.deadline(), Some(at));
    assert_eq!(one.with_cancel_from(&plain).0.deadline(), Some(at));
    assert_eq!(plain.with_cancel_from(&Context::background()).0.deadline(), None);

    // Each parent keeps its own: pushes on either are seen, also below and through another merge.
    let (merged, own) = one.with_cancel_from(&other);
    let below = plain.with_cancel_from(&merged.with_cancel().0).0;
    assert!(one_handle.reset_deadline(later + Duration::from_secs(9)));
    assert_eq!((merged.deadline(), below.deadline()), (Some(later), Some(later)));
    assert!(other_handle.reset_timeout(Duration::MAX));
    assert_eq!(below.deadline(), Some(later + Duration::from_secs(9)));
    assert!(own.reset_deadline(at));
    assert_eq!((merged.deadline(), below.deadline()), (Some(at), Some(at)));
}

#[test]
fn of_two_ended_parents_self_wins() {
    let (one, one_handle) = Context::background().with_cancel();
    let (other, _other) = Context::background().with_deadline_cause(past(), "other");
    assert_ended(&one.with_cancel_from(&other).0, Error::DeadlineExceeded, "other");
    one_handle.cancel_cause("one");
    assert_ended(&one.with_cancel_from(&other).0, Error::Canceled, "one");
    assert_ended(&other.with_cancel_from(&one).0, Error::DeadlineExceeded, "other");
    assert_ended(&Context::background().with_cancel_from(&one).0, Error::Canceled, "one");
}

#[test]
fn values_come_from_self_only() {
    let one = Context::background().with_value(1u8);
    let other = Context::background().with_value(2u8).with_value("other").with_cancel().0;
    let (merged, _merged) = one.with_cancel_from(&other);
    assert_eq!(merged.value::<u8>(), Some(&1));
    assert_eq!(merged.value::<&str>(), None);
    assert_eq!(Context::background().with_cancel_from(&other).0.value::<u8>(), None);
}

#[test]
fn relatives_may_be_merged() {
    let (root, handle) = Context::background().with_cancel();
    let (child, child_handle) = root.with_cancel();
    let merges = [
        root.with_cancel_from(&root),
        root.with_cancel_from(&child),
        child.with_cancel_from(&root),
        child.with_cancel_from(&child),
    ];
    child_handle.cancel_cause("child");
    assert_live(&merges[0].0);
    for (merged, _) in &merges[1..] {
        assert_ended(merged, Error::Canceled, "child");
    }
    handle.cancel_cause("root");
    assert_ended(&merges[0].0, Error::Canceled, "root");
    assert_ended(&merges[1].0, Error::Canceled, "child");
}

#[test]
fn endless_parents_never_end_it() {
    let detached = Context::background().with_cancel().0.without_cancel();
    for one in [Context::background(), Context::todo(), detached.clone(), detached.with_value(1u8)] {
        let (merged, handle) = one.with_cancel_from(&Context::background().with_value(2u8));
        assert_live(&merged);
        handle.cancel();
        assert_canceled(&merged);
    }
}

#[test]
fn a_value_context_may_stand_for_either_parent() {
    let (root, handle) = Context::background().with_cancel();
    let by_other = Context::background().with_cancel_from(&root.with_value(1u8).with_value(2u16)).0;
    let by_self = root.with_value(1u8).with_cancel_from(&Context::background()).0;
    handle.cancel_cause("root");
    assert_ended(&by_other, Error::Canceled, "root");
    assert_ended(&by_self, Error::Canceled, "root");
}

#[test]
fn waiters_and_functions_of_a_merge_hear_of_either_parent_once() {
    for end in 0..3 {
        let (one, one_handle) = Context::background().with_cancel();
        let (other, other_handle) = Context::background().with_cancel();
        let (merged, own) = one.with_cancel_from(&other);
        let tale = Tale::new();
        let (wakes, waker) = Wakes::new();
        let mut done = merged.clone().into_done();
        assert!(poll_with(&mut done, &waker).is_pending());
        merged.after_func(tale.function());
        let handles = [&one_handle, &other_handle, &own];
        handles[end].cancel();
        assert_eq!(wakes.count(), 1);
        assert!(tale.has_run());
        handles.iter().for_each(|handle| handle.cancel());
        assert_eq!(wakes.count(), 1);
    }
}

#[test]
fn a_dropped_merge_leaves_both_parents_and_a_dropped_parent_stays_a_relay() {
    let value = Tale::new();
    let (one, one_handle) = Context::background().with_cancel();
    let (other, other_handle) = Context::background().with_cancel();
    let (merged, merged_handle) = one.with_cancel_from(&other);
    let over = merged.with_value(value.probe());
    drop((over, merged, merged_handle));
    assert_eq!(value.drops(), 1);

    // The other parent's only handles go; what is above it, and its deadline, still count.
    let (above, above_handle) = Context::background().with_cancel();
    let merged = one.with_cancel_from(&above.with_cancel().0).0;
    let timed = one.with_cancel_from(&other.with_timeout_cause(Duration::from_millis(3), "relay").0).0;
    drop(above);
    assert_live(&merged);
    above_handle.cancel_cause("above");
    assert_ended(&merged, Error::Canceled, "above");
    wait_for(&timed);
    assert_ended(&timed, Error::DeadlineExceeded, "relay");
    one_handle.cancel();
    other_handle.cancel();
}

#[test]
fn many_merges_hang_on_one_pair() {
    let (one, one_handle) = Context::background().with_cancel();
    let (other, _other) = Context::background().with_cancel();
    let mut random = Random::new(5);
    let mut merges: Vec<_> = (0..2_000)
        .map(|n| if n % 2 == 0 { one.with_cancel_from(&other).0 } else { other.with_cancel_from(&one).0 })
        .collect();
    random.shuffle(&mut merges);
    merges.truncate(1_000);
    assert!(merges.iter().all(|merged| !merged.is_done()));
    one_handle.cancel_cause("one");
    for merged in &merges {
        assert_ended(merged, Error::Canceled, "one");
    }
    assert_live(&other);
}

/// A ladder: each rung merges the two before it, so the number of ways down doubles at every rung.
#[test]
fn a_ladder_of_merges_is_walked_once_per_rung() {
    within_a_minute(|| {
        let (root, handle) = Context::background().with_cancel();
        let mut rungs = vec![root.clone(), root.with_cancel().0];
        for n in 2..400 {
            let next = rungs[n - 1].with_cancel_from(&rungs[n - 2]).0;
            rungs.push(next);
        }
        assert_eq!(rungs[399].deadline(), None);
        handle.cancel_cause("root");
        for rung in &rungs {
            assert_ended(rung, Error::Canceled, "root");
        }
    });
}

#[test]
fn merged_parents_race_to_end_and_the_merge_to_be_made_or_dropped() {
    for round in 0..stress(200) {
        let (one, one_handle) = Context::background().with_cancel();
        let (other, other_handle) = Context::background().with_cancel();
        let early = one.with_cancel_from(&other).0;
        let dropped = other.with_cancel_from(&one).0;
        let start = Barrier::new(3);
        let late = thread::scope(|scope| {
            let start = &start;
            let (first, second) = (&one_handle, &other_handle);
            scope.spawn(move || {
                start.wait();
                first.cancel_cause(oops(1));
            });
            scope.spawn(move || {
                start.wait();
                if round % 2 == 0 {
                    second.cancel_cause(oops(2));
                }
                drop(dropped);
            });
            start.wait();
            one.with_cancel_from(&other).0
        });
        for merged in [&early, &late] {
            let seen = oops_of(merged).expect("ended by now");
            assert!(seen == 1 || (seen == 2 && round % 2 == 0));
            assert_eq!(merged.err(), Some(Error::Canceled));
        }
    }
}
