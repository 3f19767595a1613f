//! Counters that no two threads write: each thread has a set of its own, and whoever asks adds them up.
//!
//! A set outlives its thread: it goes to a list of free ones with what it has counted, and the next thread counts on.
//! So there are as many sets as threads that counted at the same time.
//!
//! # Consistency
//!
//! A sum is made while others count on: each addend is right for some moment of the summing. What goes is read before
//! what comes, so that a sum of those who are there is not below zero.
//!
//! The child of a fork has its parent's sums. Should somebody be at the sets for as long as a fork waits, it counts from zero.

use super::words::{Sort, Whose};
use crate::error::Error;
use crate::sync::{AtomicU64, ForkLock, Held, MutexGuard, Ordering, Turn, hold_at_forks, thread_local};
use std::array;
use std::cell::Cell;
use std::ptr;
use std::sync::LazyLock;

/// Quarters of powers of two, from a microsecond (2^10 ns) to five hours (2^44 ns), and one more on either side.
pub(crate) const BUCKETS: usize = 4 * (HIGHEST - LOWEST) as usize + 2;
const LOWEST: u32 = 10;
const HIGHEST: u32 = 44;

/// What one thread has counted.
#[repr(align(128))]
struct Set {
    /// Made, ended or not.
    born: AtomicU64,
    /// Ended: own and inherited, canceled and deadline exceeded.
    ended: [AtomicU64; 4],
    /// Released without an end.
    released: AtomicU64,
    /// Ended, and given back since.
    buried: AtomicU64,
    armed: AtomicU64,
    disarmed: AtomicU64,
    /// Deadlines that had not come when their context finished: what was left.
    slack: [AtomicU64; BUCKETS],
    /// Deadlines that had: how long ago.
    lateness: [AtomicU64; BUCKETS],
}

/// All that was counted, since the process began.
#[derive(Clone, Debug)]
pub(crate) struct Sums {
    pub(crate) born: u64,
    pub(crate) ended: [u64; 4],
    pub(crate) released: u64,
    pub(crate) buried: u64,
    pub(crate) armed: u64,
    pub(crate) disarmed: u64,
    pub(crate) slack: [u64; BUCKETS],
    pub(crate) lateness: [u64; BUCKETS],
}

#[derive(Default)]
struct Sets {
    all: Vec<&'static Set>,
    free: Vec<&'static Set>,
}

static SETS: LazyLock<ForkLock<Sets>> = LazyLock::new(|| {
    // First: from here on a fork waits until there are some.
    hold_at_forks(Turn::Counts, |until| Box::new(HeldSets(SETS.lock_until(until))));
    ForkLock::new()
});

struct HeldSets(Option<MutexGuard<'static, Sets>>);

impl Held for HeldSets {
    fn in_child(self: Box<Self>) {
        drop(self.0);
        if SETS.after_fork() {
            // It is in nobody's sum any more.
            MINE.set(ptr::null());
        }
    }
}

/// For threads that have lost their own at their end: here additions are read-modify-writes.
static LAST: Set = Set::new();

thread_local! {
    /// The calling thread's set; null before it has counted anything, and after it has given the set back. Without a
    /// destructor, so that looking at it costs no question whether it is still there.
    static MINE: Cell<*const Set> = const { Cell::new(ptr::null()) };
    static KEEPER: Keeper = const { Keeper };
}

/// Gives the thread's set back when the thread ends.
struct Keeper;

impl Set {
    const fn new() -> Set {
        Set {
            born: AtomicU64::new(0),
            ended: [const { AtomicU64::new(0) }; 4],
            released: AtomicU64::new(0),
            buried: AtomicU64::new(0),
            armed: AtomicU64::new(0),
            disarmed: AtomicU64::new(0),
            slack: [const { AtomicU64::new(0) }; BUCKETS],
            lateness: [const { AtomicU64::new(0) }; BUCKETS],
        }
    }
}

fn sets() -> MutexGuard<'static, Sets> {
    SETS.lock()
}

/// A set for a thread that counts for the first time; none for one that has given its own back.
#[cold]
fn adopt() -> Option<&'static Set> {
    KEEPER.try_with(|_| ()).ok()?;
    let mut sets = sets();
    let set = sets.free.pop().unwrap_or_else(|| {
        let set: &'static Set = Box::leak(Box::new(Set::new()));
        sets.all.push(set);
        set
    });
    MINE.set(set);
    Some(set)
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // SAFETY: it came from `adopt`, and lives for ever.
        if let Some(set) = unsafe { MINE.replace(ptr::null()).as_ref() } {
            sets().free.push(set);
        }
    }
}

/// Adds to a counter of the calling thread.
#[inline]
fn add(n: u64, counter: impl Fn(&'static Set) -> &'static AtomicU64) {
    // SAFETY: it came from `adopt`, and lives for ever.
    let mine = unsafe { MINE.get().as_ref() };
    let Some(set) = mine.or_else(adopt) else {
        // ORDERING: Relaxed. A statistic, and several threads write this one.
        counter(&LAST).fetch_add(n, Ordering::Relaxed);
        return;
    };
    let counter = counter(set);
    // ORDERING: Relaxed. A statistic. This thread alone writes it, so a load and a store are an addition.
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
}

/// Where an end is counted.
#[inline]
const fn at((error, whose): Sort) -> usize {
    let error = match error {
        Error::Canceled => 0,
        Error::DeadlineExceeded => 1,
    };
    let whose = match whose {
        Whose::Own => 0,
        Whose::Inherited => 2,
    };
    error + whose
}

#[inline]
pub(super) fn born(ended: Option<Sort>) {
    add(1, |set| &set.born);
    if let Some(sort) = ended {
        self::ended(sort);
    }
}

#[inline]
pub(super) fn ended(sort: Sort) {
    add(1, |set| &set.ended[at(sort)]);
}

#[inline]
pub(super) fn gone(ended: bool) {
    add(1, |set| if ended { &set.buried } else { &set.released });
}

#[inline]
pub(super) fn armed() {
    add(1, |set| &set.armed);
}

#[inline]
pub(super) fn disarmed(when_and_now: Option<(u64, u64)>) {
    add(1, |set| &set.disarmed);
    match when_and_now {
        Some((when, now)) if now < when => add(1, |set| &set.slack[bucket(when - now)]),
        Some((when, now)) => add(1, |set| &set.lateness[bucket(now - when)]),
        None => {}
    }
}

/// Ends that one marking has handed down, added to the thread's counters when it is through.
#[derive(Default)]
pub(super) struct Tally([u64; 2]);

impl Tally {
    #[inline]
    pub(super) fn note(&mut self, sort: Sort) {
        match sort {
            (_, Whose::Own) => ended(sort),
            (Error::Canceled, Whose::Inherited) => self.0[0] += 1,
            (Error::DeadlineExceeded, Whose::Inherited) => self.0[1] += 1,
        }
    }

    #[inline]
    pub(super) fn settle(&mut self) {
        let inherited = std::mem::take(&mut self.0);
        for (error, n) in [Error::Canceled, Error::DeadlineExceeded].into_iter().zip(inherited) {
            if n > 0 {
                add(n, |set| &set.ended[at((error, Whose::Inherited))]);
            }
        }
    }
}

/// The bucket of so many nanoseconds.
#[inline]
fn bucket(nanos: u64) -> usize {
    if nanos < 1 << LOWEST {
        return 0;
    }
    let power = nanos.ilog2();
    if power >= HIGHEST {
        return BUCKETS - 1;
    }
    // The two bits behind the first say which quarter.
    1 + 4 * (power - LOWEST) as usize + (nanos >> (power - 2) & 0b11) as usize
}

/// What a bucket stands for, in nanoseconds: its middle. At most an eighth from what was counted there, but for the two
/// at the ends.
pub(crate) fn middle(bucket: usize) -> u64 {
    match bucket {
        0 => 1 << (LOWEST - 1),
        last if last >= BUCKETS - 1 => 1 << HIGHEST,
        inner => {
            let (power, quarter) = ((inner - 1) / 4, (inner - 1) % 4);
            (2 * (4 + quarter as u64) + 1) << (power + LOWEST as usize - 3)
        }
    }
}

/// Adds up what all threads have counted.
pub(crate) fn sums() -> Sums {
    let all = sets().all.clone();
    // ORDERING: Relaxed. Statistics; see "Consistency".
    let sum = |of: &dyn Fn(&'static Set) -> &'static AtomicU64| {
        all.iter().copied().chain([&LAST]).fold(0, |sum: u64, set| sum.wrapping_add(of(set).load(Ordering::Relaxed)))
    };
    Sums {
        buried: sum(&|set| &set.buried),
        released: sum(&|set| &set.released),
        ended: array::from_fn(|i| sum(&|set| &set.ended[i])),
        disarmed: sum(&|set| &set.disarmed),
        armed: sum(&|set| &set.armed),
        born: sum(&|set| &set.born),
        slack: array::from_fn(|i| sum(&|set| &set.slack[i])),
        lateness: array::from_fn(|i| sum(&|set| &set.lateness[i])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_is_near_the_middle_of_its_bucket() {
        for power in LOWEST..HIGHEST {
            for nanos in [1 << power, (1 << power) + (1 << (power - 1)) - 1, (1 << power) * 7 / 4, (2 << power) - 1] {
                let middle = middle(bucket(nanos));
                assert!(middle.abs_diff(nanos) <= nanos / 8, "{nanos} is counted as {middle}");
            }
        }
        assert_eq!(bucket(0), 0);
        assert_eq!(bucket(1023), 0);
        assert_eq!(bucket(1024), 1);
        assert_eq!(bucket((1 << HIGHEST) - 1), BUCKETS - 2);
        assert_eq!(bucket(1 << HIGHEST), BUCKETS - 1);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        assert!((1..BUCKETS).all(|i| middle(i - 1) < middle(i)), "buckets grow");
    }

    #[test]
    fn what_a_thread_counted_stays_when_it_ends() {
        let before = sums();
        for _ in 0..3 {
            std::thread::spawn(super::armed).join().unwrap();
        }
        let after = sums();
        assert!(after.armed >= before.armed + 3, "{} and {}", before.armed, after.armed);
    }
}
