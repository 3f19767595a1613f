//! P14: what does it cost to find a value, or to find that there is none?
//!
//! The binding is the nth node from the leaf; cancelable nodes and other types' values take turns below it. Absent: eight
//! types bound nowhere, in turn, from 100 nodes deep, since a filter may by chance be good or bad at one. Tokens hold no
//! values.

mod mutex;
mod support;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use support::{ParkingLot, Ripcord, StdMutex, Values, stopwatch};

fn find<C: Values>(group: &mut BenchmarkGroup<'_, WallTime>, depth: usize) {
    let leaf = C::chain(depth);
    group.bench_function(C::NAME, |bencher| {
        bencher.iter_custom(|times| {
            stopwatch(|| {
                for _ in 0..times {
                    black_box(C::find(black_box(&leaf)));
                }
            })
        });
    });
}

fn miss<C: Values>(group: &mut BenchmarkGroup<'_, WallTime>, depth: usize) {
    let leaf = C::chain(depth);
    group.bench_function(C::NAME, |bencher| {
        bencher.iter_custom(|times| {
            stopwatch(|| {
                for time in 0..times {
                    black_box(C::miss(black_box(&leaf), time));
                }
            })
        });
    });
}

fn values(criterion: &mut Criterion) {
    for depth in [1, 10, 100] {
        let mut group = criterion.benchmark_group(format!("a value at depth {depth}"));
        find::<Ripcord>(&mut group, depth);
        find::<StdMutex>(&mut group, depth);
        find::<ParkingLot>(&mut group, depth);
        group.finish();
    }
    let mut group = criterion.benchmark_group("no value, from depth 100");
    miss::<Ripcord>(&mut group, 100);
    miss::<StdMutex>(&mut group, 100);
    miss::<ParkingLot>(&mut group, 100);
    group.finish();
}

criterion_group!(name = benches; config = support::criterion(); targets = values);
criterion_main!(benches);
