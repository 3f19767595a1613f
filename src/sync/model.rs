//! The same primitives as loom sees them.
//!
//! # Lies of the model
//!
//! * A `SeqCst` load may return the value a word was made with, though a newer `SeqCst` store is there. So words that
//!   need `SeqCst` (the timer's, where one word does not suffice) are stored once more when they are made, and nothing
//!   but `SeqCst` accesses ever touches them: then loom's order of them is the single order they have.
//! * `AtomicWaker` is loom's own, which is a mutex inside: it is at least as ordered as the real one.
//! * Dropping a word is a write to it, as giving memory back is: see `mortal`. A touch after that panics.
//! * `Canary` is a causality cell: a touch that races with, or comes after, the end of the object fails the model.

pub(crate) use super::mortal::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, UnsafeCell};
pub(crate) use loom::sync::atomic::{Ordering, fence};
pub(crate) use loom::sync::{Mutex, MutexGuard};
pub(crate) use loom::thread;

/// One for each of loom's threads: `std`'s would be shared by all of them, for they run on one OS thread.
macro_rules! each_thread {
    ($(static $name:ident: $type:ty = const { $init:expr };)+) => {
        loom::thread_local! { $(static $name: $type = $init;)+ }
    };
}
pub(crate) use each_thread as thread_local;

/// loom's waker cell behind the real one's face.
#[derive(Debug)]
pub(crate) struct AtomicWaker(loom::future::AtomicWaker);

impl AtomicWaker {
    pub(crate) fn new() -> Self {
        AtomicWaker(loom::future::AtomicWaker::new())
    }

    pub(crate) fn register(&self, waker: &std::task::Waker) {
        self.0.register_by_ref(waker);
    }

    pub(crate) fn take(&self) -> Option<std::task::Waker> {
        self.0.take_waker()
    }
}

/// The thread's number within its run: its id also counts runs, and a run must be repeatable.
pub(crate) fn thread_index() -> usize {
    let shown = format!("{:?}", thread::current().id());
    shown.bytes().filter(u8::is_ascii_digit).fold(0, |number, digit| 10 * number + usize::from(digit - b'0'))
}

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

/// Models tidy when they say so.
pub(crate) fn every_sixteenth() -> bool {
    false
}
