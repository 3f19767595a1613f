//! Words that are a pointer and a few flag bits, by strict provenance.
//!
//! `AtomicPtr::fetch_or` is younger than our oldest compiler, and x86 turns it into the same loop.

use super::{AtomicPtr, Ordering};

/// The low bits of a tagged pointer that `mask` selects.
#[inline(always)]
pub(crate) fn addr_bits(word: *mut (), mask: usize) -> usize {
    word.addr() & mask
}

/// The pointer without the bits that `mask` selects.
#[inline(always)]
pub(crate) fn strip(word: *mut (), mask: usize) -> *mut () {
    word.map_addr(|addr| addr & !mask)
}

/// Flag arithmetic on an atomic pointer.
pub(crate) trait Tagged {
    /// Sets `bits`; returns the word as it was. `success` orders the write, loads that find the bits set already
    /// are `Acquire`: then nothing is written.
    fn set_bits(&self, bits: usize, success: Ordering) -> *mut ();
}

impl Tagged for AtomicPtr<()> {
    #[inline]
    fn set_bits(&self, bits: usize, success: Ordering) -> *mut () {
        // ORDERING: none of its own: the caller names its edges. Acquire, as said above.
        let mut seen = self.load(Ordering::Acquire);
        while addr_bits(seen, bits) != bits {
            match self.compare_exchange_weak(seen, seen.map_addr(|a| a | bits), success, Ordering::Acquire) {
                Ok(_) => break,
                Err(now) => seen = now,
            }
        }
        seen
    }
}
