//! What the benches share: the contenders behind one face, and threads that start together.

// Each bench uses a part of it.
#![allow(dead_code, unused_imports)]

mod contenders;
mod threads;

pub(crate) use contenders::{Contender, Key, ParkingLot, Ripcord, StdMutex, Tokio, Values};
pub(crate) use threads::{cores, stopwatch, together};

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

/// Cancels `times` parents of `width` live children each; only the cancels are timed.
pub(crate) fn cancel_trees<C: Contender>(width: usize, times: u64) -> Duration {
    // Small trees by the batch, so that the clock costs nothing and the batch still fits the second cache.
    let batch = (5000 / width).max(1) as u64;
    let mut left = times;
    let mut spent = Duration::ZERO;
    while left > 0 {
        let now = batch.min(left);
        left -= now;
        let trees: Vec<(C::Child, Vec<C::Child>)> = (0..now)
            .map(|_| {
                let parent = C::root();
                let children = (0..width).map(|_| C::child(&parent)).collect();
                (parent, children)
            })
            .collect();
        spent += stopwatch(|| trees.iter().for_each(|(parent, _)| C::cancel(parent)));
        assert!(trees.iter().all(|(_, children)| children.iter().all(C::is_done)));
    }
    spent
}
