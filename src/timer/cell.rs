//! One armed deadline: who may touch it, and the lists it travels in.
//!
//! A cell is 24 bytes of pooled memory. It holds the key it is queued under and the claim on its target; the
//! deadline that counts lives in the target, so pushing a deadline back does not come here.
//!
//! # States of `when`
//!
//! | value      | meaning                                                                          |
//! |------------|----------------------------------------------------------------------------------|
//! | `<= NEVER` | armed under this key; both sides hold the cell                                   |
//! | `FIRED`    | both sides hold it, and the queue side is looking at the target                  |
//! | `DONE`     | the queue side has let go: the owner side recycles it                            |
//! | `FREE`     | the owner side has let go: the queue side recycles it when it comes across it    |
//!
//! # Invariants
//!
//! 1. A queued cell is in exactly one place: an inbox, a list or the heap of a shard's queue, or a pass's hands.
//!    `next` belongs to whoever holds that place.
//! 2. `target` is written by [`Entry::dress`] only, before the cell is shared, and read only by the winner of
//!    [`Entry::claim`].
//! 3. Each side lets go once. Whoever lets go second recycles; until then the memory stays.

use crate::clock::{NEVER, Tick};
use crate::sync::{AtomicPtr, AtomicU64, Ordering, UnsafeCell};
use std::ptr::{self, NonNull};

/// The owner side has let go.
const FREE: u64 = NEVER + 1;
/// The queue side is looking at the target.
const FIRED: u64 = NEVER + 2;
/// The queue side has let go.
const DONE: u64 = NEVER + 3;

/// A cell without its target's type: pools and queues need not know it.
#[repr(C, align(8))]
pub(super) struct Entry {
    when: AtomicU64,
    next: UnsafeCell<*mut Entry>,
    target: UnsafeCell<*mut ()>,
}

/// What the owner side found when it let go.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Release {
    /// Armed: the queue side will not touch the target, and recycles the cell.
    Queued,
    /// The queue side is looking at the target, and recycles the cell.
    Surfacing,
    /// The queue side had let go: the caller recycles the cell.
    LetGo,
}

impl Entry {
    /// A new cell, free for [`dress`](Self::dress).
    pub(super) fn free() -> Entry {
        Entry {
            when: AtomicU64::new(FREE),
            next: UnsafeCell::new(ptr::null_mut()),
            target: UnsafeCell::new(ptr::null_mut()),
        }
    }

    /// Sees all that was done with a free cell: its memory is about to go.
    pub(super) fn see_last_touch(&self) {
        // ORDERING: timer-free (reader). The owner that let go last touched the word; it was found free without an order.
        self.when.load(Ordering::Acquire);
    }

    /// Makes an exclusively held cell armed for `target`.
    #[inline]
    pub(super) fn dress(&self, when: Tick, target: *mut ()) {
        debug_assert!(when <= NEVER);
        // SAFETY: invariant 2, nobody else knows the cell yet.
        self.target.with_mut(|slot| unsafe { *slot = target });
        // ORDERING: none here. The push into an inbox and the owner's own pointer publish it.
        self.when.store(when, Ordering::Relaxed);
    }

    /// The owner side lets go.
    ///
    /// | before     | after  | result      | who recycles |
    /// |------------|--------|-------------|--------------|
    /// | armed      | `FREE` | `Queued`    | queue side   |
    /// | `FIRED`    | `FREE` | `Surfacing` | queue side   |
    /// | `DONE`     | `FREE` | `LetGo`     | the caller   |
    ///
    /// # Safety
    ///
    /// The caller holds the owner's side, and with this call gives it up.
    #[inline]
    pub(super) unsafe fn release(this: NonNull<Entry>) -> Release {
        // SAFETY: invariant 3, the memory stays until this side lets go.
        let when = unsafe { &(*this.as_ptr()).when };
        // ORDERING: timer-claim (reader: a claim seen here was pinned before, so what is retired now outlives the pin),
        // timer-let-go (reader: the queue side has finished with a cell we are about to recycle), timer-requeue (reader: it
        // has finished with a target we are about to free) and timer-free (writer: this is our last touch of the cell).
        match when.swap(FREE, Ordering::AcqRel) {
            FIRED => Release::Surfacing,
            DONE => Release::LetGo,
            seen => {
                debug_assert!(seen <= NEVER, "the owner let go twice");
                Release::Queued
            }
        }
    }

    /// The key it is armed under; `None` once the owner side has let go. For the queue side, which meets only those two.
    #[inline]
    pub(super) fn armed(&self) -> Option<Tick> {
        // ORDERING: none. What was written to the cell came with the place it is in.
        let seen = self.when.load(Ordering::Relaxed);
        (seen <= NEVER).then_some(seen)
    }

    /// The queue side claims a look at the target: armed under `key` -> `FIRED`. False: `FREE`, recycle.
    ///
    /// The caller is pinned, and stays so until it calls [`let_go`](Self::let_go) or [`requeue`](Self::requeue).
    #[must_use]
    #[inline]
    pub(super) fn claim(&self, key: Tick) -> bool {
        // ORDERING: timer-claim (writer): the pin comes before the claim, so who sees the claim retires after the pin.
        self.when.compare_exchange(key, FIRED, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// What a won [`claim`](Self::claim) is about.
    #[inline]
    pub(super) fn target(&self) -> *mut () {
        // SAFETY: invariant 2: written before the cell was shared, not again before both sides have let go.
        self.target.with(|slot| unsafe { *slot })
    }

    /// The queue side lets go: `FIRED` -> `DONE`. False: `FREE`, recycle.
    #[must_use]
    #[inline]
    pub(super) fn let_go(&self) -> bool {
        // ORDERING: timer-let-go (writer): our looks at the cell come before the owner recycles it.
        self.when.compare_exchange(FIRED, DONE, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// The deadline was pushed back: `FIRED` -> armed under `key`. False: `FREE`, recycle.
    #[must_use]
    #[inline]
    pub(super) fn requeue(&self, key: Tick) -> bool {
        debug_assert!(key <= NEVER);
        // ORDERING: timer-requeue (writer): our look at the target comes before the owner, who sees an armed cell,
        // frees the target at once.
        self.when.compare_exchange(FIRED, key, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// # Safety
    ///
    /// The caller holds the place of the cell (invariant 1).
    #[inline]
    unsafe fn next(this: NonNull<Entry>) -> *mut Entry {
        // SAFETY: forwarded.
        let next = unsafe { &(*this.as_ptr()).next };
        // SAFETY: forwarded.
        next.with(|next| unsafe { *next })
    }

    /// # Safety
    ///
    /// The caller holds the place of the cell (invariant 1).
    #[inline]
    unsafe fn set_next(this: NonNull<Entry>, to: *mut Entry) {
        // SAFETY: forwarded.
        let next = unsafe { &(*this.as_ptr()).next };
        // SAFETY: forwarded.
        next.with_mut(|next| unsafe { *next = to });
    }
}

/// A stack of cells that one thread holds. Forgetting it forgets the cells.
pub(super) struct Chain {
    head: *mut Entry,
    /// The cell pushed first; stale when the chain is empty or was [`adopted`](Self::adopt).
    tail: *mut Entry,
    /// Cells pushed here less cells popped; those of an adopted chain are not counted.
    len: usize,
}

impl Chain {
    pub(super) const fn new() -> Self {
        Chain { head: ptr::null_mut(), tail: ptr::null_mut(), len: 0 }
    }

    /// A chain of unknown length, as [`Shelf::take`] returns it.
    pub(super) const fn adopt(head: *mut Entry) -> Self {
        Chain { head, tail: ptr::null_mut(), len: 0 }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.head.is_null()
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// # Safety
    ///
    /// The caller holds the place of the cell, and gives it to this chain.
    #[inline]
    pub(super) unsafe fn push(&mut self, entry: NonNull<Entry>) {
        // SAFETY: forwarded.
        unsafe { Entry::set_next(entry, self.head) };
        if self.head.is_null() {
            self.tail = entry.as_ptr();
        }
        self.head = entry.as_ptr();
        self.len += 1;
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<NonNull<Entry>> {
        let entry = NonNull::new(self.head)?;
        // SAFETY: this chain holds the places of its cells.
        self.head = unsafe { Entry::next(entry) };
        self.len = self.len.saturating_sub(1);
        Some(entry)
    }

    #[cfg(not(feature = "loom"))]
    pub(super) fn into_head(self) -> *mut Entry {
        self.head
    }

    pub(super) fn take(&mut self) -> Chain {
        std::mem::replace(self, Chain::new())
    }

    /// So many of these cells, or all of them. For a chain that counts.
    pub(super) fn split(&mut self, most: usize) -> Chain {
        if self.len <= most {
            return self.take();
        }
        let mut part = Chain::new();
        while part.len < most {
            let Some(entry) = self.pop() else { break };
            // SAFETY: out of this chain.
            unsafe { part.push(entry) };
        }
        part
    }

    /// The head of this chain, which [knows its tail](Self::push), on top of another one.
    #[cfg(not(feature = "loom"))]
    pub(super) fn onto(self, below: *mut Entry) -> *mut Entry {
        let Some(tail) = NonNull::new(self.tail).filter(|_| !self.is_empty()) else { return below };
        // SAFETY: this chain holds the places of its cells.
        unsafe { Entry::set_next(tail, below) };
        self.head
    }

    /// Looks at every cell, first to last.
    #[cfg(any(test, feature = "loom", feature = "fuzz"))]
    pub(super) fn each(&self, mut look: impl FnMut(&Entry)) {
        let mut at = self.head;
        while let Some(entry) = NonNull::new(at) {
            // SAFETY: a cell in a list is not recycled but by the holder of the list.
            look(unsafe { entry.as_ref() });
            // SAFETY: this chain holds the places of its cells.
            at = unsafe { Entry::next(entry) };
        }
    }
}

/// A stack that many threads push on and one takes whole: so a cell that comes back at once confuses nobody.
pub(super) struct Shelf(AtomicPtr<Entry>);

impl Shelf {
    pub(super) fn new() -> Self {
        Shelf(AtomicPtr::new(ptr::null_mut()))
    }

    /// # Safety
    ///
    /// The caller holds the place of the cell, and gives it to whoever takes this shelf.
    #[inline]
    pub(super) unsafe fn push(&self, entry: NonNull<Entry>) {
        // SAFETY: forwarded; a chain of one.
        unsafe { self.push_run(entry, entry) };
    }

    /// Pushes a whole chain that was built by [`Chain::push`].
    pub(super) fn push_chain(&self, chain: Chain) {
        debug_assert_eq!(chain.head.is_null(), chain.len == 0, "not an adopted chain: it does not know its tail");
        if let (Some(head), Some(tail)) = (NonNull::new(chain.head), NonNull::new(chain.tail)) {
            // SAFETY: the chain held its cells.
            unsafe { self.push_run(head, tail) };
        }
    }

    #[inline]
    unsafe fn push_run(&self, head: NonNull<Entry>, tail: NonNull<Entry>) {
        // ORDERING: none. Only a guess for the CAS.
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            // SAFETY: forwarded; ours until the CAS succeeds.
            unsafe { Entry::set_next(tail, seen) };
            // ORDERING: timer-shelf (writer): the cell's fields and `next` come before the taker reads them. And
            // timer-low (reader): a push that comes after a take sees what the taker did before it.
            match self.0.compare_exchange_weak(seen, head.as_ptr(), Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// Everything on the shelf, last pushed first.
    #[inline]
    pub(super) fn take(&self) -> Chain {
        // ORDERING: timer-shelf (reader), timer-low (writer). A swap even of nothing: both edges hang on who comes
        // first on this word.
        Chain::adopt(self.0.swap(ptr::null_mut(), Ordering::AcqRel))
    }

    pub(super) fn is_empty(&self) -> bool {
        // ORDERING: none. Advice only.
        self.0.load(Ordering::Relaxed).is_null()
    }

    /// Looks at every cell on the shelf without taking it.
    ///
    /// # Safety
    ///
    /// Nobody takes the shelf meanwhile.
    #[cfg(any(test, feature = "loom", feature = "fuzz"))]
    pub(super) unsafe fn each(&self, look: impl FnMut(&Entry)) {
        // ORDERING: timer-shelf (reader).
        Chain::adopt(self.0.load(Ordering::Acquire)).each(look);
    }
}
