//! A reference count that can tell "mine is the only one" without writing.

use crate::sync::{AtomicU32, Ordering};

/// Counts owners. Nobody may add one without holding one.
#[derive(Debug)]
pub(crate) struct RefCount(AtomicU32);

/// More owners than this are a leak of handles, and the process ends as `Arc` would end it: the count could wrap, or reach a
/// [`mark`](RefCount::mark).
const LIMIT: u32 = i32::MAX as u32;

impl RefCount {
    pub(crate) fn new(owners: u32) -> Self {
        RefCount(AtomicU32::new(owners))
    }

    /// One owner more, made from an owner.
    #[inline]
    pub(crate) fn add(&self) {
        // ORDERING: Relaxed. The new owner gets everything from the one it was made from.
        if self.0.fetch_add(1, Ordering::Relaxed) >= LIMIT {
            std::process::abort();
        }
    }

    /// One owner less. True for the last: it alone may take the object apart, and sees all that the others did.
    ///
    /// | before | after | answer |
    /// |--------|-------|--------|
    /// | 1      | 0     | true   |
    /// | n > 1  | n - 1 | false  |
    #[inline]
    #[must_use]
    pub(crate) fn release(&self) -> bool {
        // ORDERING: last-ref (reader). If one is left it is ours, and nobody can add to it: the read-modify-write that
        // would tell us so is saved. Acquire pairs with the releases below.
        if self.0.load(Ordering::Acquire) == 1 {
            // ORDERING: hope (writer). A plain store hands on nothing of the releases before it, and whoever finds a relay without
            // owners goes down to those whom they have registered.
            self.0.store(0, Ordering::Release);
            return true;
        }
        // ORDERING: last-ref (both ends). Release hands what this owner did to the last one; the last one acquires.
        self.0.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Whether anybody owns it still; the answer may be old.
    #[inline]
    pub(crate) fn load(&self, ordering: Ordering) -> u32 {
        self.0.load(ordering)
    }

    /// After the last release: a mark in place of the count. True for the one who made it.
    #[must_use]
    pub(crate) fn mark(&self, mark: u32) -> bool {
        // ORDERING: hope (writer).
        self.0.swap(mark, Ordering::AcqRel) != mark
    }
}
