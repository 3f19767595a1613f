//! What is counted, and what a recorder gets of it. One test at a time: the counters are the process's.
#![cfg(not(feature = "loom"))]

mod common;

use common::alone::alone;
use common::*;
use metrics_util::MetricKind;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use ripcord::metrics::{Counts, counts, describe, publish};
use ripcord::{Cause, Config, Context, Error};
use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

/// What came during `f`; `live`, `held` and `deadlines` as they stand after it, less what stood before.
fn counted(f: impl FnOnce()) -> Counts {
    let before = counts();
    f();
    let mut after = counts();
    for (after, before) in [
        (&mut after.live, before.live),
        (&mut after.held, before.held),
        (&mut after.deadlines, before.deadlines),
        (&mut after.created, before.created),
        (&mut after.canceled, before.canceled),
        (&mut after.deadline_exceeded, before.deadline_exceeded),
        (&mut after.inherited, before.inherited),
        (&mut after.released, before.released),
    ] {
        *after = after.wrapping_sub(before);
    }
    after
}

#[test]
fn a_context_that_comes_and_goes() {
    let _alone = alone();
    let seen = counted(|| {
        let (ctx, _handle) = Context::background().with_cancel();
        let inside = counted(|| drop(ctx.with_cancel()));
        assert_eq!((inside.created, inside.released, inside.live), (1, 1, 0));
        let _value = ctx.with_value(1);
        assert_eq!(counted(|| drop(ctx.with_value(2).without_cancel())).created, 0, "only what can end is counted");
    });
    assert_eq!((seen.created, seen.released, seen.live), (2, 2, 0));
    assert_eq!((seen.canceled, seen.deadline_exceeded, seen.inherited, seen.deadlines), (0, 0, 0, 0));
}

#[test]
fn ends_by_kind_and_by_whom() {
    let _alone = alone();
    let mut kept = Vec::new();
    let seen = counted(|| {
        let (root, handle) = Context::background().with_cancel();
        let children: Vec<_> = (0..10).map(|_| root.with_timeout(Duration::from_secs(60))).collect();
        assert_eq!(counted(|| assert!(children[0].1.reset_timeout(Duration::ZERO))).deadline_exceeded, 1);
        children[1].1.cancel();
        children[1].1.cancel_cause("again");
        handle.cancel();
        kept.extend(children);
        kept.push((root, handle));
    });
    assert_eq!((seen.created, seen.live, seen.released), (11, 0, 0));
    assert_eq!((seen.canceled, seen.deadline_exceeded, seen.inherited), (2, 1, 8));
    assert_eq!(seen.deadlines, 0);
    assert_eq!(counted(|| kept.clear()).released, 0, "what has ended is not released live");
}

/// What a canceler may have seen is held until the epoch has passed on, and no longer.
#[test]
fn held_is_what_is_in_memory() {
    let _alone = alone();
    let (root, handle) = Context::background().with_cancel();
    let children: Vec<_> = (0..1_000).map(|_| root.with_cancel()).collect();
    handle.cancel();
    assert!(counts().held >= 1_001);
    drop((root, handle, children));
    eventually("the epoch gives it back", || {
        let (root, handle) = Context::background().with_cancel();
        let child = root.with_cancel();
        handle.cancel();
        drop(child);
        counts().held < 500
    });
}

#[test]
fn the_born_ended_are_counted_once() {
    let _alone = alone();
    let seen = counted(|| {
        let (root, handle) = Context::background().with_cancel();
        handle.cancel();
        drop(root.with_cancel());
        drop(root.with_cancel_from(&Context::background().with_cancel().0));
        drop(Context::background().with_timeout(Duration::ZERO));
        drop(Context::background().with_cancel_on(async { Cause::from(Error::DeadlineExceeded) }));
    });
    assert_eq!((seen.created, seen.live), (6, 0));
    assert_eq!((seen.canceled, seen.deadline_exceeded, seen.inherited, seen.released), (1, 2, 2, 1));
}

#[test]
fn armed_deadlines_are_those_that_can_still_fire() {
    let _alone = alone();
    let seen = counted(|| {
        let (ctx, handle) = Context::background().with_timeout(Duration::from_secs(60));
        assert_eq!(counted(|| assert!(handle.reset_timeout(Duration::from_secs(30)))).deadlines, 0, "moved, not added");
        let many: Vec<_> = (0..100).map(|_| ctx.with_timeout(Duration::from_secs(5))).collect();
        assert_eq!(counted(|| drop(many)).deadlines, 100_u64.wrapping_neg());
        let (late, _late) = ctx.with_timeout(Duration::from_millis(3));
        assert_eq!(wait_for(&late), Error::DeadlineExceeded);
        let (none, none_handle) = Context::background().with_cancel();
        assert!(none_handle.reset_timeout(Duration::from_secs(60)));
        drop((none, none_handle));
    });
    assert_eq!(seen.deadlines, 0);
    assert_eq!(seen.live, 0);
}

/// Threads that make, cancel and drop what others made; in the end everything is accounted for.
#[test]
fn churn_on_many_threads_balances() {
    let _alone = alone();
    let rounds = stress(2_000) as u64;
    let seen = counted(|| {
        let (root, _root) = Context::background().with_cancel();
        thread::scope(|scope| {
            for n in 0..4_u64 {
                let root = root.clone();
                scope.spawn(move || {
                    let mut random = Random::new(n);
                    for _ in 0..rounds {
                        let (ctx, handle) = root.with_timeout(Duration::from_secs(60));
                        let children = [ctx.with_cancel(), ctx.with_cancel_from(&root)];
                        match random.below(3) {
                            0 => handle.cancel(),
                            1 => drop(thread::scope(|inner| inner.spawn(|| children[0].1.cancel()).join())),
                            _ => {}
                        }
                        drop(children);
                    }
                });
            }
        });
    });
    assert_eq!(seen.created, 1 + 4 * rounds * 3);
    assert_eq!((seen.live, seen.deadlines), (0, 0));
    assert_eq!(seen.canceled + seen.deadline_exceeded + seen.inherited + seen.released, seen.created);
}

type Seen = BTreeMap<String, (MetricKind, DebugValue)>;

fn snapshot(snapshotter: &Snapshotter) -> Seen {
    let metrics = snapshotter.snapshot().into_vec().into_iter();
    metrics
        .map(|(key, _, _, value)| {
            let labels: Vec<_> = key.key().labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
            (format!("{}{{{}}}", key.key().name(), labels.join(",")), (key.kind(), value))
        })
        .collect()
}

fn histogram(seen: &Seen, name: &str) -> Vec<f64> {
    match seen.get(&format!("{name}{{}}")) {
        Some((MetricKind::Histogram, DebugValue::Histogram(values))) => values.iter().map(|value| value.0).collect(),
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn a_recorder_gets_it_all_and_histograms_once() {
    let _alone = alone();
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        describe();
        publish();
        snapshot(&snapshotter);
        let (ctx, handle) = Context::background().with_cancel();
        let tight: Vec<_> = (0..5).map(|_| ctx.with_timeout(Duration::from_secs(100))).collect();
        let (late, _late) = ctx.with_timeout(Duration::from_millis(2));
        assert_eq!(wait_for(&late), Error::DeadlineExceeded);
        publish();
        let seen = snapshot(&snapshotter);
        let now = counts();
        for (name, value) in [
            ("ripcord_contexts_live{}", now.live),
            ("ripcord_contexts_held{}", now.held),
            ("ripcord_deadlines_armed{}", now.deadlines),
        ] {
            assert_eq!(seen[name], (MetricKind::Gauge, DebugValue::Gauge((value as f64).into())), "{name}");
        }
        for (name, value) in [
            ("ripcord_contexts_created_total{}", now.created),
            ("ripcord_contexts_released_total{}", now.released),
            ("ripcord_contexts_ended_total{kind=canceled,by=itself}", now.canceled),
            ("ripcord_contexts_ended_total{kind=deadline_exceeded,by=itself}", now.deadline_exceeded),
        ] {
            assert_eq!(seen[name], (MetricKind::Counter, DebugValue::Counter(value)), "{name}");
        }
        assert!(histogram(&seen, "ripcord_deadline_lateness_seconds").iter().all(|late| *late > 0.0));
        drop(tight);
        handle.cancel();
        publish();
        let slack = histogram(&snapshot(&snapshotter), "ripcord_deadline_slack_seconds");
        assert_eq!(slack.len(), 5);
        assert!(slack.iter().all(|left| (87.5..=112.5).contains(left)), "{slack:?}");
        publish();
        assert!(histogram(&snapshot(&snapshotter), "ripcord_deadline_slack_seconds").is_empty(), "said before");
    });
}

#[test]
fn lateness_is_counted_where_the_deadline_had_passed() {
    let _alone = alone();
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    Config::default().timer_window(Duration::from_millis(20)).install();
    metrics::with_local_recorder(&recorder, || {
        publish();
        snapshot(&snapshotter);
        let (ctx, _handle) = Context::background().with_timeout(Duration::from_millis(1));
        assert_eq!(wait_for(&ctx), Error::DeadlineExceeded);
        publish();
        assert_eq!(histogram(&snapshot(&snapshotter), "ripcord_deadline_lateness_seconds").len(), 1);
    });
    Config::default().install();
}

/// Handles go just as the driver fires: owner and driver both see the reminder off, and one of them counts.
#[test]
fn a_deadline_that_fired_as_its_handles_went_was_counted_twice() {
    let _alone = alone();
    Config::default().timer_window(Duration::ZERO).install();
    // What is counted off too often shows only while something is armed: the gauge does not go below 0.
    let _armed: Vec<_> = (0..1_000).map(|_| Context::background().with_timeout(Duration::from_secs(3600))).collect();
    let before = counts();
    for _ in 0..stress(600) {
        let at = std::time::Instant::now() + Duration::from_micros(200);
        let contexts: Vec<_> = (0..200).map(|_| Context::background().with_deadline(at)).collect();
        while !contexts[0].0.is_done() {
            std::hint::spin_loop();
        }
        // Backwards: somewhere they meet the driver, which goes forwards.
        contexts.into_iter().rev().for_each(drop);
    }
    Config::default().install();
    // What the driver has in hand it counts in its own time.
    let held_to_be = |counts: Counts| (counts.live, counts.deadlines);
    eventually("as many as before", || held_to_be(counts()) == held_to_be(before));
}
