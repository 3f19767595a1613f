#![doc = include_str!("../../docs/bridges/metrics.md")]

use crate::trace::counts::{BUCKETS, Sums, middle, sums};
use ::metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use std::sync::{Mutex, PoisonError};

/// What has been counted since the process began, over all threads. Made by [`counts`].
#[non_exhaustive]
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Contexts that can end and have not.
    pub live: u64,
    /// Contexts in memory, ended or not.
    pub held: u64,
    /// Contexts with a reminder in the timer.
    pub deadlines: u64,
    /// Contexts ever made, those that were born ended with them.
    pub created: u64,
    /// Contexts ended by their own handle, or by a foreign parent with an error of this kind.
    pub canceled: u64,
    /// Contexts ended by their own deadline.
    pub deadline_exceeded: u64,
    /// Contexts ended with an ancestor, whatever its kind of end.
    pub inherited: u64,
    /// Contexts given back without an end.
    pub released: u64,
}

/// Adds up what all threads have counted. Takes time proportional to their number, and stops none of them.
///
/// Counts of contexts that come and go during the call may be off by those.
#[must_use]
pub fn counts() -> Counts {
    Counts::of(&sums())
}

impl Counts {
    fn of(sums: &Sums) -> Counts {
        let [canceled, deadline_exceeded, inherited @ ..] = sums.ended;
        let ended: u64 = sums.ended.iter().sum();
        Counts {
            live: sums.born.saturating_sub(ended + sums.released),
            held: sums.born.saturating_sub(sums.buried + sums.released),
            deadlines: sums.armed.saturating_sub(sums.disarmed),
            created: sums.born,
            canceled,
            deadline_exceeded,
            inherited: inherited.iter().sum(),
            released: sums.released,
        }
    }
}

const LIVE: &str = "ripcord_contexts_live";
const HELD: &str = "ripcord_contexts_held";
const DEADLINES: &str = "ripcord_deadlines_armed";
const CREATED: &str = "ripcord_contexts_created_total";
const ENDED: &str = "ripcord_contexts_ended_total";
const RELEASED: &str = "ripcord_contexts_released_total";
const SLACK: &str = "ripcord_deadline_slack_seconds";
const LATENESS: &str = "ripcord_deadline_lateness_seconds";

/// What of the histograms was published before.
static PUBLISHED: Mutex<[[u64; BUCKETS]; 2]> = Mutex::new([[0; BUCKETS]; 2]);

/// Describes the metrics to the installed recorder: once, after it was installed. [`publish`] works without.
pub fn describe() {
    describe_gauge!(LIVE, Unit::Count, "contexts that can end and have not");
    describe_gauge!(HELD, Unit::Count, "contexts in memory, ended or not");
    describe_gauge!(DEADLINES, Unit::Count, "contexts with a reminder in the timer");
    describe_counter!(CREATED, Unit::Count, "contexts made");
    describe_counter!(ENDED, Unit::Count, "contexts ended, by kind and by whom");
    describe_counter!(RELEASED, Unit::Count, "contexts given back without an end");
    describe_histogram!(SLACK, Unit::Seconds, "what was left of the deadline when its context finished");
    describe_histogram!(LATENESS, Unit::Seconds, "how long the deadline had passed when its context finished");
}

/// Hands the counts to the installed recorder: gauges and counters as they stand, histograms what has come since the last
/// call.
///
/// Costs what [`counts`] costs, and the recorder. Two calls at the same time take turns.
pub fn publish() {
    let mut published = PUBLISHED.lock().unwrap_or_else(PoisonError::into_inner);
    let sums = sums();
    let counts = Counts::of(&sums);
    gauge!(LIVE).set(counts.live as f64);
    gauge!(HELD).set(counts.held as f64);
    gauge!(DEADLINES).set(counts.deadlines as f64);
    counter!(CREATED).absolute(counts.created);
    counter!(RELEASED).absolute(counts.released);
    for (n, (kind, by)) in sums.ended.into_iter().zip([
        ("canceled", "itself"),
        ("deadline_exceeded", "itself"),
        ("canceled", "ancestor"),
        ("deadline_exceeded", "ancestor"),
    ]) {
        counter!(ENDED, "kind" => kind, "by" => by).absolute(n);
    }
    let histograms = [(histogram!(SLACK), &sums.slack), (histogram!(LATENESS), &sums.lateness)];
    for (before, (histogram, now)) in published.iter_mut().zip(histograms) {
        for (bucket, (before, now)) in before.iter_mut().zip(now).enumerate() {
            // A forked child may count from zero.
            let fresh = now.saturating_sub(*before);
            *before = *now;
            if fresh > 0 {
                histogram.record_many(middle(bucket) as f64 / 1e9, usize::try_from(fresh).unwrap_or(usize::MAX));
            }
        }
    }
}
