//! Futures that were pending when they were forgotten: nobody polls or drops them any more.
#![cfg(not(feature = "loom"))]

mod common;

use common::*;
use ripcord::Context;
use std::mem::forget;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Nobody will poll it or drop it: its waker goes with the context, which nobody keeps for it.
#[test]
fn a_forgotten_futures_waker_goes_with_its_context() {
    let (parent, handle) = Context::background().with_cancel();
    let (wakes, waker) = Wakes::new();
    let held = parent.with_cancel();
    let mut done = held.0.done();
    assert!(poll_with(&mut done, &waker).is_pending());
    drop(waker);
    forget(done);
    drop(held);
    assert_eq!(Arc::strong_count(&wakes), 1);
    handle.cancel();
    assert_eq!(wakes.count(), 0);
}

/// What its waker keeps may be what keeps the context: then the last handle lets go of both.
#[test]
fn a_forgotten_futures_waker_does_not_keep_its_context() {
    let (ctx, handle) = Context::background().with_cancel();
    let child = ctx.with_cancel();
    let kept = Arc::new(());
    let held = (child, kept.clone());
    let waker = waker_fn(move || {
        let _ = &held;
    });
    let mut done = ctx.done();
    assert!(poll_with(&mut done, &waker).is_pending());
    drop(waker);
    forget(done);
    drop((ctx, handle));
    assert_eq!(Arc::strong_count(&kept), 1);
}

/// A walk has been at this context and has ended nobody: its memory goes through the collector, which runs no user code.
#[test]
fn a_forgotten_futures_waker_is_not_left_to_the_collector() {
    let (parent, handle) = Context::background().with_cancel();
    let held = parent.with_cancel();
    let (wakes, waker) = Wakes::new();
    let mut done = held.0.done();
    assert!(poll_with(&mut done, &waker).is_pending());
    drop(waker);
    forget(done);
    // Nothing will end it any more.
    drop((parent, handle));
    drop(held);
    assert_eq!(Arc::strong_count(&wakes), 1);
}

/// A drop is user code.
#[test]
fn a_forgotten_futures_waker_may_panic_as_it_goes_and_the_rest_goes_too() {
    struct Loud;
    impl Drop for Loud {
        fn drop(&mut self) {
            panic!("loud");
        }
    }
    let value = Arc::new(());
    let held = Context::background().with_value(value.clone()).with_cancel();
    let loud = Loud;
    let waker = waker_fn(move || {
        let _ = &loud;
    });
    let mut done = held.0.done();
    assert!(poll_with(&mut done, &waker).is_pending());
    forget(done);
    drop(waker);
    let panic = catch_unwind(AssertUnwindSafe(|| drop(held))).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"loud"));
    assert_eq!(Arc::strong_count(&value), 1);
}

/// Of the last handle and the end one has the waker. Of a future that is told of the end nobody gives the memory back, which tools
/// that watch allocations need not hear of.
#[cfg(not(ripcord_unpooled))]
#[test]
fn a_forgotten_futures_waker_is_taken_once() {
    for _ in 0..stress(200) {
        let (parent, handle) = Context::background().with_cancel();
        let (wakes, waker) = Wakes::new();
        let held: Vec<_> = (0..64).map(|_| parent.with_cancel()).collect();
        for (ctx, _) in &held {
            let mut done = ctx.done();
            assert!(poll_with(&mut done, &waker).is_pending());
            forget(done);
        }
        drop(waker);
        let start = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                handle.cancel();
            });
            start.wait();
            // From the other end: so the two meet.
            held.into_iter().rev().for_each(drop);
        });
        assert_eq!(Arc::strong_count(&wakes), 1);
    }
}
