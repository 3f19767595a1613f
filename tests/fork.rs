//! Rule D8: after a `fork` without `exec` the child has no driver thread, and loses no deadline by it.
//!
//! One test in a process of its own; the child does its work and leaves by `_exit`, past the test harness.
#![cfg(all(not(feature = "loom"), target_os = "linux"))]

mod common;

use common::*;
use ripcord::{Context, Error};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

unsafe extern "C" {
    fn fork() -> i32;
    fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
    fn _exit(code: i32) -> !;
    fn alarm(seconds: u32) -> u32;
}

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
