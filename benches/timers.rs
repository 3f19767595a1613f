//! P9 and P11: what does a deadline cost on its own, with others pending, and what does it cost to push one back?
//!
//! P9 is a deadline of five minutes with no parent, armed and released, on one thread and on two, with none, 10,000 and a
//! million others pending 4 to 14 minutes ahead. For us and the mutex it is a whole context; tokio and pingora-timeout arm a
//! `timeout` by its first poll: tokio's on a runtime whose one worker drives the timer. P11 is a deadline of an hour moved
//! on by 10 ms. Not in it: what fires deadlines. P10, deadlines that fire, is in `compare`.

mod mutex;
mod support;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use std::time::{Duration, Instant};
use support::{Contender, ParkingLot, Pingora, Ripcord, StdMutex, Timing, Tokio, keep_pending, stopwatch, together_in};

fn pass<T: Timing>(group: &mut BenchmarkGroup<'_, WallTime>, count: usize, pending: usize) {
    let kept = keep_pending::<T>(pending);
    group.bench_function(T::NAME, |bencher| {
        bencher.iter_custom(|times| {
            together_in(|work| T::inside(work), count, times, |times| (0..times).for_each(|_| T::pass()))
        });
    });
    drop(kept);
}

fn push_back<C: Contender>(group: &mut BenchmarkGroup<'_, WallTime>) {
    let mut deadline = C::deadline(&C::root());
    let mut at = Instant::now() + Duration::from_secs(3600);
    group.bench_function(C::NAME, |bencher| {
        bencher.iter_custom(|times| {
            stopwatch(|| {
                for _ in 0..times {
                    at += Duration::from_millis(10);
                    C::push_back(&mut deadline, at);
                }
            })
        });
    });
}

fn timers(criterion: &mut Criterion) {
    // A trial run of every bench does not wait for a million timers.
    let most = if std::env::args().any(|argument| argument == "--bench") { 1_000_000 } else { 1000 };
    for pending in [0, 10_000, 1_000_000] {
        for count in [1, 2] {
            let name = format!("a timer armed and released, {pending} pending, {count} threads");
            let mut group = criterion.benchmark_group(name);
            let pending = pending.min(most);
            pass::<Ripcord>(&mut group, count, pending);
            pass::<StdMutex>(&mut group, count, pending);
            pass::<ParkingLot>(&mut group, count, pending);
            pass::<Tokio>(&mut group, count, pending);
            pass::<Pingora>(&mut group, count, pending);
            group.finish();
        }
    }
    let mut group = criterion.benchmark_group("a deadline pushed back");
    push_back::<Ripcord>(&mut group);
    push_back::<StdMutex>(&mut group);
    push_back::<ParkingLot>(&mut group);
    push_back::<Tokio>(&mut group);
    group.finish();
}

criterion_group!(name = benches; config = support::criterion(); targets = timers);
criterion_main!(benches);
