//! What things weigh: words per handle, allocations per operation.
#![cfg(not(feature = "loom"))]

mod common;

use common::allocations::{Counting, allocations, count};
use common::*;
use ripcord::{AfterFunc, CancelGuard, CancelHandle, Cause, Context, Done, DoneOwned, Error, Run};
use std::hint::black_box;
use std::time::{Duration, Instant};

#[global_allocator]
static COUNTING: Counting = Counting;

/// A thread's first cancel registers it with the epoch, which allocates; after this, none does.
fn warm_up() {
    let (parent, handle) = Context::background().with_cancel();
    let child = parent.with_cancel();
    handle.cancel();
    drop(child);
}

/// The least of several counts: pools and thread-locals fill up in the first rounds.
fn steady<R>(mut f: impl FnMut() -> R) -> usize {
    (0..200).map(|_| count(&mut f)).min().unwrap()
}

const WORD: usize = size_of::<usize>();

#[test]
fn handles_are_one_word_and_futures_a_few() {
    assert_eq!(size_of::<Context>(), WORD);
    assert_eq!(size_of::<Option<Context>>(), WORD);
    assert_eq!(size_of::<CancelHandle>(), WORD);
    assert_eq!(size_of::<Option<CancelHandle>>(), WORD);
    assert_eq!(size_of::<Cause>(), WORD);
    assert_eq!(size_of::<Error>(), 1);
    assert_eq!(size_of::<Option<Error>>(), 1);
    assert!(size_of::<CancelGuard>() <= 2 * WORD, "{}", size_of::<CancelGuard>());
    assert!(size_of::<AfterFunc>() <= 2 * WORD, "{}", size_of::<AfterFunc>());
    assert!(size_of::<Done<'_>>() <= 4 * WORD, "{}", size_of::<Done<'_>>());
    assert!(size_of::<DoneOwned>() <= 4 * WORD, "{}", size_of::<DoneOwned>());
    // What runs is there once: an `async fn` would have it twice, as its argument and where it is polled.
    assert!(size_of::<Run<'_, [usize; 100]>>() <= 106 * WORD, "{}", size_of::<Run<'_, [usize; 100]>>());
}

#[test]
fn roots_and_clones_allocate_nothing() {
    assert_eq!(count(Context::background), 0);
    assert_eq!(count(Context::todo), 0);
    assert_eq!(count(Context::default), 0);
    let (ctx, handle) = Context::background().with_cancel();
    assert_eq!(count(|| ctx.clone()), 0);
    assert_eq!(count(|| handle.clone()), 0);
    assert_eq!(count(|| handle.context().clone().into_done()), 0);
    assert_eq!(count(|| ctx.done()), 0);
}

/// On threads that have given nothing back yet. Observers, where there are any, enroll a thread with its first context; it
/// stays. And their lists grow now and then, whoever's turn it is: so there are several tries, for the least to be taken of.
fn afresh<R: Send>(f: impl Fn() -> R + Sync) -> Vec<R> {
    let work = || {
        let _first = Context::background().with_cancel();
        f()
    };
    (0..8).map(|_| std::thread::scope(|scope| scope.spawn(work).join().unwrap())).collect()
}

/// Allocations for the first one that a thread makes, and for the next, when the first has been dropped.
fn first_and_next<R>(f: impl Fn() -> R + Sync) -> (usize, usize) {
    let (first, next): (Vec<_>, Vec<_>) = afresh(|| (count(&f), count(&f))).into_iter().unzip();
    (first.into_iter().min().unwrap(), next.into_iter().min().unwrap())
}

#[test]
fn a_child_is_one_allocation_and_the_next_in_its_place_none() {
    let (parent, _parent) = Context::background().with_cancel();
    assert_eq!(first_and_next(|| parent.with_cancel()), (1, 0));
    assert_eq!(first_and_next(|| Context::background().with_cancel()), (1, 0));
    assert_eq!(first_and_next(|| poll(&mut parent.done()).is_pending()), (1, 0));
    let (ended, handle) = Context::background().with_cancel();
    handle.cancel();
    assert!(first_and_next(|| ended.with_cancel()) <= (1, 0));
    // No more than it needs for the next few is kept by a thread.
    let many = || (0..1_000).map(|_| Context::background().with_cancel()).collect::<Vec<_>>();
    let (first, next) = first_and_next(many);
    assert!(first >= 1_000 && first - next <= 40, "{first} allocations, then {next}");
}

#[test]
fn a_child_among_many_is_one_allocation_but_for_the_blocks_they_share() {
    let (parent, _parent) = Context::background().with_cancel();
    let mut children = Vec::with_capacity(1_000);
    let total = count(|| children.extend((0..1_000).map(|_| parent.with_cancel())));
    assert!(total <= 1_050, "{total} allocations for 1000 children");
    // Their places are there now: refilling them costs the children only.
    children.truncate(500);
    let total = count(|| children.extend((0..500).map(|_| parent.with_cancel())));
    assert!(total <= 550, "{total} allocations for 500 children in places that are there");
}

#[test]
fn a_child_with_a_timeout_among_many_is_one_allocation_too() {
    let (parent, _parent) = Context::background().with_cancel();
    let hour = Duration::from_secs(3600);
    let mut children = Vec::with_capacity(10_000);
    let total = count(|| children.extend((0..10_000).map(|_| parent.with_timeout(hour))));
    assert!(total <= 10_500, "{total} allocations for 10,000 children");
}

#[test]
fn a_child_with_a_timeout_allocates_nothing_once_the_pools_are_filled() {
    let (parent, _parent) = Context::background().with_cancel();
    let hour = Duration::from_secs(3600);
    // Entries come back through the pool with a delay, so the mean counts, not one lucky round.
    for _ in 0..5_000 {
        drop(parent.with_timeout(hour));
    }
    let rounds = 2_000;
    let total: usize = (0..rounds).map(|_| count(|| parent.with_timeout(hour))).sum();
    assert!(total <= rounds / 10, "{total} allocations for {rounds} children with a timeout");
    assert_eq!(steady(|| parent.with_timeout(hour)), 0);
}

#[test]
fn a_value_is_one_allocation() {
    let (parent, _parent) = Context::background().with_cancel();
    assert_eq!(steady(|| parent.with_value([1u64; 4])), 1);
    assert_eq!(steady(|| Context::background().with_value(1u8)), 1);
    let over = parent.with_value(1u8);
    assert_eq!(steady(|| over.with_value(2u8)), 1);
    // However many are below: here it heads a span of fifteen.
    let deep = (0..14).fold(parent, |ctx, n| ctx.with_value(n));
    assert_eq!(steady(|| deep.with_value("15th")), 1);
}

#[test]
fn looking_allocates_nothing() {
    let (parent, handle) = Context::background().with_value(7u32).with_deadline(far());
    let ctx = parent.with_value("text").with_cancel().0;
    let look = || {
        black_box((ctx.is_done(), ctx.err(), ctx.deadline(), ctx.remaining()));
        black_box((ctx.value::<u32>(), ctx.value::<&str>(), ctx.value::<u64>(), ctx.value::<[u8; 3]>()));
        black_box((ctx.cause(), ctx == parent));
    };
    assert_eq!(count(look), 0, "while live");
    handle.cancel_cause("text");
    assert_eq!(count(look), 0, "ended with a cause");
}

#[test]
fn ending_a_thousand_children_allocates_nothing() {
    warm_up();
    for cause in [false, true] {
        let (parent, handle) = Context::background().with_cancel();
        let children: Vec<_> = (0..1_000).map(|_| parent.with_cancel()).collect();
        let below: Vec<_> = children.iter().take(300).map(|(child, _)| child.with_cancel()).collect();
        let why = Cause::from("why");
        let total = count(|| if cause { handle.cancel_cause(why) } else { handle.cancel() });
        assert_eq!(total, 0, "with a cause: {cause}");
        assert!(children.iter().chain(&below).all(|(child, _)| child.is_done()));
    }
}

#[test]
fn ending_a_deep_chain_allocates_nothing() {
    warm_up();
    let (parent, handle) = Context::background().with_cancel();
    let mut leaf = parent.clone();
    for _ in 0..10_000 {
        leaf = leaf.with_cancel().0;
    }
    assert_eq!(count(|| handle.cancel()), 0);
    assert!(leaf.is_done());
}

/// Ten levels wait with the thread until there is a batch. To hand them over would be an allocation or two, and a turn of the
/// collector a look at every thread of the process.
#[test]
fn dropping_a_short_canceled_chain_takes_no_turn_of_the_collector() {
    warm_up();
    let drop_chain = || {
        let levels = chain_of(10);
        levels[0].1.cancel();
        count(|| drop(levels))
    };
    let least = (0..200).map(|_| drop_chain()).min().unwrap();
    assert_eq!(least, 0);
}

/// One waker needs no room, others a queue that doubles.
#[test]
fn waking_allocates_nothing_for_one_waiter_and_little_for_many() {
    warm_up();
    for (waiters, most) in [(0, 0), (1, 0), (2, 1), (500, 8)] {
        let (parent, handle) = Context::background().with_cancel();
        let (wakes, waker) = Wakes::new();
        let idle: Vec<_> = (0..500).map(|_| parent.with_cancel()).collect();
        let mut waiting: Vec<_> = (0..waiters).map(|_| parent.with_cancel().0.into_done()).collect();
        for done in &mut waiting {
            assert!(poll_with(done, &waker).is_pending());
            assert_eq!(count(|| poll_with(done, &waker).is_pending()), 0, "a second poll");
        }
        let made = count(|| handle.cancel());
        assert!(made <= most, "{made} allocations for {waiters} waiters");
        assert_eq!(wakes.count(), waiters);
        assert!(idle.iter().all(|(ctx, _)| ctx.is_done()));
    }
}

#[test]
fn moving_a_deadline_back_allocates_nothing() {
    let (_ctx, handle) = Context::background().with_timeout(Duration::from_secs(3600));
    let at = Instant::now() + Duration::from_secs(7200);
    for n in 0..1_000 {
        assert_eq!(count(|| assert!(handle.reset_deadline(at + Duration::from_secs(n)))), 0);
    }
    assert_eq!(count(|| assert!(handle.reset_timeout(Duration::MAX))), 0);
}

#[test]
fn a_live_child_weighs_at_most_128_bytes_and_a_value_little_more_than_itself() {
    let (parent, _parent) = Context::background().with_cancel();
    let child = afresh(|| allocations(|| parent.with_cancel()).1).into_iter().min().unwrap();
    // With all observers it is a little more.
    let most = if cfg!(feature = "inspect") { 160 } else { 128 };
    assert!(child <= most, "{child} bytes");
    let (_, value) = allocations(|| parent.with_value([0u64; 8]));
    assert!(value <= 64 + 80, "{value} bytes for a value of 64");
    assert_eq!(first_and_next(|| parent.with_cancel().1.drop_guard()).0, 1);
}
