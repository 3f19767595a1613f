//! Who may tell an entry of the end: one word, won once.
//!
//! # States
//!
//! ```text
//! WAITING ──claim──> CLAIMED ──told──> TOLD
//!    └──────leave──────> LEFT <──leave──┘
//! ```
//!
//! An entry has an owner (a future, an `AfterFunc`) and at most one claimer (a canceler). Whoever comes second gives
//! the entry's memory back.

use crate::sync::{AtomicU32, Ordering};

const WAITING: u32 = 0;
const CLAIMED: u32 = 1;
const TOLD: u32 = 2;
const LEFT: u32 = 3;

#[derive(Debug)]
pub(crate) struct Claim(AtomicU32);

impl Claim {
    pub(crate) fn new() -> Claim {
        Claim(AtomicU32::new(WAITING))
    }

    /// The canceler's side: true for exactly one, and only while the owner waits.
    pub(crate) fn claim(&self) -> bool {
        self.win(CLAIMED)
    }

    /// The owner's side, when it must know whether it prevented the telling.
    pub(crate) fn stop(&self) -> bool {
        self.win(LEFT)
    }

    fn win(&self, state: u32) -> bool {
        // ORDERING: claim (both ends). The winner sees what the other side published before.
        self.0.compare_exchange(WAITING, state, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The claimer is through. True: the owner has left meanwhile, and the memory is the claimer's to give back.
    #[must_use]
    pub(crate) fn told(&self) -> bool {
        // ORDERING: claim (both ends).
        self.0.swap(TOLD, Ordering::AcqRel) == LEFT
    }

    /// The owner leaves. True: nobody is telling, and the memory is the owner's to give back.
    #[must_use]
    pub(crate) fn leave(&self) -> bool {
        // ORDERING: claim (both ends).
        self.0.swap(LEFT, Ordering::AcqRel) != CLAIMED
    }

    /// Whether anybody may still be told.
    pub(crate) fn is_waiting(&self) -> bool {
        self.0.load(Ordering::Acquire) == WAITING
    }
}
