//! P13: what does a deep chain cost, per level, to cancel and to drop?
//!
//! Every level's handles are kept. One bench cancels the chain from the top, the other drops a canceled one from the top;
//! building it is outside. The mutex recurses with its locks held, so 1,000 levels are all it is asked for; the chain of a
//! million is in `compare`, there ours on a stack of 64 KiB.

mod mutex;
mod support;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use std::time::Duration;
use support::{Contender, ParkingLot, Ripcord, StdMutex, Tokio, chain_of, stopwatch};

const DEPTH: usize = 1000;

fn cancel<C: Contender>(group: &mut BenchmarkGroup<'_, WallTime>) {
    group.bench_function(C::NAME, |bencher| {
        bencher.iter_custom(|times| {
            let one = |_| {
                let levels = chain_of::<C>(DEPTH);
                stopwatch(|| C::cancel(&levels[0]))
            };
            (0..times).map(one).sum()
        });
    });
}

fn drops<C: Contender>(group: &mut BenchmarkGroup<'_, WallTime>) {
    group.bench_function(C::NAME, |bencher| {
        bencher.iter_custom(|times| {
            let one = |_| {
                let levels = chain_of::<C>(DEPTH);
                C::cancel(&levels[0]);
                stopwatch(|| drop(levels))
            };
            (0..times).map(one).sum()
        });
    });
}

fn chains(criterion: &mut Criterion) {
    let shape = |group: &mut BenchmarkGroup<'_, WallTime>| {
        group.throughput(Throughput::Elements(DEPTH as u64));
        group.sample_size(10).measurement_time(Duration::from_millis(200)).warm_up_time(Duration::from_millis(50));
    };
    let mut group = criterion.benchmark_group("cancel a chain of 1000");
    shape(&mut group);
    cancel::<Ripcord>(&mut group);
    cancel::<StdMutex>(&mut group);
    cancel::<ParkingLot>(&mut group);
    cancel::<Tokio>(&mut group);
    group.finish();
    let mut group = criterion.benchmark_group("drop a chain of 1000");
    shape(&mut group);
    drops::<Ripcord>(&mut group);
    drops::<StdMutex>(&mut group);
    drops::<ParkingLot>(&mut group);
    drops::<Tokio>(&mut group);
    group.finish();
}

criterion_group!(name = benches; config = support::criterion(); targets = chains);
criterion_main!(benches);
