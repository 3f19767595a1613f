//! A canceler that is stopped half way, as a preempted thread is, or one that a fork has left behind: whoever cancels below it does its
//! work, once.
#![cfg(not(feature = "loom"))]

mod common;

use common::*;
use ripcord::Context;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

thread_local! {
    static STOPS: Cell<bool> = const { Cell::new(false) };
}

static STOPPED: AtomicBool = AtomicBool::new(false);
static GO_ON: AtomicBool = AtomicBool::new(false);

/// Stops a thread that has asked for it where it allocates next.
#[derive(Debug)]
struct Stopping;

// SAFETY: every request goes to the system allocator unchanged; in between a thread only sleeps.
unsafe impl GlobalAlloc for Stopping {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if STOPS.replace(false) {
            STOPPED.store(true, SeqCst);
            while !GO_ON.load(SeqCst) {
                thread::sleep(Duration::from_millis(1));
            }
        }
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Stopping = Stopping;

/// Each cancel would walk what is below it: twenty thousand million steps.
#[test]
fn a_chain_below_a_canceler_that_is_stopped_is_walked_once() {
    within_a_minute(|| {
        let mut levels = vec![Context::background().with_cancel()];
        for above in 0..200_000 {
            let next = levels[above].0.with_cancel();
            levels.push(next);
        }
        // Behind the chain: a queue for wakers is made when the walk has been down there.
        let mut waits = [(); 3].map(|()| levels[0].0.clone().into_done());
        let (wakes, waker) = Wakes::new();
        assert!(waits.iter_mut().all(|done| poll_with(done, &waker).is_pending()));
        let (root, below) = levels.split_first().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                // What a thread allocates once.
                let (first, handle) = Context::background().with_cancel();
                let _child = first.with_cancel();
                handle.cancel();
                STOPS.set(true);
                root.1.cancel();
                assert!(!STOPS.get(), "it allocated nothing");
            });
            eventually("the canceler is stopped", || STOPPED.load(SeqCst));
            assert!(below.iter().all(|(ctx, _)| ctx.is_done()), "stopped behind the chain");
            below.iter().for_each(|(_, handle)| handle.cancel());
            GO_ON.store(true, SeqCst);
        });
        assert_eq!(wakes.count(), waits.len());
    });
}
