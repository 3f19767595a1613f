//! Every row against every rival in one run and one table: `cargo bench --bench compare [-- --quick] [-- P6]`.
//!
//! The rows are numbered as in the project's list of goals. What each contains:
//!
//! * P1, P2: a child of one shared live parent, created and dropped; p99.9 is of single operations with 8 threads,
//!   two clock reads included.
//! * P3: the same with a 30 s timeout; tokio: a child token and a `timeout` polled once, a runtime per thread.
//! * P4: one look at a live child, all threads at the same one.
//! * P6: one cancel of a parent, divided by its children; building and dropping the tree is outside.
//! * P7: a `done()` polled once, pending, and dropped, all threads on one context; a pending one polled again.
//! * P11: a deadline of an hour moved 10 ms further; tokio: `Sleep::reset`.
//! * P12: what 100k kept children added to the heap, bytes as asked for, divided: parent's share and timer included.
//! * P14: a look-up whose binding is the nth node from the leaf, cancelable nodes and other values between; absent:
//!   eight types bound nowhere, in turn, from 100 nodes deep. Tokens hold no values.

#[path = "compare/counting.rs"]
mod counting;
mod mutex;
mod support;
#[path = "compare/table.rs"]
mod table;

use counting::{Counting, counted};
use std::hint::black_box;
use std::time::{Duration, Instant};
use support::{Contender, ParkingLot, Ripcord, StdMutex, Tokio, Values, cancel_trees, stopwatch, together};
use table::Target::{Most, Of, Ratio};
use table::{Cell, Effort, Row, per_time};

#[global_allocator]
static COUNTING: Counting = Counting;

/// One cell per contender, in the order of [`table::NAMES`].
macro_rules! each {
    ($cell:ident($($arg:expr),*)) => {
        [$cell::<Ripcord>($($arg),*), $cell::<StdMutex>($($arg),*), $cell::<ParkingLot>($($arg),*), $cell::<Tokio>($($arg),*)]
    };
}

/// The same where a token has nothing to show.
macro_rules! contexts {
    ($cell:ident($($arg:expr),*)) => {
        [$cell::<Ripcord>($($arg),*), $cell::<StdMutex>($($arg),*), $cell::<ParkingLot>($($arg),*), None]
    };
}

fn child<C: Contender>(effort: Effort, count: usize) -> Option<Cell> {
    let parent = C::root();
    per_time(effort, move |times| {
        together::<C>(count, times, |times| (0..times).for_each(|_| drop(black_box(C::child(&parent)))))
    })
}

/// In microseconds.
fn child_tail<C: Contender>(effort: Effort, count: usize) -> Option<Cell> {
    let parent = C::root();
    Some(Box::new(move || {
        let spans = std::sync::Mutex::new(Vec::new());
        together::<C>(count, effort.widest as u64 / 20, |times| {
            let mut own = Vec::with_capacity(times as usize);
            for _ in 0..times {
                let start = Instant::now();
                drop(black_box(C::child(&parent)));
                own.push(start.elapsed().as_nanos() as u64);
            }
            spans.lock().expect("no panic").extend(own);
        });
        let mut spans = spans.into_inner().expect("no panic");
        spans.sort_unstable();
        spans[spans.len() * 999 / 1000] as f64 / 1e3
    }))
}

fn timed<C: Contender>(effort: Effort, count: usize) -> Option<Cell> {
    let parent = C::root();
    per_time(effort, move |times| together::<C>(count, times, |times| (0..times).for_each(|_| C::pass_timed(&parent))))
}

fn look<C: Contender>(effort: Effort, count: usize) -> Option<Cell> {
    let parent = C::root();
    let child = C::child(&parent);
    per_time(effort, move |times| {
        // Captured, so that the parent is held as long as it is measured.
        let _ = &parent;
        together::<C>(count, times, |times| {
            for _ in 0..times {
                black_box(C::is_done(&child));
            }
        })
    })
}

fn fan_out<C: Contender>(effort: Effort, width: usize) -> Option<Cell> {
    let width = width.min(effort.widest);
    // Building the trees takes several times as long as canceling them: a shorter slice.
    let mut cell =
        per_time(Effort { slice: effort.slice / 3, ..effort }, move |times| cancel_trees::<C>(width, times))?;
    Some(Box::new(move || cell() / width as f64))
}

fn done<C: Contender>(effort: Effort, count: usize) -> Option<Cell> {
    let child = C::root();
    per_time(effort, move |times| together::<C>(count, times, |times| (0..times).for_each(|_| C::pass_done(&child))))
}

fn done_again<C: Contender>(effort: Effort) -> Option<Cell> {
    let child = C::root();
    per_time(effort, move |times| stopwatch(|| C::poll_done(&child, times)))
}

fn push_back<C: Contender>(effort: Effort) -> Option<Cell> {
    let mut deadline = C::deadline(&C::root());
    let mut at = Instant::now() + Duration::from_secs(3600);
    per_time(effort, move |times| {
        stopwatch(|| {
            for _ in 0..times {
                at += Duration::from_millis(10);
                C::push_back(&mut deadline, at);
            }
        })
    })
}

/// Bytes and allocations per kept child.
type Heap = (f64, f64);

/// Counted once, before anything else ran: pools and sweeps would give one row's memory to the next.
fn heap<C: Contender, K>(effort: Effort, keep: fn(&C::Child) -> K) -> Heap {
    C::inside(|| {
        let parent = C::root();
        // Threads and what else comes with the first.
        drop(keep(&parent));
        let mut kept = Vec::with_capacity(effort.widest);
        let (bytes, calls) = counted(|| (0..effort.widest).for_each(|_| kept.push(keep(&parent))));
        (bytes / effort.widest as f64, calls / effort.widest as f64)
    })
}

fn heap_child<C: Contender>(effort: Effort) -> Heap {
    heap::<C, _>(effort, C::child)
}

fn heap_timed<C: Contender>(effort: Effort) -> Heap {
    heap::<C, _>(effort, C::keep_timed)
}

fn known<const N: usize>(figures: [f64; N]) -> [Option<Cell>; N] {
    figures.map(|figure| Some(Box::new(move || figure) as Cell))
}

fn find<C: Values>(effort: Effort, depth: usize) -> Option<Cell> {
    let leaf = C::chain(depth);
    assert_eq!(C::find(&leaf), Some(1));
    per_time(effort, move |times| {
        stopwatch(|| {
            for _ in 0..times {
                black_box(C::find(black_box(&leaf)));
            }
        })
    })
}

fn miss<C: Values>(effort: Effort, depth: usize) -> Option<Cell> {
    let leaf = C::chain(depth);
    assert!((0..8).all(|time| C::miss(&leaf, time).is_none()));
    per_time(effort, move |times| {
        stopwatch(|| {
            for time in 0..times {
                black_box(C::miss(black_box(&leaf), time));
            }
        })
    })
}

#[rustfmt::skip]
fn rows(e: Effort) -> Vec<Row> {
    let plain: [Heap; 4] = each!(heap_child(e));
    let timed_heap: [Heap; 4] = each!(heap_timed(e));
    vec![
        Row { id: "P1", work: "child: create, drop; 1 thread", unit: "ns", cells: each!(child(e, 1)), targets: &[Ratio(0.35)] },
        Row { id: "P2", work: "the same, 2 threads", unit: "ns", cells: each!(child(e, 2)), targets: &[Ratio(0.15), Of(1.2, "P1")] },
        Row { id: "P2/8", work: "the same, 8 threads", unit: "ns", cells: each!(child(e, 8)), targets: &[Ratio(0.15), Of(1.11, "P2")] },
        Row { id: "P2/8t", work: "the same, p99.9", unit: "us", cells: each!(child_tail(e, 8)), targets: &[Most(5.0)] },
        Row { id: "P3", work: "child, 30 s timeout; 1 thread", unit: "ns", cells: each!(timed(e, 1)), targets: &[Ratio(0.2)] },
        Row { id: "P3/2", work: "the same, 2 threads", unit: "ns", cells: each!(timed(e, 2)), targets: &[Ratio(0.2), Of(1.2, "P3")] },
        Row { id: "P4", work: "is_done while live; 1 thread", unit: "ns", cells: each!(look(e, 1)), targets: &[Most(1.0)] },
        Row { id: "P4/2", work: "the same, 2 threads", unit: "ns", cells: each!(look(e, 2)), targets: &[Most(1.0), Of(1.1, "P4")] },
        Row { id: "P6/1", work: "cancel a parent of 1, per child", unit: "ns", cells: each!(fan_out(e, 1)), targets: &[Ratio(0.4)] },
        Row { id: "P6/10", work: "of 10", unit: "ns", cells: each!(fan_out(e, 10)), targets: &[Ratio(0.4)] },
        Row { id: "P6/1k", work: "of 1,000", unit: "ns", cells: each!(fan_out(e, 1000)), targets: &[Ratio(0.4)] },
        Row { id: "P6/100k", work: "of 100,000", unit: "ns", cells: each!(fan_out(e, 100_000)), targets: &[Ratio(0.4)] },
        Row { id: "P7", work: "done(): poll, drop; 1 thread", unit: "ns", cells: each!(done(e, 1)), targets: &[Ratio(0.5)] },
        Row { id: "P7/2", work: "the same, 2 threads", unit: "ns", cells: each!(done(e, 2)), targets: &[Ratio(0.5), Of(1.2, "P7")] },
        Row { id: "P7/again", work: "done(): poll again", unit: "ns", cells: each!(done_again(e)), targets: &[Most(10.0)] },
        Row { id: "P11", work: "push a deadline back", unit: "ns", cells: each!(push_back(e)), targets: &[Most(5.0)] },
        Row { id: "P12", work: "heap per child", unit: "B", cells: known(plain.map(|heap| heap.0)), targets: &[Most(128.0)] },
        Row { id: "P12/a", work: "allocations per child", unit: "", cells: known(plain.map(|heap| heap.1)), targets: &[Most(1.05)] },
        Row { id: "P12/t", work: "heap per child with timeout", unit: "B", cells: known(timed_heap.map(|heap| heap.0)), targets: &[Most(160.0)] },
        Row { id: "P12/ta", work: "allocations per child with timeout", unit: "", cells: known(timed_heap.map(|heap| heap.1)), targets: &[Most(1.05)] },
        Row { id: "P14/1", work: "find a value at depth 1", unit: "ns", cells: contexts!(find(e, 1)), targets: &[Most(3.0)] },
        Row { id: "P14/10", work: "at depth 10", unit: "ns", cells: contexts!(find(e, 10)), targets: &[Most(15.0)] },
        Row { id: "P14/100", work: "at depth 100", unit: "ns", cells: contexts!(find(e, 100)), targets: &[Most(60.0)] },
        Row { id: "P14/no", work: "absent, from depth 100", unit: "ns", cells: contexts!(miss(e, 100)), targets: &[Most(3.0)] },
    ]
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let effort = if !has("--bench") || has("--test") {
        // `cargo test --benches`: everything runs, nothing is measured.
        Effort { rounds: 1, slice: Duration::from_micros(1), widest: 100 }
    } else if has("--quick") {
        Effort { rounds: 5, slice: Duration::from_millis(2), widest: 100_000 }
    } else {
        Effort { rounds: 31, slice: Duration::from_millis(3), widest: 100_000 }
    };
    let mut rows = rows(effort);
    if let Some(filter) = arguments.iter().find(|argument| !argument.starts_with('-')) {
        rows.retain(|row| row.id.contains(filter.as_str()) || row.work.contains(filter.as_str()));
    }
    table::describe(effort);
    table::run(rows, effort);
}
