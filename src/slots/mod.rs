//! The slot list of one owner: everybody who must hear of its end sits here.
//!
//! ```text
//! SlotList   table   counter of collisions, then *[Desk], tag CLOSED
//!            shard   head -> Block -> Block -> ..        overflow of the two slots below
//!            inline  gate, slot
//! Desk       shard   head -> Block -> ..                 one thread's own corner, made under contention only
//!            slots   13
//! ```
//!
//! # Invariants
//!
//! 1. Whoever registers needs a live handle on the owner; an occupied slot keeps the owner's memory alive.
//! 2. Registering is one compare-and-swap, on a word that closing tags: a slot, a head, or the table. So either the
//!    canceler finds the entry, or the registrant finds the tag; there is no second word to look at again.
//! 3. *The gates.* Nothing behind an inline slot is used before that slot has been used, and a used slot never looks
//!    virgin again. So a canceler that closes a virgin inline slot has closed everything behind it: one write for a leaf.
//!
//! # Not here
//!
//! What an entry is, who owns the list, and what happens to those who are found. No context is known on this floor.

mod cursor;
mod desk;
mod shard;
mod slot;

#[cfg(all(test, not(feature = "loom")))]
mod tests;

pub(crate) use cursor::Position;
pub(crate) use shard::{Closed, Seat};
pub(crate) use slot::{Entry, Kind, Left};

use crate::sync::{self, AtomicPtr, Ordering, addr_bits, reclaim};
use desk::{CLOSED, Desk, desk, desks};
use shard::Shard;
use slot::{Slot, Take};
use std::ptr;

/// Slots in the owner itself.
const INLINE: usize = 2;

/// So many collisions, or new blocks at four each, and every thread gets a desk of its own.
#[cfg(not(feature = "loom"))]
const CROWDED: usize = 16;
#[cfg(feature = "loom")]
const CROWDED: usize = 1;

#[derive(Debug)]
#[repr(C)]
pub(crate) struct SlotList {
    inline: [Slot; INLINE],
    table: AtomicPtr<()>,
    shard: Shard,
}

impl SlotList {
    pub(crate) fn new() -> SlotList {
        SlotList {
            table: AtomicPtr::new(ptr::null_mut()),
            shard: Shard::new(),
            inline: std::array::from_fn(|_| Slot::new()),
        }
    }

    /// The list of a context that is born ended: nobody can ever register.
    pub(crate) fn closed() -> SlotList {
        SlotList { inline: [Slot::closed(), Slot::new()], ..SlotList::new() }
    }

    /// Registers an entry: constant time whatever the number of others, one compare-and-swap unless threads collide.
    /// `placed` tells the entry its seat before each try.
    #[inline]
    pub(crate) fn register(&self, entry: Entry, mut placed: impl FnMut(Seat)) -> Result<(), Closed> {
        // ORDERING: table (reader).
        let table = self.table.load(Ordering::Acquire);
        if let Some(desks) = desks(table) {
            let index = sync::thread_index() % sync::shard_count();
            // SAFETY: in bounds; the table lives as long as the list.
            let desk = unsafe { desk(desks, index) };
            if take_beside(&desk.slots, entry, &mut placed)?.is_none() {
                desk.shard.take(entry, &mut placed)?;
            }
            return Ok(());
        }
        match take_beside(&self.inline, entry, &mut placed)? {
            Some(false) => {}
            Some(true) => self.crowd(1),
            None => {
                let crowded = self.shard.take(entry, &mut placed)?;
                if crowded != 0 {
                    self.crowd(crowded);
                }
            }
        }
        Ok(())
    }

    /// Counts collisions; past the limit it puts up the table.
    #[cold]
    fn crowd(&self, by: usize) {
        // ORDERING: Relaxed. A guess for the compare-and-swap.
        let seen = self.table.load(Ordering::Relaxed);
        if desks(seen).is_some() || addr_bits(seen, CLOSED) != 0 {
            return;
        }
        let count = seen.addr() / 2 + by;
        if count < CROWDED {
            let counted = ptr::without_provenance_mut(count * 2);
            // ORDERING: Relaxed. A lost count is no loss.
            let _ = self.table.compare_exchange(seen, counted, Ordering::Relaxed, Ordering::Relaxed);
            return;
        }
        let table: Box<[Desk]> = (0..sync::shard_count()).map(|_| Desk::new()).collect();
        let table = Box::into_raw(table);
        // ORDERING: table (writer). A CLOSED word refuses the table.
        if self.table.compare_exchange(seen, table.cast(), Ordering::Release, Ordering::Relaxed).is_err() {
            // SAFETY: it was never published.
            drop(unsafe { Box::from_raw(table) });
        }
    }

    /// Whether nobody ever sat in it; for the owner's last handle.
    #[inline]
    pub(crate) fn is_virgin(&self) -> bool {
        self.inline[0].is_virgin()
    }

    /// Closes the list if nobody ever sat in it: one write. False: walk it with a [`Position`].
    #[inline]
    pub(crate) fn close_if_virgin(&self) -> bool {
        matches!(self.inline[0].close(), slot::Found::Virgin)
    }

    /// The last handle is gone: tags everybody who sits here, and says how many they are. Each of them will count the
    /// owner down when it leaves.
    pub(crate) fn orphan(&self) -> usize {
        if self.is_virgin() {
            return 0;
        }
        let count = |slots: &[Slot]| slots.iter().filter(|slot| slot.orphan()).count();
        let mut occupied = count(&self.inline) + self.shard_orphans(&self.shard);
        // ORDERING: Relaxed. Who registered at a desk let go of its handle before us.
        if let Some(desks) = desks(self.table.load(Ordering::Relaxed)) {
            for index in 0..sync::shard_count() {
                // SAFETY: in bounds; the table lives as long as the list.
                let desk = unsafe { desk(desks, index) };
                occupied += count(&desk.slots) + self.shard_orphans(&desk.shard);
            }
        }
        occupied
    }

    fn shard_orphans(&self, shard: &Shard) -> usize {
        if shard.first().is_none() {
            return 0;
        }
        // Those who leave may be giving blocks back.
        let _pin = reclaim::pin();
        let mut occupied = 0;
        let mut at = shard.first();
        while let Some(block) = at {
            // SAFETY: pinned.
            occupied += unsafe { &(*block.as_ptr()).slots }.iter().filter(|slot| slot.orphan()).count();
            // SAFETY: pinned.
            at = unsafe { shard::Block::next(block) };
        }
        occupied
    }

    /// Gives the memory behind the list back.
    ///
    /// # Safety
    ///
    /// Nobody sits in it and nobody looks at it any more; the list is not used again.
    pub(crate) unsafe fn free(&self) {
        // SAFETY: forwarded.
        unsafe { self.shard.free() };
        // ORDERING: Relaxed. Whoever frees the list has acquired everything.
        if let Some(desks) = desks(self.table.load(Ordering::Relaxed)) {
            let all = ptr::slice_from_raw_parts_mut(desks.as_ptr(), sync::shard_count());
            // SAFETY: forwarded; it came from a box of this length.
            let all = unsafe { Box::from_raw(all) };
            for desk in &all {
                // SAFETY: forwarded.
                unsafe { desk.shard.free() };
            }
        }
    }
}

/// Tries the slots that are always tried first, in order: the first of them is the gate.
/// `None`: all busy; otherwise taken, and whether somebody got in between.
#[inline]
fn take_beside(slots: &[Slot], entry: Entry, placed: &mut impl FnMut(Seat)) -> Result<Option<bool>, Closed> {
    let mut collided = false;
    for slot in slots {
        let seat = Seat::beside(slot);
        match slot.take(entry, || placed(seat)) {
            Take::Taken => return Ok(Some(collided)),
            Take::Closed => return Err(Closed),
            Take::Busy(lost) => collided |= lost,
        }
    }
    Ok(None)
}
