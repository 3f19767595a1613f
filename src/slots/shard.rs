//! A chain of blocks of slots, and how a free slot is found in it without a search.
//!
//! The few slots that sit beside a shard (two in the node itself, thirteen in a [`Desk`](super::desk::Desk)) are tried by the
//! caller first; what comes here is overflow. Overflow is pinned: blocks that a burst left empty are unlinked and given back
//! through the epoch while the owner lives.
//!
//! # Where a free slot is looked for
//!
//! 1. the *hint*: where the last one left;
//! 2. the *head*: the newest block, the only one that is not full while a burst lasts;
//! 3. the *rover*: the next [`ROVE`] blocks in use of a walk round the chain, one walker at a time;
//! 4. a new block, pushed with the entry already in it: the push is the registration.
//!
//! A push means that [`ROVE`] blocks in a row were full, and the rover has moved on by as many: one round of the chain
//! adds a quarter to it at most, and then everything free has been found.
//!
//! # Invariants
//!
//! 1. Blocks are pushed at the head only, and unlinked by the holder of the rover only, never the head: so `next` of
//!    a linked block has one writer.
//! 2. A block is unlinked when all its slots are SEALED. Whoever sat in it stored its hint before it left, so after
//!    sealing no hint to it can appear, and the one there may be is cleared before the block is retired.
//! 3. Hint, head and `next` are followed only under a pin, by the owner's last handle, or from a seat that one occupies.

use super::block::{Block, Size};
use super::crowd::Crowd;
use super::slot::{Entry, Left, Slot, Take};
use crate::sync::reclaim::{self, Guard};
use crate::sync::{AtomicPtr, Ordering, addr_bits, strip, tidies};
use std::ptr::{self, NonNull};

/// How many blocks are looked at before a new one is made, or when one has become empty.
#[cfg(not(feature = "loom"))]
const ROVE: usize = 4;
#[cfg(feature = "loom")]
const ROVE: usize = 2;

/// So many empty blocks at most are unlinked in one walk.
const UNLINKED: usize = 64;

const ROVING: usize = 1;
/// A seat in a block.
const CHAINED: usize = 0b01;
/// In a large one.
const LARGE: usize = 0b10;

/// Where an entry sits: known to the entry before it is published. One word: a slot in a block is tagged, and its block
/// knows the shard; the slots that are always tried first belong to none.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Seat(NonNull<Slot>);

impl Seat {
    /// One of the slots that are always tried first.
    #[inline]
    pub(super) fn beside(slot: &Slot) -> Seat {
        Seat(NonNull::from(slot))
    }

    /// A slot in a chain.
    #[inline]
    fn chained(slot: NonNull<Slot>, size: Size) -> Seat {
        Seat(slot.map_addr(|a| a | CHAINED | if size == Size::Large { LARGE } else { 0 }))
    }

    fn of_word(word: *mut ()) -> Option<Seat> {
        NonNull::new(word.cast()).map(Seat)
    }

    #[inline]
    pub(super) fn slot(self) -> NonNull<Slot> {
        // SAFETY: made of a slot's address, which is not null.
        unsafe { NonNull::new_unchecked(strip(self.0.as_ptr().cast(), CHAINED | LARGE)) }.cast()
    }

    /// The block it is in; none for the slots that are always tried first.
    #[inline]
    pub(super) fn block(self) -> Option<NonNull<Block>> {
        let bits = self.0.addr().get() & (CHAINED | LARGE);
        let size = if bits & LARGE == 0 { Size::Small } else { Size::Large };
        (bits != 0).then(|| Block::around(self.slot(), size))
    }

    /// The block it is in, and which of its slots it is.
    #[inline]
    fn place(self) -> Option<(NonNull<Block>, usize)> {
        self.block().map(|block| (block, Block::index(block, self.slot())))
    }

    /// Gives the seat back. If the answer bears no tag, the owner may be gone: it is not touched again.
    ///
    /// # Safety
    ///
    /// `entry` sits here, and nobody else makes it leave.
    #[inline]
    pub(crate) unsafe fn leave(self, entry: Entry) -> Left {
        self.prepare();
        // SAFETY: the occupied slot keeps the owner alive.
        unsafe { self.slot().as_ref() }.leave(entry)
    }

    /// The same, if the slot bears no tag: then the owner may be gone. False: nothing has happened.
    ///
    /// # Safety
    ///
    /// As for `leave`.
    #[inline(always)]
    pub(crate) unsafe fn leave_untagged(self, entry: Entry) -> bool {
        self.prepare();
        // SAFETY: as above.
        unsafe { self.slot().as_ref() }.leave_untagged(entry)
    }

    /// As [`leave`](Self::leave), if a canceler has been here and the owner has handles; false otherwise, and nothing has
    /// happened.
    ///
    /// # Safety
    ///
    /// As for `leave`.
    #[inline]
    pub(crate) unsafe fn leave_closed(self, entry: Entry) -> bool {
        // SAFETY: as above. Nobody needs to hear that there is room: the owner has ended, or goes.
        unsafe { self.slot().as_ref() }.leave_closed(entry)
    }

    /// As [`leave`](Self::leave), if a canceler has been here and the owner has no handle: it is to be counted down. False
    /// otherwise, and nothing has happened.
    ///
    /// # Safety
    ///
    /// As for `leave`.
    #[inline]
    pub(crate) unsafe fn leave_last(self, entry: Entry) -> bool {
        // SAFETY: as above. Nobody comes here any more.
        unsafe { self.slot().as_ref() }.leave_last(entry)
    }

    /// While the seat is still occupied: says where there will be room, or tidies up if a block becomes empty.
    #[inline(always)]
    fn prepare(self) {
        if let Some(block) = self.block() {
            // SAFETY: the occupied slot keeps its block.
            unsafe { self.prepare_in(block) };
        }
    }

    /// # Safety
    ///
    /// We sit in this block.
    #[inline(never)]
    unsafe fn prepare_in(self, block: NonNull<Block>) {
        // SAFETY: forwarded.
        let shard = unsafe { block.as_ref() }.home::<Shard>();
        // SAFETY: the occupied slot keeps the owner, which the shard is a part of.
        let shard = unsafe { shard.as_ref() };
        // SAFETY: forwarded.
        let empties = tidies(|| shard.first() != Some(block) && unsafe { Block::holds_only(block, self.slot()) });
        // Nobody is shown to a block that becomes empty: so it still is when the next walk comes by. The models do both at once.
        if !empties || cfg!(feature = "loom") {
            shard.remember(self);
        }
        if empties {
            shard.tidy();
        }
    }
}

#[derive(Debug)]
#[repr(C)]
pub(crate) struct Shard {
    /// The newest block.
    head: AtomicPtr<()>,
    /// A seat that was left lately.
    hint: AtomicPtr<()>,
    /// Where the walk round the chain stands, tagged ROVING while somebody walks.
    rover: AtomicPtr<()>,
}

/// Somebody who looks for a slot.
struct Search<'a, F> {
    entry: Entry,
    placed: &'a mut F,
    crowd: Crowd,
}

impl<F: FnMut(Seat)> Search<'_, F> {
    /// Tries one slot of a block, and then the others.
    ///
    /// # Safety
    ///
    /// The block is protected (invariant 3).
    #[inline]
    unsafe fn look_first(&mut self, block: NonNull<Block>, index: usize) -> Option<Seat> {
        // SAFETY: forwarded.
        unsafe { self.try_slot(block, index) }.or_else(|| {
            // SAFETY: forwarded.
            unsafe { self.look(block) }
        })
    }

    /// Tries the slots of one block.
    ///
    /// # Safety
    ///
    /// The block is protected (invariant 3).
    #[inline(never)]
    unsafe fn look(&mut self, block: NonNull<Block>) -> Option<Seat> {
        // SAFETY: forwarded.
        let slots = unsafe { Block::slots(block) };
        let mut tried = 0;
        while let Some(more) = slots[tried..].iter().position(Slot::is_free) {
            // SAFETY: forwarded.
            let seat = unsafe { self.try_slot(block, tried + more) };
            if seat.is_some() {
                return seat;
            }
            tried += more + 1;
        }
        None
    }

    /// # Safety
    ///
    /// The block is protected (invariant 3).
    #[inline(always)]
    unsafe fn try_slot(&mut self, block: NonNull<Block>, index: usize) -> Option<Seat> {
        // SAFETY: forwarded.
        let Block { size, used, .. } = unsafe { block.as_ref() };
        if index >= size.slots() {
            return None;
        }
        // SAFETY: forwarded.
        let slot = unsafe { Block::slot(block, index) };
        let seat = Seat::chained(slot, *size);
        // SAFETY: forwarded.
        match unsafe { slot.as_ref() }.take(self.entry, || (self.placed)(seat)) {
            Take::Taken => {
                if index >= used.get() {
                    used.put(index + 1);
                }
                return Some(seat);
            }
            Take::Busy(false) => {}
            Take::Busy(true) => self.crowd = Crowd::Collided,
        }
        None
    }
}

impl Shard {
    pub(super) fn new() -> Shard {
        let null = || AtomicPtr::new(ptr::null_mut());
        Shard { head: null(), hint: null(), rover: null() }
    }

    /// Takes a slot in the chain, or makes one. Says how crowded it was.
    pub(super) fn take(&self, entry: Entry, placed: &mut impl FnMut(Seat)) -> (Seat, Crowd) {
        let mut search = Search { entry, placed, crowd: Crowd::Nobody };
        let guard = reclaim::pin();
        // ORDERING: hint (reader).
        let hint = self.hint.load(Ordering::Acquire);
        if let Some(left) = Seat::of_word(hint) {
            let (block, index) = left.place().expect("whoever leaves the chain sat in a block");
            // SAFETY: pinned, and the hint is cleared before its block is retired.
            if let Some(seat) = unsafe { search.look_first(block, index) } {
                return (seat, search.crowd);
            }
            // ORDERING: Relaxed. If somebody stored another hint meanwhile, that one stays.
            let _ = self.hint.compare_exchange(hint, ptr::null_mut(), Ordering::Relaxed, Ordering::Relaxed);
        }
        // ORDERING: chain (reader).
        let head = self.head.load(Ordering::Acquire);
        if let Some(block) = NonNull::new(head.cast::<Block>()) {
            // Its slots are taken in their order.
            // SAFETY: pinned, and linked a moment ago.
            let fresh = unsafe { block.as_ref() }.used.get();
            // SAFETY: as above.
            if let Some(seat) = unsafe { search.look_first(block, fresh) } {
                return (seat, search.crowd);
            }
            if let Some(seat) = self.rove(&guard, Some(&mut search)) {
                return (seat, search.crowd);
            }
        }
        (self.push(head, &mut search), Crowd::Grown)
    }

    /// Makes a block with the entry in it: the push is the registration.
    fn push(&self, mut head: *mut (), search: &mut Search<'_, impl FnMut(Seat)>) -> Seat {
        let size = if head.is_null() { Size::Small } else { Size::Large };
        let block = Block::make(size, NonNull::from(self));
        // SAFETY: nobody else knows the block yet.
        let slot = unsafe { Block::slot(block, 0) };
        let seat = Seat::chained(slot, size);
        (search.placed)(seat);
        // SAFETY: as above.
        unsafe { slot.as_ref() }.preset(search.entry);
        // SAFETY: as above.
        unsafe { block.as_ref() }.used.put(1);
        loop {
            // SAFETY: as above.
            // ORDERING: Relaxed: published by the push.
            unsafe { block.as_ref() }.next.store(head, Ordering::Relaxed);
            let pushed = block.as_ptr().cast::<()>();
            // ORDERING: chain (writer), and seat (writer) of the entry inside; chain (reader) on failure.
            match self.head.compare_exchange_weak(head, pushed, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return seat,
                Err(now) => head = now,
            }
        }
    }

    /// Remembers that this seat is about to be free. Called by whoever sits there, before leaving (invariant 2).
    fn remember(&self, seat: Seat) {
        // ORDERING: hint (writer). The next registrant finds the block's contents through it.
        self.hint.store(seat.0.as_ptr().cast(), Ordering::Release);
    }

    /// Gives empty blocks back, a few at a time. The caller occupies a seat of this shard.
    #[cold]
    #[inline(never)]
    fn tidy(&self) {
        let _ = self.rove(&reclaim::pin(), None::<&mut Search<'_, fn(Seat)>>);
    }

    /// Walks on round the chain: past [`ROVE`] blocks that are in use, where it looks for a slot, and unlinks the empty
    /// ones in between.
    fn rove(&self, guard: &Guard, mut search: Option<&mut Search<'_, impl FnMut(Seat)>>) -> Option<Seat> {
        // ORDERING: Relaxed. A guess for the compare-and-swap.
        let seen = self.rover.load(Ordering::Relaxed);
        let roving = seen.map_addr(|a| a | ROVING);
        // ORDERING: rover (reader): the last walker's unlinks come before ours.
        if addr_bits(seen, ROVING) != 0
            || self.rover.compare_exchange(seen, roving, Ordering::Acquire, Ordering::Relaxed).is_err()
        {
            return None;
        }
        let mut tried = None;
        let mut before: Option<NonNull<Block>> = None;
        let mut at = NonNull::new(seen.cast::<Block>());
        let (mut passed, mut unlinked) = (0, 0);
        while passed < ROVE && unlinked < UNLINKED {
            if at.is_none() {
                // Once more from the beginning.
                before = None;
                at = self.first();
            }
            let Some(block) = at else { break };
            // SAFETY: the rover stands on a linked block: only its holder unlinks. Pinned besides.
            at = unsafe { Block::next(block) };
            // SAFETY: `block` is linked right behind `before`, and we hold the rover.
            if before.is_some_and(|before| unsafe { self.unlink(guard, before, block) }) {
                unlinked += 1;
                continue;
            }
            if let Some(search) = &mut search {
                // SAFETY: as for `next`.
                tried = unsafe { search.look(block) };
                if tried.is_some() {
                    at = Some(block);
                    break;
                }
            }
            before = Some(block);
            passed += 1;
        }
        let stand = at.map_or(ptr::null_mut(), |block| block.as_ptr().cast());
        // ORDERING: rover (writer).
        self.rover.store(stand, Ordering::Release);
        tried
    }

    /// Takes an empty block out of the chain and retires it.
    ///
    /// # Safety
    ///
    /// The caller holds the rover and a pin; `block` is linked right behind `before`.
    unsafe fn unlink(&self, guard: &Guard, before: NonNull<Block>, block: NonNull<Block>) -> bool {
        // SAFETY: forwarded.
        let slots = unsafe { Block::slots(block) };
        if slots.iter().any(Slot::is_occupied) {
            return false;
        }
        if let Some(taken) = slots.iter().position(|slot| !slot.seal()) {
            slots[..taken].iter().for_each(Slot::unseal);
            return false;
        }
        // SAFETY: forwarded.
        // ORDERING: chain (reader).
        let next = unsafe { (*block.as_ptr()).next.load(Ordering::Acquire) };
        // SAFETY: forwarded: we are the only writer of `next` behind the head.
        // ORDERING: chain (writer): whoever skips the block sees the rest.
        unsafe { (*before.as_ptr()).next.store(next, Ordering::Release) };
        // ORDERING: Relaxed. Sealing acquired every hint to this block; none can follow.
        let hint = self.hint.load(Ordering::Relaxed);
        if Seat::of_word(hint).and_then(Seat::block) == Some(block) {
            let _ = self.hint.compare_exchange(hint, ptr::null_mut(), Ordering::Relaxed, Ordering::Relaxed);
        }
        // SAFETY: unlinked, no hint, and the rover moves past it before it is let go.
        unsafe { guard.retire(block.as_ptr().cast(), Block::free) };
        true
    }

    /// Where the chain begins.
    pub(super) fn first(&self) -> Option<NonNull<Block>> {
        // ORDERING: chain (reader).
        NonNull::new(self.head.load(Ordering::Acquire).cast())
    }

    /// Gives the chain back with its owner.
    ///
    /// # Safety
    ///
    /// Nobody sits in it and nobody looks at it any more.
    pub(super) unsafe fn free(&self) {
        let mut at = self.first();
        while let Some(block) = at {
            // SAFETY: forwarded.
            at = unsafe { Block::next(block) };
            // SAFETY: forwarded.
            unsafe { Block::free(block.as_ptr().cast()) };
        }
    }
}
