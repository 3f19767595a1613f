use super::super::retired::BATCH;
use super::{pin, retire};
use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

fn retire_many(count: usize, free: unsafe fn(*mut ())) {
    for _ in 0..count {
        // SAFETY: no memory at all.
        unsafe { retire(ptr::null_mut(), free) };
    }
}

/// On a thread of its own, which leaves the rest to others with its end.
fn retire_on_a_thread(count: usize, free: unsafe fn(*mut ())) {
    thread::spawn(move || retire_many(count, free)).join().unwrap();
}

/// Gives the collector turns until so many were given back. Other tests' threads may be pinned.
fn until(freed: &AtomicUsize, count: usize) {
    let patience = Instant::now() + Duration::from_secs(60);
    while freed.load(Ordering::Relaxed) < count {
        assert!(Instant::now() < patience, "{} of {count} were given back", freed.load(Ordering::Relaxed));
        // Whoever gives something back may have to retire more: a thread that ends leaves nothing.
        retire_on_a_thread(BATCH, |_| ());
        thread::yield_now();
    }
}

#[test]
fn whole_batches_and_the_rest_are_given_back_once() {
    static FREED: AtomicUsize = AtomicUsize::new(0);
    fn free(_: *mut ()) {
        FREED.fetch_add(1, Ordering::Relaxed);
    }
    retire_on_a_thread(5 * BATCH + 7, free);
    until(&FREED, 5 * BATCH + 7);
    retire_on_a_thread(BATCH, |_| ());
    assert_eq!(FREED.load(Ordering::Relaxed), 5 * BATCH + 7);
}

#[test]
fn nothing_is_given_back_under_a_guard_of_its_time() {
    static FREED: AtomicUsize = AtomicUsize::new(0);
    fn free(_: *mut ()) {
        FREED.fetch_add(1, Ordering::Relaxed);
    }
    /// Retires when its thread's locals go.
    struct Late;
    impl Drop for Late {
        fn drop(&mut self) {
            retire_many(1, free);
        }
    }
    thread_local! {
        static BEFORE: Late = const { Late };
        static AFTER: Late = const { Late };
    }
    let guard = pin();
    let some = || {
        BEFORE.with(|_| ());
        retire_many(3 * BATCH + 7, free);
        AFTER.with(|_| ());
    };
    thread::spawn(some).join().unwrap();
    for _ in 0..16 {
        thread::spawn(|| pin().collect()).join().unwrap();
    }
    assert_eq!(FREED.load(Ordering::Relaxed), 0);
    drop(guard);
    until(&FREED, 3 * BATCH + 9);
}

#[test]
fn what_is_given_back_may_retire_more_and_does_not_nest() {
    static FREED: AtomicUsize = AtomicUsize::new(0);
    static DEEPEST: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static DEPTH: Cell<usize> = const { Cell::new(0) };
    }
    fn last(_: *mut ()) {
        FREED.fetch_add(1, Ordering::Relaxed);
    }
    fn first(_: *mut ()) {
        let depth = DEPTH.get() + 1;
        DEPTH.set(depth);
        DEEPEST.fetch_max(depth, Ordering::Relaxed);
        retire_many(BATCH, last);
        DEPTH.set(depth - 1);
    }
    // A backlog, so that there is something to give back at every turn.
    let guard = pin();
    retire_on_a_thread(500 * BATCH, first);
    drop(guard);
    // A thread that gives back, and does not end, keeps less than a batch.
    until(&FREED, 400 * BATCH * BATCH);
    assert_eq!(DEEPEST.load(Ordering::Relaxed), 1);
}
