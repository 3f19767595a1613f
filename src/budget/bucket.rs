//! Retries as a share of requests.
//!
//! # States
//!
//! Requests of one slice of time pay into one word: `slice << 32 | units`, at place `slice % SLICES`. A word of a slice
//! that is too long ago counts as empty, and is overwritten by the next one who pays in there. A retry takes
//! [`RETRY`] units, from the oldest slices first.
//!
//! Besides, there is a reserve: the time at which it will be full again. A retry moves it by its interval, at most up to
//! a second ahead.
//!
//! # Invariants
//!
//! 1. Units are taken by compare-and-swap of the word that holds them: none is spent twice.
//! 2. So the retries of any moment on are at most the share of the requests of the window before it and since, and the
//!    reserve's.

use crate::clock::{self, Tick};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const SLICES: u64 = 16;
/// What a retry costs.
const RETRY: u64 = 1000;
const UNITS: u64 = u32::MAX as u64;
const SECOND: u64 = 1_000_000_000;

/// A token bucket that lets retries be a share of requests: every request pays in a part of a retry, every retry takes
/// one out, and a few per second are free. When an upstream is down, its clients then send little more than without
/// retries, instead of several times as much.
///
/// Lock-free: a request is one read-modify-write of a word that others pay into, too. What was paid in is good for the
/// window, 10 seconds unless [set](RetryBudget::window). Clones are handles of the same budget; keep one per upstream.
///
/// ```
/// use ripcord::budget::RetryBudget;
///
/// // One retry for every two requests, none free.
/// let budget = RetryBudget::new(0.5, 0);
/// assert!(!budget.withdraw());
/// budget.deposit();
/// budget.deposit();
/// assert!(budget.withdraw());
/// assert!(!budget.withdraw());
/// ```
#[derive(Clone)]
pub struct RetryBudget {
    shared: Arc<Shared>,
}

struct Shared {
    /// Where its clock starts.
    zero: Tick,
    /// Units per request.
    share: u64,
    /// Nanoseconds per slice.
    slice: u64,
    slices: [AtomicU64; SLICES as usize],
    /// Nanoseconds per free retry; none is free if 0.
    interval: u64,
    /// When the reserve is full again.
    full: AtomicU64,
}

impl RetryBudget {
    /// So many retries per request, in steps of a thousandth, and so many free ones per second.
    ///
    /// # Panics
    ///
    /// If `ratio` is not between 0 and 1000.
    #[must_use]
    pub fn new(ratio: f64, min_per_second: u32) -> RetryBudget {
        assert!((0.0..=1000.0).contains(&ratio), "a retry budget of {ratio} retries per request");
        RetryBudget { shared: Arc::new(Shared::new(ratio, min_per_second, Duration::from_secs(10))) }
    }

    /// A budget like this one, and empty, in which what was paid in is good for this long, up to a sixteenth of it.
    #[must_use]
    pub fn window(self, window: Duration) -> RetryBudget {
        let Shared { share, interval, .. } = *self.shared;
        let slice = u64::try_from(window.as_nanos() / u128::from(SLICES)).unwrap_or(u64::MAX);
        let empty = Shared::new(0.0, 0, window);
        RetryBudget { shared: Arc::new(Shared { share, interval, slice: slice.max(1), ..empty }) }
    }

    /// A request: pays in its part. Call it once per request, not for its retries.
    pub fn deposit(&self) {
        self.shared.deposit(self.shared.now());
    }

    /// Takes a retry out, if there is one.
    #[must_use]
    pub fn withdraw(&self) -> bool {
        self.shared.withdraw(self.shared.now())
    }

    /// How many retries could be taken out now, the reserve included.
    #[must_use]
    pub fn balance(&self) -> u64 {
        let now = self.shared.now();
        let paid: u64 = self.shared.live(now).map(|(_, units)| units).sum();
        paid / RETRY + self.shared.free(now)
    }
}

// ORDERING: Relaxed, here and below: the words are all there is; nothing is read through them.
impl Shared {
    fn new(ratio: f64, min_per_second: u32, window: Duration) -> Shared {
        let slice = u64::try_from(window.as_nanos() / u128::from(SLICES)).unwrap_or(u64::MAX);
        Shared {
            zero: clock::now(),
            share: (ratio * RETRY as f64).round() as u64,
            slice: slice.max(1),
            slices: [const { AtomicU64::new(0) }; SLICES as usize],
            interval: if min_per_second == 0 { 0 } else { SECOND / u64::from(min_per_second).min(SECOND) },
            full: AtomicU64::new(0),
        }
    }

    /// In nanoseconds, of its own clock.
    fn now(&self) -> u64 {
        clock::now().saturating_sub(self.zero)
    }

    /// The number of a moment's slice. Wraps after four billion slices, when what was paid in is long gone.
    fn slice_of(&self, now: u64) -> u64 {
        (now / self.slice) & UNITS
    }

    fn deposit(&self, now: u64) {
        self.pay(now, self.share);
    }

    fn pay(&self, now: u64, units: u64) {
        let slice = self.slice_of(now);
        let word = &self.slices[(slice % SLICES) as usize];
        let mut seen = word.load(Relaxed);
        loop {
            if seen >> 32 == slice {
                // Full is full. If the slice is over meanwhile, the next one gets a little more.
                if (seen & UNITS) < UNITS / 2 {
                    word.fetch_add(units, Relaxed);
                }
                return;
            }
            match word.compare_exchange(seen, slice << 32 | units, Relaxed, Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// The words that still count, the oldest first, with their units.
    fn live(&self, now: u64) -> impl Iterator<Item = (&AtomicU64, u64)> {
        let last = self.slice_of(now);
        (0..SLICES).rev().filter_map(move |age| {
            let slice = last.checked_sub(age)?;
            let word = &self.slices[(slice % SLICES) as usize];
            let seen = word.load(Relaxed);
            (seen >> 32 == slice).then_some((word, seen & UNITS))
        })
    }

    fn withdraw(&self, now: u64) -> bool {
        let mut taken = 0;
        for (word, _) in self.live(now) {
            taken += take(word, RETRY - taken);
            if taken == RETRY {
                return true;
            }
        }
        // Not enough; somebody else's withdrawal meanwhile may have missed it, and that is all.
        if taken > 0 {
            self.pay(now, taken);
        }
        self.take_free(now)
    }

    /// How many the reserve has.
    fn free(&self, now: u64) -> u64 {
        let full = self.full.load(Relaxed).max(now);
        (now + SECOND - full).checked_div(self.interval).unwrap_or(0)
    }

    fn take_free(&self, now: u64) -> bool {
        let take = |full: u64| {
            let next = full.max(now) + self.interval;
            (self.interval > 0 && next <= now + SECOND).then_some(next)
        };
        self.full.fetch_update(Relaxed, Relaxed, take).is_ok()
    }
}

/// Takes at most `most` units out of a word: how many there were.
fn take(word: &AtomicU64, most: u64) -> u64 {
    let before = word.fetch_update(Relaxed, Relaxed, |seen| {
        let units = (seen & UNITS).min(most);
        (units > 0).then(|| seen - units)
    });
    before.map_or(0, |seen| (seen & UNITS).min(most))
}

impl fmt::Debug for RetryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryBudget").field("balance", &self.balance()).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::{SECOND, Shared};
    use std::time::Duration;

    const WINDOW: Duration = Duration::from_secs(16);

    fn withdrawals(budget: &Shared, now: u64) -> usize {
        (0..10_000).take_while(|_| budget.withdraw(now)).count()
    }

    #[test]
    fn what_was_paid_in_is_good_for_the_window() {
        for seconds in 0..16 {
            let budget = Shared::new(0.1, 0, WINDOW);
            (0..100).for_each(|_| budget.deposit(SECOND * 7));
            assert_eq!(withdrawals(&budget, SECOND * (7 + seconds)), 10, "after {seconds} s");
        }
        let budget = Shared::new(0.1, 0, WINDOW);
        (0..100).for_each(|_| budget.deposit(SECOND * 7));
        assert_eq!(withdrawals(&budget, SECOND * 23), 0);
        (0..10).for_each(|_| budget.deposit(SECOND * 23));
        assert_eq!(withdrawals(&budget, SECOND * 23), 1, "the old slice is gone, the new one counts");
    }

    #[test]
    fn parts_in_several_slices_make_a_whole() {
        let budget = Shared::new(0.2, 0, WINDOW);
        for second in 0..5 {
            assert!(!budget.withdraw(SECOND * second), "{second}");
            budget.deposit(SECOND * second);
        }
        assert!(budget.withdraw(SECOND * 5));
        assert!(!budget.withdraw(SECOND * 5));
    }

    #[test]
    fn a_few_per_second_are_free_and_do_not_pile_up() {
        let budget = Shared::new(0.0, 4, WINDOW);
        assert_eq!(withdrawals(&budget, 0), 4);
        assert_eq!(withdrawals(&budget, SECOND / 2), 2);
        assert_eq!(withdrawals(&budget, SECOND * 100), 4);
        assert_eq!(withdrawals(&budget, SECOND * 100 + SECOND / 4 - 1), 0);
        assert_eq!(withdrawals(&budget, SECOND * 100 + SECOND / 4), 1);
    }

    #[test]
    fn a_full_slice_stays_in_its_word() {
        let budget = Shared::new(1000.0, 0, WINDOW);
        (0..10_000).for_each(|_| budget.deposit(SECOND));
        assert_eq!(withdrawals(&budget, SECOND * 2), 10_000);
        assert!(budget.slices.iter().all(|word| word.load(super::Relaxed) >> 32 <= 1));
    }

    /// Any script of requests, retries and time: never more retries than requests of the window have paid for, and never
    /// refused while they have.
    #[test]
    fn random_scripts_agree_with_a_ledger() {
        let mut x = 0x2545_F491_4F6C_DD1Du64;
        let mut random = move |below: u64| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            x % below
        };
        for _ in 0..200 {
            let budget = Shared::new(0.25, 0, WINDOW);
            // Units by second, as a list of what is left of each.
            let mut ledger = vec![0u64; 200];
            let mut now = 0;
            for _ in 0..400 {
                let second = (now / SECOND) as usize;
                match random(8) {
                    0..5 => {
                        budget.deposit(now);
                        ledger[second] += 250;
                    }
                    5..7 => {
                        let window = second.saturating_sub(15)..=second;
                        let left: u64 = ledger[window.clone()].iter().sum();
                        assert_eq!(budget.withdraw(now), left >= 1000, "{left} at {second}");
                        let mut due = if left >= 1000 { 1000 } else { left };
                        for units in &mut ledger[window] {
                            let taken = due.min(*units);
                            (*units, due) = (*units - taken, due - taken);
                        }
                        // What was not enough is paid in again, now.
                        ledger[second] += if left >= 1000 { 0 } else { left };
                    }
                    _ => now = (now + random(3 * SECOND)).min(199 * SECOND),
                }
            }
        }
    }
}
