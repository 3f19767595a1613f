//! The slot list of one owner: everybody who must hear of its end sits here.
//!
//! ```text
//! SlotList   table   how crowded it is, then *[Desk], tag CLOSED
//!            shard   head -> Block -> Block -> ..        overflow of the two slots below
//!            inline  gate, slot
//! Desk       shard   head -> Block -> ..                 one thread's own corner, made for a crowd only
//!            slots   13
//! ```
//!
//! # Invariants
//!
//! 1. Whoever registers needs a live handle on the owner; an occupied slot keeps the owner's memory alive.
//! 2. Registering is one compare-and-swap, on a word that closing tags: a slot, a head, or the table. So either the
//!    canceler finds the entry, or the registrant finds the tag; there is no second word to look at again, but for a gate.
//! 3. *The gates.* Nothing behind an inline slot is used before that slot has been used, and a used slot never looks
//!    virgin again. Each of them has a gate in the owner's state, which the first to sit there opens, and which the end shuts
//!    for good. So a canceler passes by a virgin inline slot, and everything behind it, without a write.
//! 4. Who takes an inline slot and comes too late for its gate stands up again, unless a canceler has found it: then it
//!    is registered. But another canceler may have gone by that gate and returned: then the registrant sees to it that
//!    what sits there ends ([`Seated::Late`]).
//!
//! # Not here
//!
//! What an entry is, who owns the list, and what happens to those who are found. No context is known on this floor.

mod crowd;
mod cursor;
mod desk;
mod shard;
mod slot;

#[cfg(all(test, not(feature = "loom")))]
mod tests;

pub(crate) use cursor::Position;
pub(crate) use shard::{Closed, Seat};
pub(crate) use slot::{Entry, Kind, Left, Met};

use crate::state::{Gates, State};
use crate::sync::{self, AtomicPtr, Ordering, reclaim};
use crowd::{Crowd, Tally};
use desk::{Desk, desk, desks};
use shard::Shard;
use slot::{Slot, Take};
use std::ptr::{self, NonNull};

/// How an entry was registered.
#[must_use]
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seated {
    /// Before the owner ended: no canceler returns without having come by.
    InTime,
    /// After a canceler has passed by its gate. Another has found the entry and will tell it, but may have others to wait for
    /// before; and the first one may have returned.
    Late,
}

/// Slots in the owner itself.
const INLINE: usize = 2;

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

    /// Registers an entry with the owner, whose state this is: constant time whatever the number of others, one
    /// compare-and-swap unless threads collide or a gate is shut. `placed` tells the entry its seat before each try.
    #[inline]
    pub(crate) fn register(&self, owner: &State, entry: Entry, mut placed: impl FnMut(Seat)) -> Result<Seated, Closed> {
        // ORDERING: table (reader).
        if let Some(desks) = desks(self.table.load(Ordering::Acquire)) {
            return register_at_desk(desks, entry, &mut placed);
        }
        let open = owner.gates().ok_or(Closed)?;
        let [first, second] = &self.inline;
        match first.take(entry, || placed(Seat::beside(first))) {
            Take::Taken if open.include(Gates::FIRST) => Ok(Seated::InTime),
            Take::Taken => open_behind(owner, Gates::FIRST, first, entry),
            Take::Closed => Err(Closed),
            Take::Busy(collided) => match second.take(entry, || placed(Seat::beside(second))) {
                Take::Taken => {
                    if !open.include(Gates::BOTH) && open_behind(owner, Gates::BOTH, second, entry)? == Seated::Late {
                        return Ok(Seated::Late);
                    }
                    if collided {
                        self.crowd(Crowd::Collided);
                    }
                    Ok(Seated::InTime)
                }
                Take::Closed => Err(Closed),
                Take::Busy(_) => {
                    if !open.include(Gates::BOTH) && !owner.open(Gates::BOTH) {
                        return Err(Closed);
                    }
                    let crowd = self.shard.take(entry, &mut placed)?;
                    if crowd != Crowd::Nobody {
                        self.crowd(crowd);
                    }
                    Ok(Seated::InTime)
                }
            },
        }
    }

    /// Counts; past the limit it puts up the table.
    #[cold]
    fn crowd(&self, crowd: Crowd) {
        // ORDERING: Relaxed. A guess for the compare-and-swap.
        let seen = self.table.load(Ordering::Relaxed);
        let Some(tally) = Tally::of(seen).map(|tally| tally.after(crowd)) else { return };
        if !tally.is_crowded() {
            if tally.word() != seen {
                // ORDERING: Relaxed. A lost count is no loss.
                let _ = self.table.compare_exchange(seen, tally.word(), Ordering::Relaxed, Ordering::Relaxed);
            }
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

    /// The slot of the only one who may sit here; `None`: there may be others. For the owner's last handle.
    #[inline]
    pub(crate) fn only(&self) -> Option<&Slot> {
        let [first, second] = &self.inline;
        second.is_virgin().then_some(first)
    }

    /// The last handle is gone: tags everybody who sits here, and says how many they are. Each of them will count the
    /// owner down when it leaves.
    pub(crate) fn orphan(&self) -> usize {
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

/// Opens gates for whoever has just taken the seat at one. Too late, and no canceler has found it there: it stands up again.
///
/// | the gate      | the seat | answer |
/// |---------------|----------|--------|
/// | open now      | -        | InTime |
/// | shut for good | left     | Closed |
/// | shut for good | tagged   | Late   |
#[cold]
fn open_behind(owner: &State, gates: Gates, seat: &Slot, entry: Entry) -> Result<Seated, Closed> {
    if owner.open(gates) {
        Ok(Seated::InTime)
    } else if seat.leave_untagged(entry) {
        Err(Closed)
    } else {
        Ok(Seated::Late)
    }
}

/// Behind both gates: they were open before there was a desk.
#[inline(never)]
fn register_at_desk(desks: NonNull<Desk>, entry: Entry, placed: &mut impl FnMut(Seat)) -> Result<Seated, Closed> {
    let index = sync::thread_index() % sync::shard_count();
    // SAFETY: in bounds; the table lives as long as the list.
    let desk = unsafe { desk(desks, index) };
    for slot in &desk.slots {
        match slot.take(entry, || placed(Seat::beside(slot))) {
            Take::Taken => return Ok(Seated::InTime),
            Take::Closed => return Err(Closed),
            Take::Busy(_) => {}
        }
    }
    desk.shard.take(entry, placed).map(|_| Seated::InTime)
}
