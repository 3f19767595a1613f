//! P6: what does it cost to cancel a parent, per child?
//!
//! A row is the one `cancel()` of a live parent with so many live children, none of them waited on, divided by their
//! number (criterion's `elem` line). When it returns all children are ended. Not in it: building the tree and dropping
//! it; small trees are built by the batch and canceled one after the other, so that the clock is read once per batch.
//! `RIPCORD_BENCH_1M=1` adds a parent of a million.

mod mutex;
mod support;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use std::time::Duration;
use support::{Contender, ParkingLot, Ripcord, StdMutex, Tokio, cancel_trees};

fn add<C: Contender>(group: &mut BenchmarkGroup<'_, WallTime>, width: usize) {
    group.bench_function(C::NAME, |bencher| bencher.iter_custom(|times| cancel_trees::<C>(width, times)));
}

fn fan_out(criterion: &mut Criterion) {
    let million = std::env::var_os("RIPCORD_BENCH_1M").map(|_| 1_000_000);
    for width in [1, 10, 1000, 100_000].into_iter().chain(million) {
        let mut group = criterion.benchmark_group(format!("cancel a parent of {width}"));
        group.throughput(Throughput::Elements(width as u64));
        // The trees cost several times what is measured.
        group.sample_size(10).measurement_time(Duration::from_millis(200)).warm_up_time(Duration::from_millis(50));
        add::<Ripcord>(&mut group, width);
        add::<StdMutex>(&mut group, width);
        add::<ParkingLot>(&mut group, width);
        add::<Tokio>(&mut group, width);
        group.finish();
    }
}

criterion_group!(name = benches; config = support::criterion(); targets = fan_out);
criterion_main!(benches);
