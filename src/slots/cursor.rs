//! A place in a slot list, from which a walk goes on; closes what it passes.
//!
//! A walk keeps no stack: on its way back from a child it finds its place in the parent again from the child's seat.

use super::desk::{CLOSED, Desk, desk, desks};
use super::shard::{Block, Seat};
use super::slot::{Met, Slot};
use super::{INLINE, SlotList};
use crate::sync::{self, Ordering, Tagged};
use std::ptr::NonNull;

/// After so many blocks in a row, whoever sits in the next ones has hardly stayed in the processor's cache.
const WARM: u32 = 256;

/// The next slot to look at.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Position {
    /// 0: the owner's own shard; n: the n-th desk.
    corner: usize,
    row: Row,
    index: usize,
    /// Blocks that were passed in one go.
    blocks: u32,
}

#[derive(Copy, Clone, Debug)]
enum Row {
    /// The slots beside the corner's shard.
    Beside,
    Chain(NonNull<Block>),
}

impl Position {
    pub(crate) const START: Position = Position { corner: 0, row: Row::Beside, index: 0, blocks: 0 };

    /// Right behind a seat of this list.
    pub(crate) fn after(list: &SlotList, seat: Seat) -> Position {
        let of_desk = |address: usize| {
            // ORDERING: Relaxed. Whoever sits at a desk was found through the table.
            let table = desks(list.table.load(Ordering::Relaxed)).expect("a seat at a desk means that there are desks");
            let offset = address - table.as_ptr().addr();
            (offset / size_of::<Desk>(), offset % size_of::<Desk>())
        };
        let slot = seat.slot().as_ptr().addr();
        let Some(block) = seat.block() else {
            let inline = slot.wrapping_sub(list.inline.as_ptr().addr()) / size_of::<Slot>();
            if inline < INLINE {
                return Position { corner: 0, row: Row::Beside, index: inline + 1, blocks: 0 };
            }
            let (desk, offset) = of_desk(slot);
            let index = (offset - std::mem::offset_of!(Desk, slots)) / size_of::<Slot>();
            return Position { corner: desk + 1, row: Row::Beside, index: index + 1, blocks: 0 };
        };
        let index = (slot - Block::slot(block, 0).as_ptr().addr()) / size_of::<Slot>();
        // SAFETY: the caller is pinned since it found the seat's entry in the block.
        let shard = unsafe { block.as_ref() }.shard;
        let own = std::ptr::eq(shard.as_ptr(), &list.shard);
        let corner = if own { 0 } else { of_desk(shard.as_ptr().addr()).0 + 1 };
        Position { corner, row: Row::Chain(block), index: index + 1, blocks: 0 }
    }

    /// Closes slots from here on, up to the next that is occupied. `None`: the whole list is closed.
    ///
    /// The owner has ended, or its last handle is gone, and the caller has seen that: no gate will be opened.
    ///
    /// # Safety
    ///
    /// The caller is pinned, or nobody else can reach the list.
    #[inline]
    pub(crate) unsafe fn close_next(&mut self, list: &SlotList) -> Option<Met> {
        loop {
            let desk = match self.corner {
                0 => None,
                // ORDERING: table (reader).
                n => desks(list.table.load(Ordering::Acquire)).map(|desks| {
                    // SAFETY: in bounds: `corner` goes up to the number of desks.
                    unsafe { desk(desks, n - 1) }
                }),
            };
            let (slots, shard): (&[Slot], _) = match (desk, self.row) {
                // SAFETY: the caller protects the chain.
                (Some(desk), Row::Chain(block)) => (unsafe { &(*block.as_ptr()).slots }, &desk.shard),
                (Some(desk), Row::Beside) => (&desk.slots, &desk.shard),
                // SAFETY: as above.
                (None, Row::Chain(block)) => (unsafe { &(*block.as_ptr()).slots }, &list.shard),
                (None, Row::Beside) => (&list.inline, &list.shard),
            };
            while let Some(slot) = slots.get(self.index) {
                if self.is_at_gate() && slot.is_virgin() {
                    // Nothing behind it was ever used, or can be.
                    return None;
                }
                self.index += 1;
                if let Some(met) = slot.close() {
                    return Some(met);
                }
            }
            let next = match self.row {
                Row::Beside => shard.close(),
                // SAFETY: as above.
                Row::Chain(block) => unsafe { Block::next(block) },
            };
            self.index = 0;
            match next {
                Some(block) => {
                    self.row = Row::Chain(block);
                    self.blocks = self.blocks.saturating_add(1);
                    if self.blocks > WARM {
                        // SAFETY: as above.
                        unsafe { Block::expect(block) };
                    }
                }
                None => {
                    self.row = Row::Beside;
                    // ORDERING: closed (writer), table (reader).
                    let table = list.table.set_bits(CLOSED, Ordering::AcqRel);
                    if desks(table).is_none() || self.corner == sync::shard_count() {
                        self.index = usize::MAX;
                        return None;
                    }
                    self.corner += 1;
                }
            }
        }
    }

    /// Whether this place is one of the inline slots.
    fn is_at_gate(&self) -> bool {
        self.corner == 0 && matches!(self.row, Row::Beside)
    }
}
