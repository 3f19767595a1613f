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
use std::collections::VecDeque;
use std::{process, ptr, thread};

const NAME: &str = "ripcord-timer-2";

impl<T: Target> Timers<T> {
    /// The driver's way of telling: wakers here, the rest by the first thread, before it sleeps.
    pub(super) fn tell_wakers(&self, passed: &mut Passed<T>) {
        let Some(mut told) = passed.told.take() else { return };
        let mut more = true;
        outlive(|| more = T::wake(&mut told));
        if more {
            self.calls.push(told);
        }
    }

    /// Calls what is left. For the first thread, whose seat is its own again when this returns.
    pub(super) fn call(&'static self, me: &'static Runner) {
        while !self.calls.is_empty() {
            // Without a stand-in, deadlines wait like all else.
            let lent = self.lend_seat();
            // ORDERING: none, both. For a child of this thread, or of one that forks meanwhile.
            self.calls.caller.store(ptr::from_ref(me).cast_mut(), Ordering::Relaxed);
            let mut calls = self.calls.take();
            while let Some(told) = calls.pop_front() {
                outlive(|| T::tell(told));
                if me.process != process::id() {
                    return self.came_back_forked(calls);
                }
                if calls.is_empty() {
                    calls = self.calls.take();
                }
            }
            self.calls.caller.store(ptr::null_mut(), Ordering::Relaxed);
            if lent {
                // ORDERING: timer-runner (writer), SeqCst: what was armed, or left to be called, before is what we look at next.
                self.driver.runner.store(ptr::from_ref(me).cast_mut(), Ordering::SeqCst);
            }
        }
    }

    /// Puts the stand-in into the seat; false if there is none to be had.
    fn lend_seat(&'static self) -> bool {
        // ORDERING: none. Written by this thread.
        let mut stand_in = self.calls.stand_in.load(Ordering::Relaxed);
        if stand_in.is_null() {
            let Ok(handle) = self.spawn_named(NAME, move || self.stand_in()) else { return false };
            stand_in = Box::into_raw(Box::new(Runner { thread: handle.thread().clone(), process: process::id() }));
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

    /// A function has forked, and this is the child: what was left to be called is so still. Nobody drives, unless somebody has
    /// noticed.
    #[cold]
    fn came_back_forked(&'static self, left: VecDeque<T::Told>) {
        left.into_iter().for_each(|told| self.calls.push(told));
        match self.driver.runner() {
            Some(runner) if runner.process == process::id() => self.nudge(),
            _ => self.after_fork_child(),
        }
    }

    /// In a forked child, which has no stand-in. True: another thread had calls in hand.
    pub(super) fn calls_after_fork(&self) -> bool {
        // ORDERING: none. There is one thread.
        self.calls.stand_in.store(ptr::null_mut(), Ordering::Relaxed);
        let caller = self.calls.caller.swap(ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: runners are never freed.
        unsafe { caller.as_ref() }.is_some_and(|caller| caller.thread.id() != thread::current().id())
    }

    pub(super) fn has_calls(&self) -> bool {
        !self.calls.is_empty()
    }
}
