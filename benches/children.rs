//! P1 and P2: what does a child of one shared, live parent cost?
//!
//! A row is one child created and dropped: registration with the parent, the child's memory, both handles (a context and
//! its `CancelHandle`; a token is one), leaving the parent, giving the memory back. Every thread works on the same
//! parent, which has no other children. Not in it: threads, runtimes and the parent.

mod mutex;
mod support;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use support::{Contender, ParkingLot, Ripcord, StdMutex, Tokio, threaded};

fn add<C: Contender>(group: &mut BenchmarkGroup<'_, WallTime>, count: usize) {
    let parent = C::root();
    threaded::<C>(group, count, |times| {
        for _ in 0..times {
            black_box(C::child(&parent));
        }
    });
}

fn children(criterion: &mut Criterion) {
    for count in [1, 2, 8] {
        let mut group = criterion.benchmark_group(format!("child of one live parent, {count} threads"));
        add::<Ripcord>(&mut group, count);
        add::<StdMutex>(&mut group, count);
        add::<ParkingLot>(&mut group, count);
        add::<Tokio>(&mut group, count);
        group.finish();
    }
}

criterion_group!(name = benches; config = support::criterion(); targets = children);
criterion_main!(benches);
