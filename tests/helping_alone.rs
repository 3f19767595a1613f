//! A canceler that is stopped half way, as a preempted thread is, or one that a fork has left behind: whoever cancels below it does its
//! work, once.
#![cfg(not(feature = "loom"))]

mod common;

use common::trap::{self, Trap};
use common::*;
use ripcord::Context;
use std::thread;

#[global_allocator]
static ALLOCATOR: Trap = Trap;

/// Each cancel would walk what is below it: twenty thousand million steps.
#[test]
fn a_chain_below_a_canceler_that_is_stopped_is_walked_once() {
    within_a_minute(|| {
        let levels = chain_of(200_001);
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
                trap::set_for_me(0);
                root.1.cancel();
            });
            eventually("the canceler is stopped", trap::is_sprung);
            assert!(below.iter().all(|(ctx, _)| ctx.is_done()), "stopped behind the chain");
            below.iter().for_each(|(_, handle)| handle.cancel());
            trap::release();
        });
        assert_eq!(wakes.count(), waits.len());
    });
}
