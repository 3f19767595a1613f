//! How crowded an owner is: counted in its table word, until that is put up.
//!
//! ```text
//! who | count      no desks yet: which thread made a block last, and how crowded it has been
//! desks            put up
//! ... | CLOSED     the same, and no desks are put up any more
//! ```

use crate::sync::{self, addr_bits};
use std::ptr;

/// The tag of a table word.
pub(super) const CLOSED: usize = 1;
/// Below this a table word is a [`Tally`].
pub(super) const TALLIES: usize = 4096;

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
    const THREADS: usize = TALLIES / 2 / Tally::COUNTS;

    /// `None`: there are desks, or there will never be.
    pub(super) fn of(word: *mut ()) -> Option<Tally> {
        let open = word.addr() < TALLIES && addr_bits(word, CLOSED) == 0;
        open.then_some(Tally { count: word.addr() / 2 % Tally::COUNTS, who: word.addr() / 2 / Tally::COUNTS })
    }

    pub(super) fn word(self) -> *mut () {
        ptr::without_provenance_mut((self.who * Tally::COUNTS + self.count) * 2)
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
