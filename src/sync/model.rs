//! The same primitives as loom sees them, or shuttle.
//!
//! # Lies of the model
//!
//! * A `SeqCst` load may return the value a word was made with, though a newer `SeqCst` store is there. So words that
//!   need `SeqCst` (the timer's, where one word does not suffice) are stored once more when they are made, and nothing
//!   but `SeqCst` accesses ever touches them: then loom's order of them is the single order they have.
//! * Dropping a word is a write to it, as giving memory back is: see `mortal`. A touch after that panics.
//! * Loom tries a write before another thread's look at the same word only if that look was the last before it: a look of
//!   the writer's own, right before its compare-and-swap, hides all others. So a `guess` is null, without a look; that it
//!   is wrong is what the compare-and-swap finds.
//! * A `Bookmark` is always 0, and no word: where a search begins decides nothing.
//! * `Canary` is a causality cell: a touch that races with, or comes after, the end of the object fails the model.

use super::explorer;
pub(crate) use super::explorer::sync::atomic::{Ordering, fence};
pub(crate) use super::explorer::sync::{Mutex, MutexGuard};
pub(crate) use super::explorer::thread;
pub(crate) use super::mortal::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, UnsafeCell};

/// One for each of loom's threads: `std`'s would be shared by all of them, for they run on one OS thread.
macro_rules! each_thread {
    ($(static $name:ident: $type:ty = const { $init:expr };)+) => {
        crate::sync::explorer::thread_local! { $(static $name: $type = $init;)+ }
    };
}
pub(crate) use each_thread as thread_local;

pub(crate) use explorer::thread_number as thread_index;

/// Detects touches of an object that was given back, and races between the two.
#[derive(Debug)]
pub(crate) struct Canary {
    alive: UnsafeCell<bool>,
}

impl Canary {
    pub(crate) fn new() -> Self {
        Canary { alive: UnsafeCell::new(true) }
    }

    pub(crate) fn touch(&self) {
        if lingers() {
            thread::yield_now();
        }
        self.alive.with(|alive| {
            // SAFETY: loom checks that no `kill` is concurrent; the cell's memory outlives the model's object (see `reclaim`).
            assert!(unsafe { *alive }, "touched after it was given back");
        });
    }

    pub(crate) fn kill(&self) {
        self.alive.with_mut(|alive| {
            // SAFETY: as in `touch`; loom fails the model if anybody else looks now.
            let alive = unsafe { &mut *alive };
            assert!(*alive, "given back twice");
            *alive = false;
        });
    }
}

/// Two ways, so that threads of a model have their own and meet strangers too.
pub(crate) fn shard_count() -> usize {
    2
}

std::thread_local! {
    static TIDY: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// A real one, on all processors.
pub(crate) fn full_fence() {
    fence(Ordering::SeqCst);
}

/// See the lies.
pub(crate) fn guess<T>(_: &AtomicPtr<T>, _: Ordering) -> *mut T {
    std::ptr::null_mut()
}

/// See the lies.
pub(crate) struct Bookmark;

impl Bookmark {
    pub(crate) fn new() -> Bookmark {
        Bookmark
    }

    pub(crate) fn get(&self) -> usize {
        0
    }

    pub(crate) fn put(&self, _: usize) {}
}

/// The models have no caches.
pub(crate) fn prefetch(_: *mut ()) {}

pub(crate) fn expect_beyond<T>(_: std::ptr::NonNull<T>, _: std::ptr::NonNull<T>) {}

/// Models tidy when they say so: looks that decide nothing else would only add interleavings.
pub(crate) fn tidies(_: impl FnOnce() -> bool) -> bool {
    TIDY.get()
}

/// From now on everybody tidies, or nobody does. Only while no other thread runs: it is no part of the schedule.
pub(crate) fn tidy(always: bool) {
    TIDY.set(always);
}

// A bit for each of the next touches.
crate::sync::thread_local! {
    static LINGERING: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// The calling thread lets others go on when it touches a canary: bit 0 is for the next touch, bit 1 for the one after it. Loom does
/// not count that as a preemption, so threads can be made to meet in the middle of their steps within a small bound.
pub(crate) fn linger(touches: u64) {
    LINGERING.with(|lingering| lingering.set(touches));
}

fn lingers() -> bool {
    let touches = LINGERING.try_with(|lingering| lingering.replace(lingering.get() >> 1));
    touches.is_ok_and(|touches| touches & 1 == 1)
}
