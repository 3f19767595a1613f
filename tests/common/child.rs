//! Children that `fork` made and that go on without `exec`.
//!
//! The standard library takes a lock when a thread starts or ends: a child that is forked in that moment can start none. So no test
//! forks while a thread of its own does.

use super::far;
use ripcord::Context;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::time::{Duration, Instant};

unsafe extern "C" {
    fn fork() -> i32;
    fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
    fn _exit(code: i32) -> !;
    fn alarm(seconds: u32) -> u32;
}

/// What a child says as it exits: no code of success, nor of a panic.
const YES: i32 = 7;
const NO: i32 = 8;

/// A child, seen from its parent.
#[derive(Debug)]
#[must_use]
pub(crate) struct Child(i32);

impl Child {
    /// Forks: `None` in the child, which has a minute and a quarter to live.
    pub(crate) fn fork() -> Option<Child> {
        // SAFETY: what the child does is what the test is about.
        let pid = unsafe { fork() };
        assert!(pid >= 0, "fork failed");
        if pid == 0 {
            // SAFETY: ends the process by a signal, if it comes to that.
            unsafe { alarm(75) };
            return None;
        }
        Some(Child(pid))
    }

    /// Forks, and runs `f` in the child, past the test harness.
    pub(crate) fn running(f: impl FnOnce()) -> Child {
        Child::fork().unwrap_or_else(|| end_with(f))
    }

    /// Waits for it; true if what it ran came to its end.
    pub(crate) fn succeeds(self) -> bool {
        self.status() == 0
    }

    /// Waits for it: what it said by `exit_saying`; its wait status if it ended otherwise.
    pub(crate) fn said(self) -> Result<bool, i32> {
        match self.status() {
            status if status == YES << 8 => Ok(true),
            status if status == NO << 8 => Ok(false),
            status => Err(status),
        }
    }

    /// Waits for it: its wait status.
    pub(crate) fn status(self) -> i32 {
        let mut status = 0;
        // SAFETY: waits for our own child; the status is ours.
        let waited = unsafe { waitpid(self.0, &raw mut status, 0) };
        assert_eq!(waited, self.0);
        status
    }
}

/// Runs `f`, and ends the process that is a child: well, if `f` comes to its end.
pub(crate) fn end_with(f: impl FnOnce()) -> ! {
    exit(i32::from(catch_unwind(AssertUnwindSafe(f)).is_err()))
}

/// Ends the process that is a child, whose parent asks for this.
pub(crate) fn exit_saying(yes: bool) -> ! {
    exit(if yes { YES } else { NO })
}

/// Ends the process that is a child, past the test harness.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: nothing of this process is needed any more.
    unsafe { _exit(code) }
}

/// What a child can do, whatever its parent's timer was at: deadlines end, and functions hear of it. Nobody waits for a context.
pub(crate) fn deadlines_work() {
    for ms in [0, 4, 1] {
        let at = Instant::now() + Duration::from_millis(ms);
        let (ctx, handle) = Context::background().with_deadline(far());
        let (tell, told) = mpsc::channel();
        ctx.after_func(move || tell.send(Instant::now()).unwrap());
        assert!(handle.reset_deadline(at) || ctx.is_done());
        let told = told.recv_timeout(Duration::from_secs(60)).expect("a deadline that is lost");
        assert!(told >= at);
    }
}
