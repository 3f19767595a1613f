//! How crowded an owner is: counted in its table word, until that is put up.
//!
//! ```text
//! who | count      no desks yet: which thread made a block last, and how crowded it has been
//! desks            put up
//! ```

use crate::sync;
use std::ptr;

/// Below this a table word is a [`Tally`]: no desk is at such an address.
pub(super) const TALLIES: usize = 2048;

/// So much crowding, and every thread gets a desk of its own.
#[cfg(not(feature = "loom"))]
const CROWDED: usize = 16;
#[cfg(feature = "loom")]
const CROWDED: usize = 1;

/// What a registrant met.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Crowd {
    Nobody,
    /// Somebody else got at the same word in between. Counts once.
    Collided,
    /// All blocks in view were full. Counts eight times, if another thread made the last one: what one thread piles up alone
    /// needs no desks.
    Grown,
}

/// A table word before there are desks.
#[derive(Copy, Clone)]
pub(super) struct Tally {
    count: usize,
    /// A thread, about; 0: nobody.
    who: usize,
}

impl Tally {
    const COUNTS: usize = 32;
    const THREADS: usize = TALLIES / Tally::COUNTS;

    /// `None`: there are desks.
    pub(super) fn of(word: *mut ()) -> Option<Tally> {
        let word = word.addr();
        (word < TALLIES).then_some(Tally { count: word % Tally::COUNTS, who: word / Tally::COUNTS })
    }

    pub(super) fn word(self) -> *mut () {
        ptr::without_provenance_mut(self.who * Tally::COUNTS + self.count)
    }

    pub(super) fn after(self, crowd: Crowd) -> Tally {
        let me = 1 + sync::thread_index() % (Tally::THREADS - 1);
        match crowd {
            Crowd::Nobody => self,
            Crowd::Collided => Tally { count: self.count + 1, ..self },
            Crowd::Grown if self.who == me || self.who == 0 => Tally { who: me, ..self },
            Crowd::Grown => Tally { count: self.count + 8, who: me },
        }
    }

    pub(super) fn is_crowded(self) -> bool {
        self.count >= CROWDED
    }
}
