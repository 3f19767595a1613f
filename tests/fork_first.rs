//! Rule D8, where a `fork` meets the first deadline of a process, or the first context: what all of them share is being made.
//!
//! One test in a process of its own, which itself never has a context.
#![cfg(all(not(feature = "loom"), target_os = "linux"))]

mod common;

use common::child::{self, Child, deadlines_work};
use common::trap::{self, Trap};
use common::*;
use ripcord::{CancelHandle, Context};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: Trap = Trap;

/// The thread that has the first context is caught at each of its steps that allocate, one after the other, and goes on while
/// somebody forks. How many steps that takes.
fn steps(first: fn() -> (Context, CancelHandle), ends: fn(&CancelHandle)) -> i64 {
    for step in 0.. {
        let child = Child::running(|| {
            let [through, forks, forked] = [const { AtomicBool::new(false) }; 3];
            let caught = thread::scope(|scope| {
                // If the fork waits for what is being made, it is made, step by step.
                scope.spawn(|| {
                    eventually("the fork", || forks.load(SeqCst));
                    while !forked.load(SeqCst) {
                        thread::sleep(Duration::from_millis(20));
                        trap::step_on();
                    }
                    trap::release();
                });
                let makes = scope.spawn(|| {
                    trap::set_for_me(step);
                    let made = first();
                    trap::release();
                    through.store(true, SeqCst);
                    eventually("the fork", || forked.load(SeqCst));
                    made
                });
                eventually("caught, or through", || trap::is_sprung() || through.load(SeqCst));
                let caught = trap::is_sprung();
                // Nobody is starting or ending by then.
                thread::sleep(Duration::from_millis(10));
                forks.store(true, SeqCst);
                let grandchild = Child::running(|| {
                    trap::release();
                    deadlines_work();
                });
                forked.store(true, SeqCst);
                assert!(grandchild.succeeds(), "caught at step {step}: {caught}");
                let (ctx, handle) = makes.join().unwrap();
                ends(&handle);
                wait_for(&ctx);
                caught
            });
            deadlines_work();
            child::exit_saying(caught);
        });
        if !child.said().unwrap_or_else(|status| panic!("at step {step}: status {status}")) {
            return step;
        }
    }
    unreachable!("it ends with the last step")
}

#[test]
fn d8_a_fork_during_the_first_context_of_a_process() {
    let least = if cfg!(any(feature = "inspect", feature = "metrics")) { 3 } else { 0 };
    let steps_of_plain = steps(|| Context::background().with_cancel(), CancelHandle::cancel);
    assert!(steps_of_plain > least, "the first context takes more than {steps_of_plain} steps");
    let steps_of_timed = steps(|| Context::background().with_timeout(Duration::from_millis(1)), |_| ());
    assert!(steps_of_timed > 10, "the first deadline takes more than {steps_of_timed} steps");
}
