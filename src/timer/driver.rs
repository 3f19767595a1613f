//! The thread that fires deadlines, and what stands in for it when it cannot be had.
//!
//! It is started by the first arm and sleeps until the earliest deadline, rounded up to the coalescing window. A
//! wake-up by an arm never scans: it only shortens the sleep. With nothing armed it sleeps without a time limit.
//!
//! Its invariants are those of [`Driver`](super::runner).

use super::calls::Seat;
use super::heap::Untidy;
use super::runner::Runner;
use super::turn::outlive;
use super::{Target, Timers};
use crate::clock::{self, NEVER, Tick};
use crate::config;
use crate::shield::Shield;
use crate::sync::{Ordering, Sweep, thread};
use std::time::Duration;
use std::{mem, ptr};

/// Dead cells wait this long for the driver, if nobody arms there any more.
const TIDY: u64 = 1_000_000_000;

/// The next of many dead in heaps, or of what lingers in the epoch.
const TIDY_ON: u64 = 10_000_000;

/// After a failed start, the next attempt is not made before this has passed.
const RETRY: u64 = 100_000_000;

const NAME: &str = "ripcord-timer";

/// `at`, rounded up to a multiple of the window; exact if that overflows.
fn coalesce(at: Tick, window: u64) -> Tick {
    if window == 0 || at >= NEVER {
        return at;
    }
    at.checked_next_multiple_of(window).filter(|up| *up < NEVER).unwrap_or(at)
}

impl<T: Target> Timers<T> {
    /// Shortens the driver's sleep; starts it if there is none.
    #[cold]
    pub(super) fn wake(&'static self) {
        if self.driver.manual {
            return;
        }
        self.notice_fork();
        match self.driver.runner() {
            Some(runner) => runner.thread.unpark(),
            None => self.start(),
        }
    }

    /// Starts the thread, unless somebody is at it or it failed a moment ago.
    pub(super) fn start(&'static self) {
        let driver = &self.driver;
        if !driver.claim_start() {
            return;
        }
        // ORDERING: none. It only spaces attempts.
        let retry_at = driver.retry_at.load(Ordering::Relaxed);
        if retry_at != 0 && clock::now() < retry_at {
            self.stand_down();
        } else if let Err(error) = self.spawn() {
            driver.retry_at.store(clock::now().saturating_add(RETRY), Ordering::Relaxed);
            self.stand_down();
            driver.report_failed_start(&error);
        }
        driver.report_lost();
    }

    fn spawn(&'static self) -> std::io::Result<()> {
        self.spawn_named(NAME, move || self.run()).map(drop)
    }

    pub(super) fn spawn_named(
        &self,
        name: &str,
        run: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<thread::JoinHandle<()>> {
        #[cfg(test)]
        if self.driver.refuse.load(Ordering::Relaxed) {
            return Err(std::io::Error::other("refused by a test"));
        }
        thread::Builder::new().name(name.into()).spawn(run)
    }

    /// There is no start after all: every arm shall ask for one again.
    fn stand_down(&self) {
        // Between passes. A thread that somebody starts from here on needs the hands for its first pass, so it publishes
        // its wake-up after ours; and no pass that knew of a thread publishes one that nobody keeps.
        let hands = self.hands.lock();
        // ORDERING: timer-runner (writer, of null). Before `next_wake`: who still saw STARTING lowered that before.
        self.driver.runner.store(ptr::null_mut(), Ordering::SeqCst);
        // ORDERING: timer-arm. Who lowers it again from here on finds no thread, and asks for one.
        self.next_wake.store(NEVER, Ordering::SeqCst);
        drop(hands);
    }

    /// The thread.
    fn run(&'static self) {
        let runner: *mut Runner = Box::into_raw(Box::new(Runner { thread: thread::current() }));
        // SAFETY: invariant 2.
        let me = unsafe { &*runner };
        // ORDERING: none. Read by this thread.
        self.calls.first.store(runner, Ordering::Relaxed);
        // ORDERING: timer-runner (writer); SeqCst for invariant 1.
        self.driver.runner.store(runner, Ordering::SeqCst);
        // Invariant 1. Where the clock is stopped, who moves it fires.
        outlive(|| self.tell_wakers(self.pass(clock::running().unwrap_or(0), false)));
        self.keep_driving(me, Seat::Own);
    }

    /// Does `drive` for ever. Marking and telling catch panics. What comes as far as here is our own bug: it shall not cost
    /// the process its other deadlines, nor all of a processor.
    pub(super) fn keep_driving(&'static self, me: &'static Runner, seat: Seat) {
        loop {
            let mut shield = Shield::new();
            shield.run(|| self.drive(me, seat));
            shield.absorb();
            thread::park_timeout(Duration::from_nanos(RETRY));
        }
    }

    fn drive(&'static self, me: &'static Runner, seat: Seat) {
        let driver = &self.driver;
        let mut tidy_at = NEVER;
        let mut sweep = Sweep::default();
        // The first thread comes from a pass.
        let mut passed = true;
        loop {
            if seat == Seat::Own {
                self.call(me);
            }
            if !driver.is(me) {
                // What our last pass found, or left to be called, may be news to who drives now.
                if mem::take(&mut passed) {
                    self.hand_on();
                }
                thread::park();
                continue;
            }
            let Some(now) = clock::running() else {
                thread::park();
                continue;
            };
            // ORDERING: none. A hint, see `wants_tidying`.
            if !driver.tidying.load(Ordering::Relaxed) {
                tidy_at = NEVER;
            } else if tidy_at == NEVER {
                tidy_at = now.saturating_add(TIDY);
            }
            // ORDERING: timer-arm (the driver's own look at what arms have lowered).
            let next = self.next_wake.load(Ordering::SeqCst);
            let wake = if next >= NEVER { NEVER } else { coalesce(next, config::timer_window()) }.min(tidy_at);
            if wake <= now {
                let tidy = tidy_at <= now;
                if tidy {
                    // ORDERING: none, as above. Before the pass, so that a hint given during the pass stays.
                    driver.tidying.store(false, Ordering::Relaxed);
                }
                let left = self.pass(now, tidy);
                let untidy = left.untidy;
                passed = true;
                self.tell_wakers(left);
                let lingers = tidy && sweep.go_on();
                if lingers || (untidy != Untidy::No && tidy) {
                    // ORDERING: none, as above.
                    driver.tidying.store(true, Ordering::Relaxed);
                    let pause = if lingers || untidy == Untidy::Very { TIDY_ON } else { TIDY };
                    tidy_at = now.saturating_add(pause);
                }
            } else {
                if wake >= NEVER {
                    thread::park();
                } else {
                    thread::park_timeout(Duration::from_nanos(wake - now));
                }
                // ORDERING: none. A statistic.
                driver.wakeups.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Wakes the driver, to look again: the clock goes on.
    #[cfg(feature = "test-util")]
    pub(crate) fn nudge(&self) {
        if let Some(runner) = self.driver.runner() {
            runner.thread.unpark();
        }
    }

    /// For whoever is about to wait for a deadline: fires what is due if there is no driver. Returns until when the
    /// caller may sleep before it calls again; [`NEVER`] while a driver runs that is not the caller.
    pub(crate) fn help(&'static self, now: Tick) -> Tick {
        if self.driver.manual {
            return NEVER;
        }
        self.notice_fork();
        match self.driver.runner() {
            // A waker on the driver's own thread waits: nobody else would fire what it waits for.
            Some(runner) if runner.thread.id() == thread::current().id() => self.turn(now),
            Some(_) => NEVER,
            None if self.is_idle() => NEVER,
            None => {
                self.start();
                self.turn(now)
            }
        }
    }

    /// Whether nothing is queued.
    pub(super) fn is_idle(&self) -> bool {
        self.shards.iter().all(|shard| shard.look() == (NEVER, Untidy::No))
    }
}
