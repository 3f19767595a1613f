//! Who has a hook's function: one word, won once.
//!
//! ```text
//! WAITING ──claim──> CLAIMED      a canceler calls it, or drops it if nothing ever will
//!    └──────stop───> STOPPED      its owner takes it back
//! ```

use crate::sync::{AtomicU32, Ordering};

const WAITING: u32 = 0;
const CLAIMED: u32 = 1;
const STOPPED: u32 = 2;

#[derive(Debug)]
pub(crate) struct Claim(AtomicU32);

impl Claim {
    pub(crate) fn new() -> Claim {
        Claim(AtomicU32::new(WAITING))
    }

    /// The canceler's side: true for exactly one, and only while nobody has stopped it.
    pub(crate) fn claim(&self) -> bool {
        self.win(CLAIMED)
    }

    /// The owner's side: true for exactly one, and only while nobody has claimed it.
    pub(crate) fn stop(&self) -> bool {
        self.win(STOPPED)
    }

    fn win(&self, state: u32) -> bool {
        // ORDERING: claim (both ends). The winner sees what the other side published before.
        self.0.compare_exchange(WAITING, state, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Whether anybody may still be told.
    pub(crate) fn is_waiting(&self) -> bool {
        self.0.load(Ordering::Acquire) == WAITING
    }
}
