//! One slot: a word in which somebody waits to hear of the end.
//!
//! # States
//!
//! ```text
//! 0                   never used, nor anything behind it
//! VACATED             used before, or spent; free now
//! SEALED              its block is being given back: not for taking
//! entry               occupied
//! entry | CLOSED      a canceler has found it here, and may still be looking when it has left
//! entry | ORPHAN      the owner has no handle left: whoever leaves counts it down
//! ```
//!
//! # Orderings
//!
//! *seat*: taking a slot releases the entry's contents, closing it acquires them. *vacate*: leaving releases what the entry
//! did, whoever frees the owner acquires. *closed*: a canceler pins, then tags; who leaves with the tag retires behind both.
//! *orphan*: tagging releases the owner's count, leaving acquires it.

use crate::sync::{AtomicPtr, Ordering, addr_bits, prefetch, strip};
use std::ptr::{self, NonNull};

const CLOSED: usize = 0b0001;
const ORPHAN: usize = 0b0010;
const KIND: usize = 0b1100;
const TAGS: usize = CLOSED | ORPHAN;
const VACATED: usize = 0b0100;
const SEALED: usize = 0b1000;
const BITS: usize = TAGS | KIND;

/// What sits in a slot.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A context derived from the owner.
    Child = 0b0000,
    /// A context that merged the owner in: its second parent.
    Link = 0b0100,
    /// A waiting task or thread.
    Signal = 0b1000,
    /// A function to call.
    Hook = 0b1100,
}

/// A pointer to whoever sits in a slot, with its kind in the spare bits: the pointee is aligned to 16.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry(NonNull<()>);

impl Entry {
    pub(crate) fn new<T>(kind: Kind, of: NonNull<T>) -> Entry {
        debug_assert!(align_of::<T>() >= 16);
        Entry(of.cast().map_addr(|a| a | kind as usize))
    }

    pub(crate) fn kind(self) -> Kind {
        match self.0.addr().get() & KIND {
            0b0000 => Kind::Child,
            0b0100 => Kind::Link,
            0b1000 => Kind::Signal,
            _ => Kind::Hook,
        }
    }

    pub(crate) fn pointer<T>(self) -> NonNull<T> {
        let pointer = strip(self.0.as_ptr(), BITS);
        // SAFETY: an entry was made of a non-null, aligned pointer.
        unsafe { NonNull::new_unchecked(pointer) }.cast()
    }

    /// The entry in a word, if it is occupied.
    fn of(word: *mut ()) -> Option<Entry> {
        if strip(word, BITS).is_null() { None } else { NonNull::new(strip(word, TAGS)).map(Entry) }
    }
}

/// What [`Slot::take`] came to.
#[must_use]
pub(crate) enum Take {
    Taken,
    /// Occupied, or being given back; true if somebody got in between.
    Busy(bool),
}

/// What [`Slot::leave`] found.
#[must_use]
#[derive(Copy, Clone, Debug)]
pub(crate) struct Left {
    /// A canceler may be looking: free through the epoch.
    pub(crate) closed: bool,
    /// The owner has no handle: count it down.
    pub(crate) orphan: bool,
}

/// Whom [`Slot::close`] found.
#[must_use]
#[derive(Copy, Clone, Debug)]
pub(crate) struct Met {
    pub(crate) entry: Entry,
    /// No walk had been here before: of all that meet this entry, one.
    pub(crate) first: bool,
}

#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Slot(AtomicPtr<()>);

/// 0, or VACATED.
fn free(word: *mut ()) -> bool {
    strip(word, VACATED).is_null()
}

impl Slot {
    pub(crate) fn new() -> Slot {
        Slot(AtomicPtr::new(ptr::null_mut()))
    }

    /// A slot that is occupied from the start, in a block that is not published yet.
    pub(crate) fn preset(&self, entry: Entry) {
        // ORDERING: Relaxed. The block is published by a releasing push.
        self.0.store(entry.0.as_ptr(), Ordering::Relaxed);
    }

    /// Takes the slot for `entry`. This one compare-and-swap is the registration: the linearization point, and the
    /// entry's reference on the owner. `placed` runs before each try, so that the entry knows its seat beforehand.
    ///
    /// | before            | after | answer |
    /// |-------------------|-------|--------|
    /// | 0, VACATED        | entry | Taken  |
    /// | occupied, SEALED  | same  | Busy   |
    #[inline]
    pub(crate) fn take(&self, entry: Entry, placed: impl FnOnce()) -> Take {
        // ORDERING: meet: an inline slot that we pass by is seen used by whoever meets us behind it.
        let seen = self.0.load(Ordering::Acquire);
        if !free(seen) {
            return Take::Busy(false);
        }
        placed();
        // ORDERING: seat (writer), and vacate (reader) of who sat here before; on failure as for the first look.
        match self.0.compare_exchange(seen, entry.0.as_ptr(), Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Take::Taken,
            Err(_) => Take::Busy(true),
        }
    }

    /// Gives the slot back. If it bore no tag, the owner may be gone afterwards: it is not touched again.
    ///
    /// | before         | after   | who frees the entry     |
    /// |----------------|---------|-------------------------|
    /// | entry          | VACATED | the caller, now         |
    /// | entry ORPHAN   | VACATED | the caller; count down  |
    /// | entry CLOSED   | VACATED | the epoch               |
    #[inline]
    pub(crate) fn leave(&self, entry: Entry) -> Left {
        // ORDERING: vacate (writer), orphan (reader), closed (reader).
        let seen = self.0.swap(ptr::without_provenance_mut(VACATED), Ordering::AcqRel);
        debug_assert_eq!(strip(seen, TAGS), entry.0.as_ptr(), "left a seat that was not its own");
        Left { closed: addr_bits(seen, CLOSED) != 0, orphan: addr_bits(seen, ORPHAN) != 0 }
    }

    /// The first row of [`Slot::leave`]; false for the others, and nothing has happened.
    #[inline]
    pub(crate) fn leave_untagged(&self, entry: Entry) -> bool {
        let vacated = ptr::without_provenance_mut(VACATED);
        // ORDERING: vacate (writer).
        self.0.compare_exchange(entry.0.as_ptr(), vacated, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// The last row of [`Slot::leave`], but for those that bear both tags; false for the others, and nothing has happened.
    #[inline]
    pub(crate) fn leave_closed(&self, entry: Entry) -> bool {
        let closed = entry.0.as_ptr().map_addr(|a| a | CLOSED);
        let vacated = ptr::without_provenance_mut(VACATED);
        // ORDERING: vacate (writer), closed (reader).
        self.0.compare_exchange(closed, vacated, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Leaves a slot that bears both tags; false for the others, and nothing has happened. It takes no read-modify-write: with both
    /// tags a word changes only by who sits here.
    #[inline]
    pub(crate) fn leave_last(&self, entry: Entry) -> bool {
        // ORDERING: orphan (reader), closed (reader).
        let last = self.0.load(Ordering::Acquire) == entry.0.as_ptr().map_addr(|a| a | TAGS);
        if last {
            // ORDERING: vacate (writer).
            self.0.store(ptr::without_provenance_mut(VACATED), Ordering::Release);
        }
        last
    }

    /// Tags the slot CLOSED, if somebody sits here, and says who: that one leaves through the epoch.
    #[inline]
    pub(crate) fn close(&self) -> Option<Met> {
        // ORDERING: seat (reader), where it is tagged already.
        let mut seen = self.0.load(Ordering::Acquire);
        loop {
            let entry = Entry::of(seen)?;
            if addr_bits(seen, CLOSED) != 0 {
                return Some(Met { entry, first: false });
            }
            let closed = seen.map_addr(|a| a | CLOSED);
            // ORDERING: closed (writer): our pin comes before the tag, so who leaves with the tag retires after the pin. And
            // seat (reader), on failure too.
            match self.0.compare_exchange_weak(seen, closed, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(Met { entry, first: true }),
                Err(now) => seen = now,
            }
        }
    }

    /// Whether nobody ever sat here.
    #[inline]
    pub(crate) fn is_virgin(&self) -> bool {
        // ORDERING: Relaxed. Whoever asks has learnt of every registration: with the last handle, or by the fence behind
        // the end (meet).
        self.0.load(Ordering::Relaxed).is_null()
    }

    /// From now on it looks used.
    pub(crate) fn spend(&self) {
        // ORDERING: Relaxed. Whoever relies on it sits behind the next edge (table), and meets by a fence of its own.
        let _ = self.0.compare_exchange(
            ptr::null_mut(),
            ptr::without_provenance_mut(VACATED),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    }

    /// Tags an occupied slot ORPHAN; false if nobody sits here. Nobody can enter: the owner has no handle left.
    pub(crate) fn orphan(&self) -> bool {
        // ORDERING: vacate (reader): the owner may be freed on the strength of an empty slot.
        let mut seen = self.0.load(Ordering::Acquire);
        while Entry::of(seen).is_some() {
            // ORDERING: orphan (writer). The entry that finds the tag counts down what the owner set up before.
            match self.0.compare_exchange_weak(seen, seen.map_addr(|a| a | ORPHAN), Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// Asks the processor for whoever sits here.
    #[inline]
    pub(crate) fn expect(&self) {
        // ORDERING: Relaxed. Nothing is looked at.
        prefetch(strip(self.0.load(Ordering::Relaxed), BITS));
    }

    /// Whether there is room; the answer may be old.
    #[inline]
    pub(crate) fn is_free(&self) -> bool {
        // ORDERING: Relaxed: a hint, confirmed by `take`.
        free(self.0.load(Ordering::Relaxed))
    }

    /// Whether somebody sits here; the answer may be old.
    pub(crate) fn is_occupied(&self) -> bool {
        // ORDERING: Relaxed: a hint, confirmed by `seal`.
        Entry::of(self.0.load(Ordering::Relaxed)).is_some()
    }

    /// Closes a free slot to registrants because its block is being given back.
    ///
    /// | before      | after  | answer |
    /// |-------------|--------|--------|
    /// | 0, VACATED  | SEALED | true   |
    /// | occupied    | same   | false  |
    pub(crate) fn seal(&self) -> bool {
        // ORDERING: Relaxed. A guess for the compare-and-swap.
        let seen = self.0.load(Ordering::Relaxed);
        let sealed = ptr::without_provenance_mut(SEALED);
        // ORDERING: vacate (reader). Who sat here stored its hint before it left: the block's hints are seen.
        free(seen) && self.0.compare_exchange(seen, sealed, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Takes a seal back. By a read-modify-write: so who left here before is seen through it. Only who sits in a slot may store
    /// to it, for that one has seen him.
    pub(crate) fn unseal(&self) {
        // ORDERING: Relaxed. As said; nothing of our own is published.
        self.0.swap(ptr::without_provenance_mut(VACATED), Ordering::Relaxed);
    }
}
