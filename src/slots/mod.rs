//! The slot list of one owner: everybody who must hear of its end sits here.
//!
//! ```text
//! SlotList   table   how crowded it is, then *[Desk]
//!            shard   head -> Block -> Block -> ..        overflow of the two slots below
//!            inline  two slots
//! Desk       shard   head -> Block -> ..                 one thread's own corner, made for a crowd only
//!            slots   13
//! ```
//!
//! # Invariants
//!
//! 1. Whoever registers needs a live handle on the owner; an occupied slot keeps the owner's memory alive.
//! 2. Registering is one compare-and-swap, and a look at the owner's state behind it; canceling is the end in that state, and a
//!    look at the slots behind it. So either the canceler finds the entry, or the registrant finds the end (*meet*). A canceler
//!    writes to nothing but the slots in which it finds somebody.
//! 3. Who finds the end stands up again, unless a canceler has found it: then it is registered. But another canceler may have
//!    gone by and returned: then the registrant sees to it that what sits there ends ([`Seated::Late`]).
//! 4. Nothing behind an inline slot is used before that slot has been used, or spent for the desks; and then it never looks virgin
//!    again: the look at one tells of all behind it.
//!
//! # Not here
//!
//! What an entry is, who owns the list, and what happens to those who are found. No context is known on this floor.

mod block;
mod crowd;
mod cursor;
mod desk;
mod shard;
mod slot;

#[cfg(all(test, not(feature = "loom")))]
mod tests;

pub(crate) use cursor::Position;
pub(crate) use shard::Seat;
pub(crate) use slot::{Entry, Kind, Left, Met};

use crate::state::State;
use crate::sync::{self, AtomicPtr, Ordering, reclaim};
use block::Block;
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
    /// After the end. A canceler has found the entry and will tell it, but may have others to tell before; and one that has not
    /// found it may have returned.
    Late,
}

/// The owner has ended: nobody registers any more.
#[derive(Debug)]
pub(crate) struct Closed;

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
    /// compare-and-swap unless threads collide. `placed` tells the entry its seat before each try.
    ///
    /// For an entry that nobody but the registrant makes leave: so it can be told to stand up again.
    #[inline]
    pub(crate) fn register(&self, owner: &State, entry: Entry, placed: impl FnMut(Seat)) -> Result<Seated, Closed> {
        let seat = self.sit(entry, placed);
        if owner.has_ended_meanwhile() { stand_up(seat, entry) } else { Ok(Seated::InTime) }
    }

    /// Takes a seat, and no more: the caller looks at the owner's state next. Whoever meets the entry may make it leave, and then
    /// the seat's memory may be gone.
    #[inline]
    pub(crate) fn sit(&self, entry: Entry, mut placed: impl FnMut(Seat)) -> Seat {
        // ORDERING: table (reader).
        if let Some(desks) = desks(self.table.load(Ordering::Acquire)) {
            return sit_at_desk(desks, entry, &mut placed);
        }
        let [first, _] = &self.inline;
        let seat = Seat::beside(first);
        match first.take(entry, || placed(seat)) {
            Take::Taken => seat,
            Take::Busy(collided) => self.sit_behind(collided, entry, &mut placed),
        }
    }

    /// The first slot is occupied; true: by somebody who came in between.
    #[inline(never)]
    fn sit_behind(&self, collided: bool, entry: Entry, placed: &mut impl FnMut(Seat)) -> Seat {
        let [_, second] = &self.inline;
        let beside = Seat::beside(second);
        let (seat, crowd) = match second.take(entry, || placed(beside)) {
            Take::Taken => (beside, if collided { Crowd::Collided } else { Crowd::Nobody }),
            Take::Busy(_) => self.shard.take(entry, placed),
        };
        if crowd != Crowd::Nobody {
            self.crowd(crowd);
        }
        seat
    }

    /// Whether there are no desks: what is the owner's alone may be written to.
    #[inline]
    pub(crate) fn is_calm(&self) -> bool {
        // ORDERING: Relaxed. A hint: nothing is looked at.
        desks(self.table.load(Ordering::Relaxed)).is_none()
    }

    /// Threads have met at another word of the owner's.
    #[cold]
    pub(crate) fn collided(&self) {
        self.crowd(Crowd::Collided);
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
        // Who sits at a desk is looked for behind these, which those who collide elsewhere may not have used.
        self.inline.iter().for_each(Slot::spend);
        let table: Box<[Desk]> = (0..sync::shard_count()).map(|_| Desk::new()).collect();
        let table = Box::into_raw(table);
        // ORDERING: table (writer).
        if self.table.compare_exchange(seen, table.cast(), Ordering::Release, Ordering::Relaxed).is_err() {
            // SAFETY: it was never published.
            drop(unsafe { Box::from_raw(table) });
        }
    }

    /// Whether nobody ever sat in it; for the owner's last handle, and for who ends it.
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
            occupied += unsafe { Block::slots(block) }.iter().filter(|slot| slot.orphan()).count();
            // SAFETY: pinned.
            at = unsafe { Block::next(block) };
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

/// For whoever has taken a seat and found the end. No canceler has found it there: it stands up again.
#[cold]
fn stand_up(seat: Seat, entry: Entry) -> Result<Seated, Closed> {
    // SAFETY: the registrant has a handle on the owner, and sits there still, which keeps a block.
    if unsafe { seat.slot().as_ref() }.leave_untagged(entry) { Err(Closed) } else { Ok(Seated::Late) }
}

#[inline(never)]
fn sit_at_desk(desks: NonNull<Desk>, entry: Entry, placed: &mut impl FnMut(Seat)) -> Seat {
    // SAFETY: in bounds; the table lives as long as the list.
    let desk = unsafe { desk(desks, desk::own()) };
    for slot in &desk.slots {
        let seat = Seat::beside(slot);
        match slot.take(entry, || placed(seat)) {
            Take::Taken => return seat,
            Take::Busy(false) => {}
            Take::Busy(true) => desk::move_on(),
        }
    }
    let (seat, crowd) = desk.shard.take(entry, placed);
    if crowd == Crowd::Collided {
        desk::move_on();
    }
    seat
}
