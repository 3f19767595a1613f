//! P14: what does it cost to find a value, or to find that there is none?
//!
//! The binding is the nth node from the leaf; cancelable nodes and values of four other types take turns below it. Among
//! many types, 49 in a hundred nodes: eight of them in turn. Absent: eight types bound nowhere, in turn, from 100 nodes deep,
//! since a filter may by chance be good or bad at one. Tokens hold no values.

mod mutex;
mod support;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use support::{FEW, MOTLEY, ParkingLot, Ripcord, StdMutex, Values, stopwatch};

fn find<C: Values>(group: &mut BenchmarkGroup<'_, WallTime>, depth: usize, types: usize) {
    let leaf = C::chain(depth, types);
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

fn miss<C: Values>(group: &mut BenchmarkGroup<'_, WallTime>, depth: usize, types: usize) {
    let leaf = C::chain(depth, types);
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

fn find_other<C: Values>(group: &mut BenchmarkGroup<'_, WallTime>, depth: usize, types: usize) {
    let leaf = C::chain(depth, types);
    group.bench_function(C::NAME, |bencher| {
        bencher.iter_custom(|times| {
            stopwatch(|| {
                for time in 0..times {
                    black_box(C::find_other(black_box(&leaf), time));
                }
            })
        });
    });
}

fn values(criterion: &mut Criterion) {
    for depth in [1, 10, 100, 1000] {
        let mut group = criterion.benchmark_group(format!("a value at depth {depth}"));
        find::<Ripcord>(&mut group, depth, FEW);
        find::<StdMutex>(&mut group, depth, FEW);
        find::<ParkingLot>(&mut group, depth, FEW);
        group.finish();
    }
    for depth in [100, 1000] {
        let mut group = criterion.benchmark_group(format!("one of many values, from depth {depth}"));
        find_other::<Ripcord>(&mut group, depth, MOTLEY);
        find_other::<StdMutex>(&mut group, depth, MOTLEY);
        find_other::<ParkingLot>(&mut group, depth, MOTLEY);
        group.finish();
    }
    for (types, among) in [(FEW, "few"), (MOTLEY, "many")] {
        let mut group = criterion.benchmark_group(format!("no value, from depth 100, among {among} types"));
        miss::<Ripcord>(&mut group, 100, types);
        miss::<StdMutex>(&mut group, 100, types);
        miss::<ParkingLot>(&mut group, 100, types);
        group.finish();
    }
}

criterion_group!(name = benches; config = support::criterion(); targets = values);
criterion_main!(benches);
