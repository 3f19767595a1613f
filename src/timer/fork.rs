//! What a `fork` does to the engine, and what its child finds.
//!
//! A fork copies the memory, and one thread. Whatever another thread was at stays as it was: a lock that it held is held for
//! ever, what the lock guards is half done, and nobody sleeps until `next_wake`. So whoever forks takes every lock of the engine
//! first, and no pass is cut in two. The child lets go of them, and is an engine without a thread, as before the first arm, but
//! with all that is queued: `next_wake` is [`NEVER`], so the next arm starts a thread, whose first pass fires what has come due.
//!
//! | the fork meets                                  | in the child                                          |
//! |-------------------------------------------------|-------------------------------------------------------|
//! | a thread asleep, or woken and not yet up        | as said                                               |
//! | a start, of either thread                       | there is no thread                                    |
//! | a pass, or who looks a shard over               | nothing of it: the fork has waited                    |
//! | one that takes longer than a fork's patience    | what its locks guard is lost, and reported            |
//! | functions that are handed over                  | its own timer calls them                              |
//! | who has something [to tell](super::telling)     | that is lost, and reported; those contexts have ended |
//! | the same, on the thread that forks              | it goes on telling, and never drives again            |
//! | an arm that has not come to the inbox           | that deadline is not armed                            |
//!
//! # Invariants
//!
//! 1. Whoever takes a second lock of the engine takes them in the order of [`Timers::hold`]. Under a lock no user code runs, but
//!    the drop of a cause from the epoch: should that fork, or should another library's hook stand in the way of who holds a lock,
//!    then the fork goes on after a while.
//! 2. A child has one thread, and neither of the timer's has a seat there: if it is one of them, it finds that out when it comes
//!    back from user code, and sleeps for ever.
//!
//! # Not here
//!
//! Who calls: `node`, which has the one engine of the process, and before it [`sync`](crate::sync), which has the hooks and the
//! patience. A child that came about without the C library's hooks is found out by its id, when it wakes the timer or waits.

use super::hands::Hands;
use super::shard::Queue;
use super::{Target, Timers, slab};
use crate::clock::NEVER;
use crate::sync::{MutexGuard, Ordering};
use std::time::Instant;
use std::{process, ptr};

/// The engine, held still by a thread that forks.
pub(crate) struct Still {
    _hands: Option<MutexGuard<'static, Hands>>,
    _queues: Vec<Option<MutexGuard<'static, Queue>>>,
    _slabs: slab::Held,
}

impl<T: Target> Timers<T> {
    /// To be called before a `fork`, on the thread that forks, which waits for nobody beyond `until`.
    pub(crate) fn hold(&'static self, until: Instant) -> Still {
        let hands = self.hands.lock_until(until);
        let queues = self.shards.iter().map(|shard| shard.hold(until)).collect();
        Still { _hands: hands, _queues: queues, _slabs: slab::hold(until) }
    }

    /// To be called in the child, by its only thread, with what was held.
    pub(crate) fn forked(&self, still: Option<Still>) {
        drop(still);
        let driver = &self.driver;
        // ORDERING: none, here and below. There is one thread, and it makes those to come.
        driver.process.store(process::id(), Ordering::Relaxed);
        driver.retry_at.store(0, Ordering::Relaxed);
        driver.reported.store(false, Ordering::Relaxed);
        self.forget_threads();
        // ORDERING: timer-runner (writer, of null).
        driver.runner.store(ptr::null_mut(), Ordering::SeqCst);
        // ORDERING: timer-arm. Whoever lowers it asks for a thread.
        self.next_wake.store(NEVER, Ordering::SeqCst);
        // A cell on its way home is no deadline.
        slab::after_fork();
        let mut lost = self.hands.after_fork() | self.tellers.forked();
        for shard in &self.shards {
            lost |= shard.after_fork();
        }
        if lost {
            // Said when a thread is started: this is no place for user code.
            driver.lost.store(true, Ordering::Relaxed);
        }
    }

    /// Finds out whether this is a child that nobody has told of.
    pub(super) fn notice_fork(&self) {
        let process = &self.driver.process;
        // ORDERING: none, all. If such a child has more than one thread already, one of them notices.
        let (known, own) = (process.load(Ordering::Relaxed), process::id());
        if known != own && process.compare_exchange(known, own, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.forked(None);
        }
    }

    /// In a child: what is queued gets a driver at once.
    pub(crate) fn after_fork_child(&'static self) {
        self.notice_fork();
        if !self.is_idle() || !self.calls.is_empty() {
            self.start();
        }
    }

    /// For a former driver: has the present one look again. In a child that it has forked itself there may be none yet.
    pub(super) fn hand_on(&'static self) {
        match self.driver.runner() {
            Some(runner) => runner.thread.unpark(),
            None => self.after_fork_child(),
        }
    }
}
