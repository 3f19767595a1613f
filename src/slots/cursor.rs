//! A place in a slot list, from which a walk goes on; closes the slots in which it finds somebody.
//!
//! A walk keeps no stack: on its way back from a child it finds its place in the parent again from the child's seat.
//! The child may have left by then, another may sit there, or the block may have been given back: it is memory until
//! the walk's pin ends, and its link still leads to all that were behind it, for whoever sits there keeps a block in
//! the chain.
//!
//! The rows of a list: the inline slots, the owner's chain, then for each desk its slots and its chain.

use super::block::Block;
use super::desk::{Desk, desk, desks};
use super::shard::{Seat, Shard};
use super::slot::{Met, Slot};
use super::{INLINE, SlotList};
use crate::sync::{self, Ordering};
use std::ptr::NonNull;

/// The next slot to look at.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Position {
    /// The slot, and how many of its row are left, it among them.
    slot: NonNull<Slot>,
    left: usize,
    row: Row,
    /// 0: the owner's own shard; n: the n-th desk.
    corner: usize,
}

#[derive(Copy, Clone, Debug)]
enum Row {
    Inline,
    Desk,
    /// With the slot of the next block that is as far on as the next one to look at here.
    Chain(NonNull<Block>, Option<NonNull<Slot>>),
}

impl Position {
    /// At the beginning of the list.
    #[inline]
    pub(crate) fn start(list: &SlotList) -> Position {
        Position { slot: NonNull::from(&list.inline).cast(), left: INLINE, row: Row::Inline, corner: 0 }
    }

    /// Right behind a seat of this list.
    pub(crate) fn after(list: &SlotList, seat: Seat) -> Position {
        // By addresses: the seat's own pointer is good for its slot alone.
        let address = seat.slot().as_ptr().addr();
        let mut place = Position::start(list);
        let desks = || {
            // ORDERING: Relaxed. Whoever sits at a desk was found through the table.
            desks(list.table.load(Ordering::Relaxed)).expect("a seat at a desk means that there are desks")
        };
        if let Some(block) = seat.block() {
            // SAFETY: the caller is pinned since it found the seat's entry in the block.
            let shard = unsafe { block.as_ref() }.home::<Shard>();
            if !std::ptr::eq(shard.as_ptr(), &list.shard) {
                place.corner = 1 + (shard.as_ptr().addr() - desks().as_ptr().addr()) / size_of::<Desk>();
            }
            // SAFETY: as above.
            unsafe { place.enter(block) };
        } else if address.wrapping_sub(list.inline.as_ptr().addr()) >= size_of_val(&list.inline) {
            let desks = desks();
            let index = (address - desks.as_ptr().addr()) / size_of::<Desk>();
            // SAFETY: the seat is at this one.
            let desk = unsafe { desk(desks, index) };
            place = Position { corner: index + 1, ..Position::at(desk) };
        }
        let passed = 1 + (address - place.slot.as_ptr().addr()) / size_of::<Slot>();
        // SAFETY: at most one behind the last of its row.
        unsafe { place.pass(passed) };
        place
    }

    /// At the first of a desk's slots.
    fn at(desk: &Desk) -> Position {
        Position { slot: NonNull::from(&desk.slots).cast(), left: desk.slots.len(), row: Row::Desk, corner: 0 }
    }

    /// Goes to the first slot of a block.
    ///
    /// # Safety
    ///
    /// The block is protected.
    #[inline]
    unsafe fn enter(&mut self, block: NonNull<Block>) {
        // SAFETY: forwarded.
        self.left = unsafe { block.as_ref() }.size.slots();
        // SAFETY: forwarded.
        self.slot = unsafe { Block::slot(block, 0) };
        // SAFETY: forwarded.
        self.row = Row::Chain(block, unsafe { Block::ahead(block) });
    }

    /// Goes on by so many slots of the row.
    ///
    /// # Safety
    ///
    /// So many are left.
    #[inline]
    unsafe fn pass(&mut self, count: usize) {
        self.left -= count;
        // SAFETY: at most one behind the last of the row.
        self.slot = unsafe { self.slot.add(count) };
        if let Row::Chain(_, Some(ahead)) = &mut self.row {
            // SAFETY: the block ahead is as large.
            *ahead = unsafe { ahead.add(count) };
        }
    }

    /// Closes the next slot in which somebody sits. `None`: there is nobody any more who registered in time.
    ///
    /// The owner has ended, or its last handle is gone, and the caller has seen that.
    ///
    /// # Safety
    ///
    /// The caller is pinned, or nobody else can reach the list; the position is one of this list.
    #[inline]
    pub(crate) unsafe fn close_next(&mut self, list: &SlotList) -> Option<Met> {
        loop {
            while self.left > 0 {
                if self.is_at_end() {
                    return None;
                }
                // SAFETY: a slot of the row, which the caller protects.
                let slot = unsafe { self.slot.as_ref() };
                if let Row::Chain(_, Some(ahead)) = self.row {
                    // SAFETY: a slot of the next block, which the caller protects.
                    unsafe { ahead.as_ref() }.expect();
                }
                // SAFETY: one is left.
                unsafe { self.pass(1) };
                if let Some(met) = slot.close() {
                    return Some(met);
                }
            }
            // SAFETY: forwarded.
            if !unsafe { self.next_row(list) } {
                return None;
            }
        }
    }

    /// Whether nobody sits further on, as far as can be told at a glance: behind a virgin slot nobody has.
    #[inline]
    pub(crate) fn is_at_end(&self) -> bool {
        // SAFETY: a slot of the row.
        matches!(self.row, Row::Inline) && self.left > 0 && unsafe { self.slot.as_ref() }.is_virgin()
    }

    /// Goes on to the next row. False: there is none.
    ///
    /// # Safety
    ///
    /// As for `close_next`.
    unsafe fn next_row(&mut self, list: &SlotList) -> bool {
        let next = match self.row {
            Row::Inline => list.shard.first(),
            // SAFETY: forwarded.
            Row::Desk => unsafe { self.shard(list) }.first(),
            // SAFETY: forwarded.
            Row::Chain(block, _) => unsafe { Block::next(block) },
        };
        if let Some(block) = next {
            // SAFETY: forwarded.
            unsafe { self.enter(block) };
            // SAFETY: forwarded.
            unsafe { Block::expect(block) };
            return true;
        }
        // ORDERING: table (reader).
        let Some(desks) = desks(list.table.load(Ordering::Acquire)).filter(|_| self.corner < sync::shard_count())
        else {
            return false;
        };
        // SAFETY: in bounds: `corner` is less than the number of desks.
        let desk = unsafe { desk(desks, self.corner) };
        *self = Position { corner: self.corner + 1, ..Position::at(desk) };
        true
    }

    /// The shard of the desk where this place is.
    ///
    /// # Safety
    ///
    /// As for `close_next`; there are desks, and this place is at one.
    unsafe fn shard(self, list: &SlotList) -> &Shard {
        // ORDERING: table (reader).
        let desks = desks(list.table.load(Ordering::Acquire)).expect("this place is at a desk");
        // SAFETY: in bounds: it is one of them.
        &unsafe { desk(desks, self.corner - 1) }.shard
    }
}
