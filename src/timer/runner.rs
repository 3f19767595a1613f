//! Who sleeps until the next deadline: the driver's thread, or nobody.
//!
//! # States of `runner`
//!
//! | value    | meaning                                             | `next_wake`                        |
//! |----------|-----------------------------------------------------|------------------------------------|
//! | null     | no thread                                           | `NEVER`: every arm asks for one    |
//! | STARTING | somebody is starting one                            | lowered by arms                    |
//! | pointer  | it runs, and makes a pass after publishing itself   | published by its passes            |
//!
//! # Invariants
//!
//! 1. The thread publishes itself before its first pass. So who finds no pointer here after queueing a cell was
//!    before that pass, which finds the cell.
//! 2. A published `Runner` is never freed: the few bytes of each start are the price of a lock-free wake-up.
//! 3. From pointer to pointer only the first thread moves it (see [`stand_in`](super::stand_in)), and whoever it goes to looks
//!    at `next_wake` afterwards.
//! 4. To null it goes where no thread is: after a start that failed, and in a [forked](super::fork) child.

use crate::config;
use crate::shield::Shield;
use crate::sync::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, thread};
use std::{process, ptr};

/// The running thread.
pub(super) struct Runner {
    pub(super) thread: thread::Thread,
}

pub(super) struct Driver {
    pub(super) runner: AtomicPtr<Runner>,
    /// An engine that is turned by hand has no thread.
    pub(super) manual: bool,
    /// The thread wakes up for the nurseries' sake.
    pub(super) tidying: AtomicBool,
    pub(super) wakeups: AtomicU64,
    /// Zero, or the earliest time of the next attempt to start the thread.
    pub(super) retry_at: AtomicU64,
    /// Whose threads and locks these are.
    pub(super) process: AtomicU32,
    /// A fork has cost this child something, and nobody has said so yet.
    pub(super) lost: AtomicBool,
    /// Somebody has said that deadlines have no thread.
    pub(super) reported: AtomicBool,
    #[cfg(test)]
    pub(super) refuse: AtomicBool,
}

fn starting() -> *mut Runner {
    ptr::without_provenance_mut(1)
}

impl Driver {
    pub(super) fn new() -> Self {
        Driver {
            runner: AtomicPtr::new(ptr::null_mut()),
            manual: false,
            tidying: AtomicBool::new(false),
            wakeups: AtomicU64::new(0),
            retry_at: AtomicU64::new(0),
            process: AtomicU32::new(process::id()),
            lost: AtomicBool::new(false),
            reported: AtomicBool::new(false),
            #[cfg(test)]
            refuse: AtomicBool::new(false),
        }
    }

    #[cfg(any(test, feature = "fuzz"))]
    pub(super) fn manual() -> Self {
        Driver { manual: true, ..Self::new() }
    }

    /// Whether somebody sleeps until `next_wake`.
    pub(super) fn runs(&self) -> bool {
        // ORDERING: timer-runner (reader).
        self.manual || self.runner().is_some()
    }

    pub(super) fn runner(&self) -> Option<&'static Runner> {
        // ORDERING: timer-runner (reader), SeqCst for invariant 1: queue, then look for the thread.
        let runner = self.runner.load(Ordering::SeqCst);
        // SAFETY: invariant 2.
        (!runner.is_null() && runner != starting()).then(|| unsafe { &*runner })
    }

    /// Whether `runner` is the one that drives.
    pub(super) fn is(&self, runner: &Runner) -> bool {
        self.runner().is_some_and(|seated| ptr::eq(seated, runner))
    }

    /// Asked by counted arms: true if the thread has to be told that nurseries fill up.
    pub(super) fn wants_tidying(&self) -> bool {
        // ORDERING: none, both. A hint; at worst the dead stay until the next counted arm or deadline.
        !self.manual && !self.tidying.load(Ordering::Relaxed) && !self.tidying.swap(true, Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(super) fn wakeups(&self) -> u64 {
        // ORDERING: none. A statistic.
        self.wakeups.load(Ordering::Relaxed)
    }

    /// The right to start the thread; whoever gets it ends the `STARTING` state.
    pub(super) fn claim_start(&self) -> bool {
        // ORDERING: timer-runner (writer, of STARTING).
        self.runner.compare_exchange(ptr::null_mut(), starting(), Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    /// Says once that deadlines have no thread.
    #[cold]
    pub(super) fn report_failed_start(&self, error: &std::io::Error) {
        // ORDERING: none. Decides who reports.
        if !self.reported.swap(true, Ordering::Relaxed) {
            report(format!(
                "ripcord: the timer thread cannot be started ({error}); until a later deadline succeeds in starting it, \
                 deadlines fire only while some thread waits on a context"
            ));
        }
    }

    /// Says once in a forked child what the fork has cost it.
    pub(super) fn report_lost(&self) {
        // ORDERING: none. Decides who reports. The look is for those, nearly all, who have lost nothing.
        if self.lost.load(Ordering::Relaxed) && self.lost.swap(false, Ordering::Relaxed) {
            report(
                "ripcord: deadlines that other threads of the parent were handling at the fork are lost in the child"
                    .into(),
            );
        }
    }
}

#[cold]
fn report(message: String) {
    match config::on_panic() {
        Some(report) => {
            let mut shield = Shield::new();
            shield.run(|| report(Box::new(message)));
            shield.absorb();
        }
        None => eprintln!("{message}"),
    }
}
