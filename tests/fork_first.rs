//! Rule D8, where a `fork` meets the first deadline of a process: what all deadlines share is being made.
//!
//! One test in a process of its own, which itself never has a deadline.
//!
//! Without `inspect`: a child finds the locks of its list as they were, so a fork must not meet whoever makes a context there (the
//! page of limits says so).
#![cfg(all(not(any(feature = "loom", feature = "inspect")), target_os = "linux"))]

mod common;

use common::child::{self, Child, deadlines_work};
use common::trap::{self, Trap};
use common::*;
use ripcord::Context;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: Trap = Trap;

/// The thread that has the first deadline is caught at each of its steps that allocate, one after the other, and goes on while
/// somebody forks.
#[test]
fn d8_a_fork_during_the_first_deadline_of_a_process() {
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
                let arms = scope.spawn(|| {
                    trap::set_for_me(step);
                    let armed = Context::background().with_timeout(Duration::from_millis(1));
                    trap::release();
                    through.store(true, SeqCst);
                    eventually("the fork", || forked.load(SeqCst));
                    armed
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
                wait_for(&arms.join().unwrap().0);
                caught
            });
            deadlines_work();
            child::exit_saying(caught);
        });
        if !child.said().unwrap_or_else(|status| panic!("at step {step}: status {status}")) {
            assert!(step > 10, "the first deadline takes more than {step} steps");
            break;
        }
    }
}
