//! What the benches share: the contenders behind one face, and threads that start together.

// Each bench uses a part of it.
#![allow(dead_code, unused_imports)]

mod contenders;
mod motley;
mod record;
mod shapes;
mod svg;
mod threads;
mod timing;

pub(crate) use contenders::{Contender, Kept, Key, ParkingLot, Ripcord, StdMutex, Tokio, Values};
pub(crate) use motley::{FEW, MOTLEY};
pub(crate) use record::{hardware, load, read, save, stem};
pub(crate) use shapes::{cancel_trees, chain_of, keep_pending, wake_waiters};
pub(crate) use svg::Svg;
pub(crate) use threads::{busy, cores, spent, spent_by, stay_on, stopwatch, switches, together, together_in};
pub(crate) use timing::{Pingora, Timing};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion};
use std::time::Duration;

/// Short and many: contenders are compared within one run, so what matters is that their turns are close together.
pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .without_plots()
}

/// One function of a group: `work(n)` does the row's work `n` times, on each of `count` threads.
pub(crate) fn threaded<C: Contender>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    count: usize,
    work: impl Fn(u64) + Sync,
) {
    group.bench_function(C::NAME, |bencher| bencher.iter_custom(|times| together::<C>(count, times, &work)));
}
