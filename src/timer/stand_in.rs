//! Functions on the timer's thread, and who drives meanwhile.
//!
//! A function may be slow, and may wait for another deadline. So the driver calls none before a second thread, the
//! stand-in, has its seat, and takes the seat back when all are called. Whoever drives marks and wakes; functions are left
//! to the first thread, one after the other. So a slow one delays other functions, and nothing else.
//!
//! # Invariants
//!
//! 1. Only the first thread gives the seat away, and takes it back. Whoever gets it looks at `next_wake` afterwards: an arm that
//!    woke the other one has lowered that before. The first thread looks at what is left to be called afterwards, too.
//! 2. Whoever finds that the seat is gone after a pass of its own wakes who has it, who may have looked before what the pass
//!    published, and before what it left to be called.
//!
//! # Not here
//!
//! A waker that does not return: those run where they are claimed, and should be quick.

use super::calls::Seat;
use super::runner::Runner;
use super::turn::{Passed, outlive};
use super::{Target, Timers};
use crate::sync::Ordering;
use std::{ptr, thread};

const NAME: &str = "ripcord-timer-2";

impl<T: Target> Timers<T> {
    /// The driver's way of telling: wakers here, the rest by the first thread, before it sleeps.
    pub(super) fn tell_wakers(&self, mut passed: Passed<'_, T>) {
        let Some(mut told) = passed.told.take() else { return };
        let mut more = true;
        outlive(|| more = T::wake(&mut told));
        if more {
            self.calls.push(told);
        }
    }

    /// Calls what is left. For the first thread, whose seat is its own again when this returns.
    pub(super) fn call(&'static self, me: &'static Runner) {
        while self.is_first(me) && !self.calls.is_empty() {
            // Without a stand-in, deadlines wait like all else.
            let lent = self.lend_seat();
            loop {
                let _telling = self.tellers.one_more();
                let Some(told) = self.calls.next() else { break };
                outlive(|| T::tell(told));
                if !self.is_first(me) {
                    // A function has forked, and this is the child.
                    return self.hand_on();
                }
            }
            if lent {
                // ORDERING: timer-runner (writer), SeqCst: what was armed, or left to be called, before is what we look at next.
                self.driver.runner.store(ptr::from_ref(me).cast_mut(), Ordering::SeqCst);
            }
        }
    }

    /// Whether calling is up to this thread. Not in a child that it has forked itself: there is no coming back to the seat.
    fn is_first(&self, me: &Runner) -> bool {
        // ORDERING: none. Written by this thread, also where a child forgets it.
        ptr::eq(self.calls.first.load(Ordering::Relaxed), me)
    }

    /// Puts the stand-in into the seat; false if there is none to be had.
    fn lend_seat(&'static self) -> bool {
        // ORDERING: none. Written by this thread.
        let mut stand_in = self.calls.stand_in.load(Ordering::Relaxed);
        if stand_in.is_null() {
            let Ok(handle) = self.spawn_named(NAME, move || self.stand_in()) else { return false };
            stand_in = Box::into_raw(Box::new(Runner { thread: handle.thread().clone() }));
            // ORDERING: timer-runner (writer): what a runner is made of.
            self.calls.stand_in.store(stand_in, Ordering::Release);
        }
        // ORDERING: timer-runner (writer), SeqCst: what was armed before is in `next_wake`, which the stand-in looks at.
        self.driver.runner.store(stand_in, Ordering::SeqCst);
        // SAFETY: runners are never freed.
        unsafe { &*stand_in }.thread.unpark();
        true
    }

    /// The second thread.
    fn stand_in(&'static self) {
        loop {
            // ORDERING: timer-runner (reader).
            let me = self.calls.stand_in.load(Ordering::Acquire);
            // SAFETY: runners are never freed.
            if let Some(me) = unsafe { me.as_ref() } {
                self.keep_driving(me, Seat::Lent);
            }
            // Who started us has yet to say who we are, and wakes us then.
            thread::park();
        }
    }

    /// In a forked child, which has neither of the two.
    pub(super) fn forget_threads(&self) {
        // ORDERING: none. There is one thread.
        self.calls.first.store(ptr::null_mut(), Ordering::Relaxed);
        self.calls.stand_in.store(ptr::null_mut(), Ordering::Relaxed);
    }
}
