//! Wakers as executors may make them: with a clone that is not the same word, and with clones and drops that panic.
#![cfg(not(feature = "loom"))]

mod common;

use common::*;
use ripcord::Context;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::{RawWaker, RawWakerVTable, Waker};

/// A task of an executor whose wakers are on loan: what a poll is given points to the executor's own place, which has the
/// next task in it the next time. Only a clone counts, and points to the task.
type Place = Arc<AtomicUsize>;

static ON_LOAN: RawWakerVTable = RawWakerVTable::new(
    |place| {
        // SAFETY: the place outlives the poll that it was lent to.
        let task = unsafe { &*place.cast::<Place>() };
        RawWaker::new(Arc::into_raw(Arc::clone(task)).cast(), &COUNTED)
    },
    |_| unreachable!("a waker on loan is not given away"),
    |_| (),
    |_| (),
);

static COUNTED: RawWakerVTable = RawWakerVTable::new(
    |task| {
        // SAFETY: made of an `Arc`, by `ON_LOAN` or here.
        unsafe { Arc::increment_strong_count(task.cast::<AtomicUsize>()) };
        RawWaker::new(task, &COUNTED)
    },
    |task| {
        // SAFETY: made of an `Arc`, and used up.
        unsafe { Arc::from_raw(task.cast::<AtomicUsize>()) }.fetch_add(1, SeqCst);
    },
    |task| {
        // SAFETY: made of an `Arc` that the waker keeps.
        unsafe { &*task.cast::<AtomicUsize>() }.fetch_add(1, SeqCst);
    },
    |task| {
        // SAFETY: made of an `Arc`, and used up.
        drop(unsafe { Arc::from_raw(task.cast::<AtomicUsize>()) });
    },
);

/// The waker on loan from this place.
fn lent(place: &Place) -> Waker {
    // SAFETY: the table keeps the rules as long as the place stays where it is.
    unsafe { Waker::from_raw(RawWaker::new(ptr::from_ref(place).cast(), &ON_LOAN)) }
}

#[test]
fn a_waker_on_loan_was_taken_for_the_last_one_in_the_same_place() {
    for changes in 0..3 {
        let (ctx, handle) = Context::background().with_cancel();
        let mut done = ctx.done();
        // Where the signal has known other wakers before, too.
        for _ in 0..changes {
            assert!(poll_with(&mut done, &Wakes::new().1).is_pending());
        }
        let (one, other) = (Place::default(), Place::default());
        let mut place = Arc::clone(&one);
        assert!(poll_with(&mut done, &lent(&place)).is_pending());
        place = Arc::clone(&other);
        assert!(poll_with(&mut done, &lent(&place)).is_pending());
        handle.cancel();
        assert_eq!((one.load(SeqCst), other.load(SeqCst)), (0, 1), "the last poll's task, after {changes} changes");
    }
}

/// Counts its wakes, and panics when it is cloned or dropped while armed.
#[derive(Default)]
struct Touchy {
    wakes: AtomicUsize,
    clone: AtomicBool,
    drop: AtomicBool,
}

static TOUCHY: RawWakerVTable = RawWakerVTable::new(
    |touchy| {
        // SAFETY: made of a reference that outlives every waker.
        assert!(!unsafe { &*touchy.cast::<Touchy>() }.clone.load(SeqCst), "not to be cloned");
        RawWaker::new(touchy, &TOUCHY)
    },
    |touchy| {
        // SAFETY: as above.
        unsafe { &*touchy.cast::<Touchy>() }.wakes.fetch_add(1, SeqCst);
    },
    |touchy| {
        // SAFETY: as above.
        unsafe { &*touchy.cast::<Touchy>() }.wakes.fetch_add(1, SeqCst);
    },
    |touchy| {
        // SAFETY: as above.
        assert!(!unsafe { &*touchy.cast::<Touchy>() }.drop.swap(false, SeqCst), "not to be dropped");
    },
);

impl Touchy {
    fn waker(&'static self) -> Waker {
        // SAFETY: what is static outlives every waker.
        unsafe { Waker::from_raw(RawWaker::new(ptr::from_ref(self).cast(), &TOUCHY)) }
    }
}

#[test]
fn a_panic_of_the_replaced_wakers_drop_lost_the_next_registration() {
    static TOUCHIES: [Touchy; 3] =
        [const { Touchy { wakes: AtomicUsize::new(0), clone: AtomicBool::new(false), drop: AtomicBool::new(false) } };
            3];
    for (changes, touchy) in TOUCHIES.iter().enumerate() {
        let (ctx, handle) = Context::background().with_cancel();
        let mut done = ctx.done();
        for _ in 0..changes {
            assert!(poll_with(&mut done, &Wakes::new().1).is_pending());
        }
        let waker = touchy.waker();
        assert!(poll_with(&mut done, &waker).is_pending());
        touchy.drop.store(true, SeqCst);
        let (wakes, other) = Wakes::new();
        assert!(catch_unwind(AssertUnwindSafe(|| poll_with(&mut done, &other))).is_err());
        drop(other);
        assert_eq!(Arc::strong_count(&wakes), 1, "given back, after {changes} changes");
        assert!(poll_with(&mut done, &waker).is_pending());
        handle.cancel();
        assert_eq!(
            (touchy.wakes.load(SeqCst), wakes.count()),
            (1, 0),
            "the last poll's waker, after {changes} changes"
        );
    }
}

#[test]
fn a_panic_of_a_wakers_clone_lost_every_later_wake_up() {
    static TOUCHY: Touchy =
        Touchy { wakes: AtomicUsize::new(0), clone: AtomicBool::new(true), drop: AtomicBool::new(false) };
    for changes in 0..3 {
        let (ctx, handle) = Context::background().with_cancel();
        let mut done = ctx.done();
        for _ in 0..changes {
            assert!(poll_with(&mut done, &Wakes::new().1).is_pending());
        }
        let waker = TOUCHY.waker();
        assert!(catch_unwind(AssertUnwindSafe(|| poll_with(&mut done, &waker))).is_err());
        let (wakes, last) = Wakes::new();
        assert!(poll_with(&mut done, &last).is_pending());
        drop(last);
        handle.cancel();
        assert_eq!(
            (TOUCHY.wakes.load(SeqCst), wakes.count()),
            (0, 1),
            "the last poll's waker, after {changes} changes"
        );
        drop(done);
        assert_eq!(Arc::strong_count(&wakes), 1, "given back, after {changes} changes");
    }
}
