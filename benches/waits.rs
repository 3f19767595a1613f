//! P7 and P8: what does it cost to wait, and to wake?
//!
//! P7 is one `done()` polled once, pending, and dropped, all threads on one live context; and a pending one polled again
//! with the same waker. P8 is one cancel of a parent of 10,000 children, each with a pending wait whose waker counts
//! (criterion's `elem` line is per waiter); building and dropping them is outside. Not in it: executors.

mod mutex;
mod support;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use std::time::Duration;
use support::{Contender, ParkingLot, Ripcord, StdMutex, Tokio, stopwatch, threaded, wake_waiters};

const WAITERS: usize = 10_000;

fn poll<C: Contender>(group: &mut BenchmarkGroup<'_, WallTime>, count: usize) {
    let child = C::root();
    threaded::<C>(group, count, |times| (0..times).for_each(|_| C::pass_done(&child)));
}

fn again<C: Contender>(group: &mut BenchmarkGroup<'_, WallTime>) {
    let child = C::root();
    group.bench_function(C::NAME, |bencher| bencher.iter_custom(|times| stopwatch(|| C::poll_done(&child, times))));
}

fn wake<C: Contender>(group: &mut BenchmarkGroup<'_, WallTime>) {
    group.bench_function(C::NAME, |bencher| {
        bencher.iter_custom(|times| (0..times).map(|_| wake_waiters::<C>(WAITERS)).sum());
    });
}

fn waits(criterion: &mut Criterion) {
    for count in [1, 2, 8] {
        let mut group = criterion.benchmark_group(format!("done() polled once and dropped, {count} threads"));
        poll::<Ripcord>(&mut group, count);
        poll::<StdMutex>(&mut group, count);
        poll::<ParkingLot>(&mut group, count);
        poll::<Tokio>(&mut group, count);
        group.finish();
    }
    let mut group = criterion.benchmark_group("done() polled again");
    again::<Ripcord>(&mut group);
    again::<StdMutex>(&mut group);
    again::<ParkingLot>(&mut group);
    again::<Tokio>(&mut group);
    group.finish();
    let mut group = criterion.benchmark_group("wake 10000 waiters");
    group.throughput(Throughput::Elements(WAITERS as u64));
    group.sample_size(10).measurement_time(Duration::from_millis(200)).warm_up_time(Duration::from_millis(50));
    wake::<Ripcord>(&mut group);
    wake::<StdMutex>(&mut group);
    wake::<ParkingLot>(&mut group);
    wake::<Tokio>(&mut group);
    group.finish();
}

criterion_group!(name = benches; config = support::criterion(); targets = waits);
criterion_main!(benches);
