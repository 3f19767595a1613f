//! The roll: who is at work, by name, since when. Joining and leaving are lock-free.
//!
//! # States
//!
//! A seat is one word: 0 is free, anything else is the tick of joining, which is never 0. The seats of a name lie in segments, each as large as all before it; index `i` is always the same seat.
//!
//! # Invariants
//!
//! 1. A segment, once there, stays until the roll goes. Only making one waits for anybody, and that happens at most
//!    [`SEGMENTS`] times in the life of a name.
//! 2. A seat is written by who took it until it is given back.
//!
//! # Not here
//!
//! Who waits for the last to leave: see `shared`.

use super::report::Running;
use crate::clock;
use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Seats of the first segment.
const FIRST: usize = 64;
const SEGMENTS: usize = 26;
/// So many looks at random that find a seat taken are a reason to grow. Of a quarter full, that is one join in 4 billion.
const LOOKS: usize = 16;

pub(super) struct Roll {
    name: &'static str,
    segments: [OnceLock<Box<[AtomicU64]>>; SEGMENTS],
}

/// The seats of a segment, which begins with this index.
fn extent(segment: usize) -> (usize, usize) {
    match segment {
        0 => (0, FIRST),
        _ => (FIRST << (segment - 1), FIRST << (segment - 1)),
    }
}

/// A small random number, of this thread's own sequence (xorshift).
fn random() -> usize {
    thread_local! {
        static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(0u8) | 1);
    }
    let next = |state: &Cell<u64>| {
        let mut x = state.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        state.set(x);
        x
    };
    // A thread that is being torn down has the address of its stack.
    STATE.try_with(next).unwrap_or_else(|_| std::ptr::from_ref(&next).addr() as u64 >> 4) as usize
}

impl Roll {
    pub(super) fn new(name: &'static str) -> Roll {
        let roll = Roll { name, segments: [const { OnceLock::new() }; SEGMENTS] };
        roll.grow(0);
        roll
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    fn grow(&self, segment: usize) {
        if let Some(place) = self.segments.get(segment) {
            place.get_or_init(|| (0..extent(segment).1).map(|_| AtomicU64::new(0)).collect());
        }
    }

    /// How many segments there are.
    fn grown(&self) -> usize {
        self.segments.iter().take_while(|segment| segment.get().is_some()).count()
    }

    fn seat(&self, index: usize) -> Option<&AtomicU64> {
        let segment = (index / FIRST).checked_ilog2().map_or(0, |log| log as usize + 1);
        self.segments.get(segment)?.get()?.get(index - extent(segment).0)
    }

    /// Takes a seat: its index.
    pub(super) fn join(&self) -> usize {
        let now = clock::now();
        loop {
            let grown = self.grown();
            let (begin, len) = extent(grown - 1);
            for _ in 0..LOOKS {
                // There is a power of two of seats.
                let index = random() & (begin + len - 1);
                // ORDERING: Relaxed: the word is all there is to a seat; nothing is read through it.
                let take = |seat: &AtomicU64| seat.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
                if self.seat(index).is_some_and(|seat| take(seat).is_ok()) {
                    return index;
                }
            }
            self.grow(grown);
        }
    }

    /// Gives a seat back.
    pub(super) fn leave(&self, index: usize) {
        if let Some(seat) = self.seat(index) {
            // ORDERING: Relaxed: as in `join`.
            seat.store(0, Ordering::Relaxed);
        }
    }

    /// How long somebody has been sitting there.
    pub(super) fn age(&self, index: usize) -> Duration {
        // ORDERING: Relaxed: as in `join`; who asks holds the seat.
        let since = self.seat(index).map_or(u64::MAX, |seat| seat.load(Ordering::Relaxed));
        Duration::from_nanos(clock::now().saturating_sub(since))
    }

    /// Counts. Who joins or leaves meanwhile may be counted or not.
    pub(super) fn running(&self) -> Running {
        let (mut count, mut first) = (0, u64::MAX);
        for seat in self.segments.iter().filter_map(OnceLock::get).flatten() {
            // ORDERING: Relaxed: as in `join`; a count of what goes on meanwhile.
            let since = seat.load(Ordering::Relaxed);
            if since != 0 {
                count += 1;
                first = first.min(since);
            }
        }
        let oldest = if count == 0 { 0 } else { clock::now().saturating_sub(first) };
        Running { name: self.name, count, oldest: Duration::from_nanos(oldest) }
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::{FIRST, Roll};
    use std::collections::HashSet;
    use std::time::Duration;

    #[test]
    fn every_index_is_one_seat_and_seats_come_back() {
        let roll = Roll::new("test");
        let mut seats: Vec<usize> = (0..FIRST * 9).map(|_| roll.join()).collect();
        let addresses: HashSet<_> = seats.iter().map(|&index| std::ptr::from_ref(roll.seat(index).unwrap())).collect();
        assert_eq!(addresses.len(), seats.len());
        assert_eq!(roll.running().count, seats.len());
        for round in 0..200 {
            for seat in &mut seats {
                roll.leave(*seat);
                *seat = roll.join();
            }
            assert_eq!(roll.running().count, seats.len(), "round {round}");
        }
        let room = FIRST << (roll.grown() - 1);
        assert!(room <= 16 * seats.len(), "room for {room}");
    }

    #[test]
    fn ages_are_of_the_oldest() {
        let roll = Roll::new("test");
        let first = roll.join();
        std::thread::sleep(Duration::from_millis(3));
        let second = roll.join();
        assert!(roll.age(first) >= Duration::from_millis(3));
        assert!(roll.running().oldest >= roll.age(second));
        roll.leave(first);
        roll.leave(second);
        assert_eq!(roll.running().oldest, Duration::ZERO);
    }
}
