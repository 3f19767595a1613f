//! Functions on the timer's thread, and who drives meanwhile.
//!
//! A function may be slow, and may wait for another deadline. So the driver calls none before a second thread, the
//! stand-in, has its seat, and takes the seat back when all are called. Whoever drives marks and wakes; functions are left
//! to the first thread, one after the other. So a slow one delays other functions, and nothing else.
//!
//! # Invariants
//!
//! 1. The seat goes from thread to thread under the lock of `Calls`, and whoever gets it looks at `next_wake` afterwards: an arm
//!    that woke the other one has lowered that before.
//! 2. Whoever finds that the seat is gone after a pass of its own wakes who has it, who may have looked before what the pass
//!    published, and before what it left to be called.
//!
//! # Not here
//!
//! A waker that does not return: those run where they are claimed, and should be quick.

use super::calls::{Calls, Seat};
use super::runner::Runner;
use super::turn::{Passed, outlive};
use super::{Target, Timers};
use crate::sync::Ordering;
use std::{process, ptr};

const NAME: &str = "ripcord-timer-2";

impl<T: Target> Timers<T> {
    /// The driver's way of telling: wakers here, the rest by the first thread, before it sleeps.
    pub(super) fn tell_wakers(&self, passed: &mut Passed<T>) {
        let Some(mut told) = passed.told.take() else { return };
        let mut more = true;
        outlive(|| more = T::wake(&mut told));
        if more {
            self.calls.lock().left.push_back(told);
        }
    }

    /// Calls what is left. For the first thread, whose seat is its own again when this returns.
    pub(super) fn call(&'static self, me: &'static Runner) {
        let mut calls = self.calls.lock();
        if calls.left.is_empty() {
            return;
        }
        // Without a stand-in, deadlines wait like all else.
        let lent = self.lend_seat(&mut calls);
        while let Some(told) = calls.left.pop_front() {
            drop(calls);
            outlive(|| T::tell(told));
            if me.process != process::id() {
                return self.came_back_forked();
            }
            calls = self.calls.lock();
        }
        if lent {
            // ORDERING: timer-runner (writer), SeqCst: what was armed before is in `next_wake`, which we look at next.
            self.driver.runner.store(ptr::from_ref(me).cast_mut(), Ordering::SeqCst);
        }
    }

    /// Puts the stand-in into the seat; false if there is none to be had.
    fn lend_seat(&'static self, calls: &mut Calls<T::Told>) -> bool {
        let stand_in = match calls.stand_in {
            Some(stand_in) => stand_in,
            None => {
                let Ok(handle) = self.spawn_named(NAME, move || self.stand_in()) else { return false };
                let runner = Runner { thread: handle.thread().clone(), process: process::id() };
                calls.stand_in.insert(Box::leak(Box::new(runner)))
            }
        };
        // ORDERING: timer-runner (writer), SeqCst: what was armed before is in `next_wake`, which the stand-in looks at.
        self.driver.runner.store(ptr::from_ref(stand_in).cast_mut(), Ordering::SeqCst);
        stand_in.thread.unpark();
        true
    }

    /// The second thread.
    fn stand_in(&'static self) {
        // Who started us holds the lock until that is written.
        let me = self.calls.lock().stand_in;
        if let Some(me) = me {
            self.keep_driving(me, Seat::Lent);
        }
    }

    /// A function has forked, and this is the child: nobody drives, unless somebody has noticed.
    #[cold]
    fn came_back_forked(&'static self) {
        if self.driver.runner().is_none_or(|runner| runner.process != process::id()) {
            self.after_fork_child();
        }
    }

    /// In a forked child, which has no stand-in. True: what was left to be called may be lost.
    pub(super) fn calls_after_fork(&self) -> bool {
        let lost = self.calls.after_fork();
        self.calls.lock().stand_in = None;
        lost
    }

    pub(super) fn has_calls(&self) -> bool {
        !self.calls.lock().left.is_empty()
    }
}
