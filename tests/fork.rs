//! Rule D8: after a `fork` without `exec` the child has no driver thread, and loses no deadline by it.
//!
//! One test at a time, in a process of its own; the child does its work and leaves by `_exit`, past the test harness.
#![cfg(all(not(feature = "loom"), target_os = "linux"))]

mod common;

use common::*;
use ripcord::{Context, Error};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

unsafe extern "C" {
    fn fork() -> i32;
    fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
    fn _exit(code: i32) -> !;
    fn alarm(seconds: u32) -> u32;
}

/// While one test forks, no other makes the timer work.
static ONE: Mutex<()> = Mutex::new(());

/// Runs `f` in a forked child; true if it came to its end there. A child that hangs is ended by its alarm.
fn in_a_child(f: impl FnOnce()) -> bool {
    // SAFETY: the child calls nothing but `f`, and what `f` needs is this test's own.
    let pid = unsafe { fork() };
    assert!(pid >= 0, "fork failed");
    if pid == 0 {
        // SAFETY: ends the process by a signal, if it comes to that.
        unsafe { alarm(20) };
        let code = i32::from(catch_unwind(AssertUnwindSafe(f)).is_err());
        // SAFETY: nothing of this process is needed any more.
        unsafe { _exit(code) };
    }
    let mut status = 0;
    // SAFETY: waits for our own child; the status is ours.
    let waited = unsafe { waitpid(pid, &raw mut status, 0) };
    waited == pid && status == 0
}

#[test]
fn d8_after_a_fork_without_exec_the_child_still_has_its_deadlines() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    // The parent's driver runs, asleep: a fork while it works would be a matter of luck.
    let (far_off, _far_off) = Context::background().with_timeout(Duration::from_secs(3600));
    drop(Context::background().with_timeout(Duration::from_secs(3600)));
    thread::sleep(Duration::from_millis(30));

    let at = Instant::now() + Duration::from_millis(120);
    let (before, _before) = Context::background().with_deadline_cause(at, "armed before the fork");
    assert!(in_a_child(|| {
        assert_eq!(before.wait(), Error::DeadlineExceeded);
        assert!(Instant::now() >= at);
        assert_eq!(before.cause().unwrap().to_string(), "armed before the fork");
    }));

    // Asleep again, when it has fired that one here, too.
    assert_eq!(before.wait(), Error::DeadlineExceeded);
    thread::sleep(Duration::from_millis(30));

    // The child arms one of its own, and nobody waits for it but a function.
    assert!(in_a_child(|| {
        let (tell, told) = mpsc::channel();
        let at = Instant::now() + Duration::from_millis(10);
        let (ctx, _handle) = far_off.with_deadline(at);
        ctx.after_func(move || tell.send(Instant::now()).unwrap());
        assert!(told.recv().unwrap() >= at);
        let (again, _again) = Context::background().with_timeout(Duration::from_millis(1));
        assert_eq!(block_on(again.done()), Error::DeadlineExceeded);
    }));

    // What needs no deadline works as ever.
    assert!(in_a_child(|| {
        let (ctx, handle) = far_off.with_cancel();
        let tale = Tale::new();
        ctx.after_func(tale.function());
        handle.cancel();
        assert!(tale.has_run() && ctx.is_done());
    }));

    // And the parent never noticed.
    assert_eq!(before.wait(), Error::DeadlineExceeded);
    let (after, _after) = Context::background().with_timeout(Duration::from_millis(2));
    assert_eq!(after.wait(), Error::DeadlineExceeded);
    assert_live(&far_off);
}

/// A function that the timer's thread calls forks, and the child goes on with that thread alone.
#[test]
fn d8_a_function_of_a_deadline_may_fork_and_the_child_goes_on() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    const WENT_ON: i32 = 33;
    let (tell, told) = mpsc::channel();
    let (first, its_handle) = Context::background().with_deadline(far());
    let (later, later_handle) = Context::background().with_deadline(far());
    let parent = std::process::id();
    later.after_func(move || {
        if std::process::id() != parent {
            // SAFETY: as above.
            unsafe { _exit(WENT_ON) };
        }
    });
    first.after_func(move || {
        // SAFETY: the child does what the timer does; `later` ends it.
        let pid = unsafe { fork() };
        if pid == 0 {
            // SAFETY: as above.
            unsafe { alarm(20) };
        } else {
            tell.send(pid).unwrap();
        }
    });
    // Armed so, `later` is in nobody's hands at the fork.
    assert!(later_handle.reset_timeout(Duration::from_millis(300)));
    assert!(its_handle.reset_timeout(Duration::from_millis(1)));
    let pid = told.recv().unwrap();
    let mut status = 0;
    // SAFETY: waits for our own child; the status is ours.
    assert_eq!(unsafe { waitpid(pid, &raw mut status, 0) }, pid);
    assert_eq!(status, WENT_ON << 8, "the wait status of an exit");
}
