//! The cells of rows that repeat one short operation. What each row includes is said in `rows.rs`.

use super::counting::counted;
use super::table::{Cell, Effort, per_time};
use crate::support::{Contender, Timing, Values, cancel_trees, stopwatch, together, together_in};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Out of line, so that one thread and several run the same instructions at the same addresses: of a loop of one cycle that is a
/// fifth.
#[inline(never)]
fn often(times: u64, one: impl Fn()) {
    for _ in 0..times {
        one();
    }
}

pub(crate) fn child<C: Contender>(effort: Effort, count: usize) -> Option<Cell> {
    let parent = C::root();
    per_time(effort.on(count), move |times| {
        together::<C>(count, times, |times| often(times, || drop(black_box(C::child(&parent)))))
    })
}

pub(crate) fn timed<C: Contender>(effort: Effort, count: usize) -> Option<Cell> {
    let parent = C::root();
    per_time(effort.on(count), move |times| {
        together::<C>(count, times, |times| often(times, || C::pass_timed(&parent)))
    })
}

pub(crate) fn look<C: Contender>(effort: Effort, count: usize) -> Option<Cell> {
    let parent = C::root();
    let child = C::child(&parent);
    per_time(effort.on(count), move |times| {
        // Captured, so that the parent is held as long as it is measured.
        let _ = &parent;
        together::<C>(count, times, |times| often(times, || _ = black_box(C::is_done(&child))))
    })
}

pub(crate) fn fan_out<C: Contender>(effort: Effort, width: usize) -> Option<Cell> {
    // Building the trees takes several times as long as canceling them: a shorter slice.
    let mut cell =
        per_time(Effort { slice: effort.slice / 3, ..effort }, move |times| cancel_trees::<C>(width, times))?;
    Some(Box::new(move || cell() / width as f64))
}

/// One tree and one cancel.
pub(crate) fn fan_out_once<C: Contender>(width: usize) -> Option<Cell> {
    Some(Box::new(move || cancel_trees::<C>(width, 1).as_secs_f64() * 1e9 / width as f64))
}

pub(crate) fn done<C: Contender>(effort: Effort, count: usize) -> Option<Cell> {
    let child = C::root();
    per_time(effort.on(count), move |times| together::<C>(count, times, |times| often(times, || C::pass_done(&child))))
}

pub(crate) fn done_again<C: Contender>(effort: Effort) -> Option<Cell> {
    let child = C::root();
    per_time(effort, move |times| stopwatch(|| C::poll_done(&child, times)))
}

pub(crate) fn timer<T: Timing>(effort: Effort, count: usize) -> Option<Cell> {
    per_time(effort, move |times| together_in(|work| T::inside(work), count, times, |times| often(times, T::pass)))
}

pub(crate) fn push_back<C: Contender>(effort: Effort) -> Option<Cell> {
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
pub(crate) type Heap = (f64, f64);

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

pub(crate) fn heap_child<C: Contender>(effort: Effort) -> Heap {
    heap::<C, _>(effort, C::child)
}

pub(crate) fn heap_timed<C: Contender>(effort: Effort) -> Heap {
    heap::<C, _>(effort, C::keep_timed)
}

pub(crate) fn find<C: Values>(effort: Effort, depth: usize, types: usize) -> Option<Cell> {
    let leaf = C::chain(depth, types);
    assert_eq!(C::find(&leaf), Some(1));
    per_time(effort, move |times| {
        stopwatch(|| {
            for _ in 0..times {
                black_box(C::find(black_box(&leaf)));
            }
        })
    })
}

pub(crate) fn find_other<C: Values>(effort: Effort, depth: usize, types: usize) -> Option<Cell> {
    let leaf = C::chain(depth, types);
    assert!((0..8).all(|time| C::find_other(&leaf, time)));
    per_time(effort, move |times| {
        stopwatch(|| {
            for time in 0..times {
                black_box(C::find_other(black_box(&leaf), time));
            }
        })
    })
}

pub(crate) fn miss<C: Values>(effort: Effort, depth: usize, types: usize) -> Option<Cell> {
    let leaf = C::chain(depth, types);
    assert!((0..8).all(|time| C::miss(&leaf, time).is_none()));
    per_time(effort, move |times| {
        stopwatch(|| {
            for time in 0..times {
                black_box(C::miss(black_box(&leaf), time));
            }
        })
    })
}
