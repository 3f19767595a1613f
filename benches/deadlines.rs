//! P3: what does a child with a deadline cost, when it ends early as almost all do?
//!
//! A row is one child with a 30 s timeout created, armed and dropped: the clock read, registration with the parent, the
//! timer, and both given back. For tokio it is a child token and a `timeout` polled once, on a current-thread runtime
//! per thread. Every thread works on the same parent; nothing else is armed. Not in it: the runtimes and the threads
//! that fire deadlines.

mod mutex;
mod support;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use support::{Contender, ParkingLot, Ripcord, StdMutex, Tokio, threaded};

fn add<C: Contender>(group: &mut BenchmarkGroup<'_, WallTime>, count: usize) {
    let parent = C::root();
    threaded::<C>(group, count, |times| {
        for _ in 0..times {
            C::pass_timed(&parent);
        }
    });
}

fn deadlines(criterion: &mut Criterion) {
    for count in [1, 2] {
        let mut group = criterion.benchmark_group(format!("child with a 30 s timeout, {count} threads"));
        add::<Ripcord>(&mut group, count);
        add::<StdMutex>(&mut group, count);
        add::<ParkingLot>(&mut group, count);
        add::<Tokio>(&mut group, count);
        group.finish();
    }
}

criterion_group!(name = benches; config = support::criterion(); targets = deadlines);
criterion_main!(benches);
