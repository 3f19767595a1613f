//! What a thread has retired, and not handed to the collector yet.
//!
//! To hand over takes a pin, and a turn of the collector takes a look at every thread that ever pinned: so both wait until there is
//! a batch. A piece that waits here longer than it has to does no harm: nobody who pins from now on can reach it.

use std::cell::RefCell;
use std::mem;

/// So many pieces are handed over at once. Few where a tool looks for touches of what was given back.
pub(super) const BATCH: usize = if cfg!(any(ripcord_unpooled, fuzzing)) { 4 } else { 64 };

/// What is to be given back, and how.
pub(super) struct Piece(pub(super) *mut (), pub(super) unsafe fn(*mut ()));

pub(super) struct Retired(RefCell<Vec<Piece>>);

impl Retired {
    pub(super) fn new() -> Retired {
        Retired(RefCell::new(Vec::new()))
    }

    /// True: there is a batch, or another one.
    #[inline]
    pub(super) fn push(&self, piece: Piece) -> bool {
        let mut pieces = self.0.borrow_mut();
        pieces.push(piece);
        pieces.len() % BATCH == 0
    }

    /// What is to be handed over, if it is so many batches. Out of the cell first: what is given back may retire more.
    pub(super) fn take(&self, batches: usize) -> Option<Vec<Piece>> {
        let mut pieces = self.0.borrow_mut();
        (pieces.len() >= batches * BATCH).then(|| mem::replace(&mut *pieces, Vec::with_capacity(BATCH)))
    }

    /// For the end of the thread.
    pub(super) fn rest(&self) -> Vec<Piece> {
        self.0.take()
    }
}
