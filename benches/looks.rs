//! P4: what does it cost to ask a live context whether it is over?
//!
//! A row is one `is_done` (for a token `is_cancelled`) or one `err` on a live child of a live parent, every thread asking
//! the same child; the answer is kept from the optimiser, which costs the same store for all. A token has no `err`.

mod mutex;
mod support;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use support::{Contender, ParkingLot, Ripcord, StdMutex, Tokio, threaded};

fn look<C: Contender, R>(group: &mut BenchmarkGroup<'_, WallTime>, count: usize, look: impl Fn(&C::Child) -> R + Sync) {
    let parent = C::root();
    let child = C::child(&parent);
    threaded::<C>(group, count, |times| {
        for _ in 0..times {
            black_box(look(&child));
        }
    });
}

fn looks(criterion: &mut Criterion) {
    for count in [1, 2] {
        let mut group = criterion.benchmark_group(format!("is_done while live, {count} threads"));
        look::<Ripcord, _>(&mut group, count, Ripcord::is_done);
        look::<StdMutex, _>(&mut group, count, StdMutex::is_done);
        look::<ParkingLot, _>(&mut group, count, ParkingLot::is_done);
        look::<Tokio, _>(&mut group, count, Tokio::is_done);
        group.finish();
        let mut group = criterion.benchmark_group(format!("err while live, {count} threads"));
        look::<Ripcord, _>(&mut group, count, Ripcord::err);
        look::<StdMutex, _>(&mut group, count, StdMutex::err);
        look::<ParkingLot, _>(&mut group, count, ParkingLot::err);
        group.finish();
    }
}

criterion_group!(name = benches; config = support::criterion(); targets = looks);
criterion_main!(benches);
