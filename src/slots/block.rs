//! Slots in blocks, of two sizes. The first block of a chain is small: most owners need no second. The others are large, so that
//! the allocator is asked for every twenty-ninth entry.
//!
//! A block is aligned to its size, and found from the address of one of its slots by whoever knows how large it is.

use super::slot::Slot;
use crate::sync::{AtomicPtr, Bookmark, Ordering, prefetch, reclaim};
use std::mem::offset_of;
use std::ptr::{self, NonNull};

/// With the head they fill two cache lines, or four.
#[cfg(not(feature = "loom"))]
const SLOTS: [usize; 2] = [13, 29];
#[cfg(feature = "loom")]
const SLOTS: [usize; 2] = [2, 2];

/// Shuttle's words are large.
#[cfg(not(feature = "shuttle"))]
const SMALL_ALIGN: usize = 128;
#[cfg(feature = "shuttle")]
const SMALL_ALIGN: usize = 1024;

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Size {
    Small = 0,
    Large = 1,
}

/// The beginning of a block of either size.
#[repr(C)]
pub(super) struct Block {
    pub(super) next: AtomicPtr<()>,
    /// Whose chain it is in: fixed.
    home: NonNull<()>,
    /// About so many slots have been taken: they are in their order.
    pub(super) used: Bookmark,
    pub(super) size: Size,
    slots: [Slot; 0],
}

#[cfg_attr(not(feature = "shuttle"), repr(C, align(128)))]
#[cfg_attr(feature = "shuttle", repr(C, align(1024)))]
struct Small {
    head: Block,
    slots: [Slot; SLOTS[0]],
}

#[cfg_attr(not(feature = "shuttle"), repr(C, align(256)))]
#[cfg_attr(feature = "shuttle", repr(C, align(2048)))]
struct Large {
    head: Block,
    slots: [Slot; SLOTS[1]],
}

const _: () = {
    assert!(align_of::<Small>() == SMALL_ALIGN && size_of::<Small>() == SMALL_ALIGN);
    assert!(align_of::<Large>() == 2 * SMALL_ALIGN && size_of::<Large>() == 2 * SMALL_ALIGN);
    assert!(
        offset_of!(Small, slots) == offset_of!(Block, slots) && offset_of!(Large, slots) == offset_of!(Block, slots)
    );
};

impl Size {
    pub(super) const fn slots(self) -> usize {
        SLOTS[self as usize]
    }
}

impl Block {
    /// A block of its own for somebody's chain: nobody sits in it, and nobody else knows it.
    pub(super) fn make<T>(size: Size, home: NonNull<T>) -> NonNull<Block> {
        fn slots<const N: usize>() -> [Slot; N] {
            std::array::from_fn(|_| Slot::new())
        }
        let next = AtomicPtr::new(ptr::null_mut());
        let head = Block { next, home: home.cast(), used: Bookmark::new(), size, slots: [] };
        match size {
            Size::Small => NonNull::from(Box::leak(Box::new(Small { head, slots: slots() }))).cast(),
            Size::Large => NonNull::from(Box::leak(Box::new(Large { head, slots: slots() }))).cast(),
        }
    }

    /// The block of this size around one of its slots.
    #[inline]
    pub(super) fn around(slot: NonNull<Slot>, size: Size) -> NonNull<Block> {
        let align = SMALL_ALIGN << size as usize;
        // SAFETY: a slot lies behind the head of its block: rounding its address down does not give null.
        unsafe { NonNull::new_unchecked(slot.as_ptr().map_addr(|a| a & !(align - 1))) }.cast()
    }

    /// Whose chain it is in.
    #[inline]
    pub(super) fn home<T>(&self) -> NonNull<T> {
        self.home.cast()
    }

    /// The slot with this number. The pointer may be taken back to the block.
    ///
    /// # Safety
    ///
    /// The block is there, and has so many.
    #[inline]
    pub(super) unsafe fn slot(this: NonNull<Block>, index: usize) -> NonNull<Slot> {
        // SAFETY: in bounds of the block; no reference narrows the pointer to one slot.
        let slots = unsafe { this.byte_add(offset_of!(Block, slots)) }.cast::<Slot>();
        // SAFETY: in bounds of the array.
        unsafe { slots.add(index) }
    }

    /// The number of one of its slots.
    #[inline]
    pub(super) fn index(this: NonNull<Block>, slot: NonNull<Slot>) -> usize {
        (slot.addr().get() - this.addr().get() - offset_of!(Block, slots)) / size_of::<Slot>()
    }

    /// All its slots.
    ///
    /// # Safety
    ///
    /// The block is protected for `'a`: by whatever its chain says.
    #[inline]
    pub(super) unsafe fn slots<'a>(this: NonNull<Block>) -> &'a [Slot] {
        // SAFETY: forwarded.
        let size = unsafe { this.as_ref() }.size;
        // SAFETY: forwarded.
        let first = unsafe { Block::slot(this, 0) };
        // SAFETY: so many are there.
        unsafe { NonNull::slice_from_raw_parts(first, size.slots()).as_ref() }
    }

    /// Whether nobody sits in the block but in this slot; the answer may be old. Neighbours are asked first: they mostly come and go
    /// together, so one of them is still there as long as others are.
    ///
    /// # Safety
    ///
    /// As for `slots`; it is a slot of this block.
    #[inline]
    pub(super) unsafe fn holds_only(this: NonNull<Block>, slot: NonNull<Slot>) -> bool {
        let own = Block::index(this, slot);
        // SAFETY: forwarded.
        let slots = unsafe { Block::slots(this) };
        let (before, after) = (&slots[..own], &slots[own + 1..]);
        if after.first().is_some_and(Slot::is_occupied) || before.last().is_some_and(Slot::is_occupied) {
            return false;
        }
        !after.iter().any(Slot::is_occupied) && !before.iter().any(Slot::is_occupied)
    }

    /// The block behind this one.
    ///
    /// # Safety
    ///
    /// As for `slots`.
    #[inline]
    pub(super) unsafe fn next(this: NonNull<Block>) -> Option<NonNull<Block>> {
        // SAFETY: forwarded.
        // ORDERING: chain (reader).
        NonNull::new(unsafe { this.as_ref() }.next.load(Ordering::Acquire).cast())
    }

    /// The first slot of the next block, if that is as large, for a walk that is at this one to ask the processor for whoever sits
    /// there, slot by slot. Each is a cache miss in a large fan-out, and the locked instructions of the walk would take them one after
    /// the other; all at once they wait for one another.
    ///
    /// # Safety
    ///
    /// As for `slots`.
    #[inline]
    pub(super) unsafe fn ahead(this: NonNull<Block>) -> Option<NonNull<Slot>> {
        // Loads that decide nothing would only add interleavings to the models.
        if cfg!(feature = "loom") {
            return None;
        }
        // SAFETY: forwarded.
        let next = unsafe { Block::next(this) }?;
        // SAFETY: forwarded: the chain is protected.
        let size = unsafe { next.as_ref() }.size;
        // SAFETY: forwarded.
        let alike = size == unsafe { this.as_ref() }.size;
        // SAFETY: it has so many.
        alike.then(|| unsafe { Block::slot(next, 0) })
    }

    /// A walk comes to this block: asks the processor for the one behind the next.
    ///
    /// # Safety
    ///
    /// As for `slots`.
    #[inline]
    pub(super) unsafe fn expect(this: NonNull<Block>) {
        // As in `ahead`.
        if cfg!(feature = "loom") {
            return;
        }
        // SAFETY: forwarded.
        if let Some(next) = unsafe { Block::next(this) } {
            // ORDERING: Relaxed, here and in `Slot::expect`. Nothing is looked at.
            // SAFETY: forwarded: the chain is protected.
            let beyond = unsafe { next.as_ref() }.next.load(Ordering::Relaxed);
            for line in 0..4 {
                prefetch(beyond.map_addr(|a| a + line * 64));
            }
        }
    }

    /// Gives a block back to the allocator.
    ///
    /// # Safety
    ///
    /// It was made here, and the caller is the last to know it.
    pub(super) unsafe fn free(this: *mut ()) {
        // SAFETY: forwarded.
        let size = unsafe { &*this.cast::<Block>() }.size;
        match size {
            // SAFETY: forwarded.
            Size::Small => unsafe { reclaim::bury(this.cast::<Small>()) },
            // SAFETY: forwarded.
            Size::Large => unsafe { reclaim::bury(this.cast::<Large>()) },
        }
    }
}
