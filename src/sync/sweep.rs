//! Memory that lingers in the epoch when a burst is over, given back by a thread that is awake anyway.
//!
//! The collector has its turns when threads pin: so when all have stopped, what is left stays. A mark is put behind it, and
//! the collector gets turns until it comes to the mark. What it is given first, it frees first; so it has been through all
//! that was handed over before. A few pieces of each thread, which has yet to hand them over, are not among that.
//!
//! # Not here
//!
//! When: the timer's thread asks where it tidies its queues.

use super::reclaim;
use std::sync::Arc;
// No part of any protocol, and no model has a timer's thread.
use std::sync::atomic::{AtomicBool, Ordering};

/// So many turns of the collector at a time, of eight bags at most. Where nobody else is pinned, a mark takes three.
const TURNS: usize = 12;

/// So many marks, one after the other: what pieces come in, two kilobytes for up to 64, is itself retired as they go, and lies
/// behind the mark. Each leaves an eighth of what the one before has left.
const MARKS: u32 = 3;

/// So often it is worth coming back. A thread that is pinned all the while may be one that a forked child has not.
const PATIENCE: u32 = 256;

#[derive(Debug, Default)]
pub(crate) struct Sweep {
    mark: Option<Arc<AtomicBool>>,
    /// How many marks were reached.
    reached: u32,
    /// How often the last one was not reached.
    rounds: u32,
}

impl Sweep {
    /// Goes on to the mark, or puts the first one. True: it is worth coming back soon.
    ///
    /// Not under a lock, and not pinned: the drop of a cause may run here.
    pub(crate) fn go_on(&mut self) -> bool {
        let mut mark = self.mark.take().unwrap_or_else(put_mark);
        for _ in 0..TURNS {
            // ORDERING: none. It says only that there is nothing left to do.
            if mark.load(Ordering::Relaxed) {
                self.reached += 1;
                if self.reached == MARKS {
                    *self = Sweep::default();
                    return false;
                }
                mark = put_mark();
            }
            // A pin of its own each: nobody gets more than one epoch ahead of a pin.
            reclaim::pin().collect();
        }
        self.mark = Some(mark);
        self.rounds = self.rounds.saturating_add(1);
        self.rounds < PATIENCE
    }
}

fn put_mark() -> Arc<AtomicBool> {
    let mark = Arc::new(AtomicBool::new(false));
    let reached = |mark: *mut ()| {
        // SAFETY: the share that was handed over with it, once.
        let mark = unsafe { Arc::from_raw(mark.cast::<AtomicBool>().cast_const()) };
        // ORDERING: none, as above.
        mark.store(true, Ordering::Relaxed);
    };
    let share = Arc::into_raw(Arc::clone(&mark)).cast_mut().cast();
    // SAFETY: a share that nobody looks for, given back once, on any thread; no user code.
    unsafe { reclaim::pin().retire(share, reached) };
    mark
}

#[cfg(test)]
mod tests {
    use super::{Sweep, reclaim};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};
    use std::{ptr, thread};

    static FREED: AtomicUsize = AtomicUsize::new(0);

    #[test]
    fn what_was_retired_while_somebody_was_pinned_goes_when_nobody_retires_any_more() {
        let retire = || {
            for _ in 0..100_000 {
                let free = |_: *mut ()| {
                    FREED.fetch_add(1, Ordering::Relaxed);
                };
                // SAFETY: nothing is there to be looked at, and nothing is freed.
                unsafe { reclaim::pin().retire(ptr::null_mut(), free) };
            }
        };
        let pinned = reclaim::pin();
        thread::spawn(retire).join().expect("it retires, hands over what it has left, and ends");
        let mut sweep = Sweep::default();
        assert!(sweep.go_on(), "somebody is pinned");
        assert!(FREED.load(Ordering::Relaxed) == 0, "somebody is pinned");
        drop(pinned);
        // It gives up where others are pinned for long, as other tests' threads may be that have lost the processor.
        let patience = Instant::now() + Duration::from_secs(60);
        while sweep.go_on() || (FREED.load(Ordering::Relaxed) < 100_000 && Instant::now() < patience) {
            thread::yield_now();
        }
        assert_eq!(FREED.load(Ordering::Relaxed), 100_000);
    }
}
