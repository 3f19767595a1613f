//! The done signal: one waiting task or thread, allocated when it first waits.
//!
//! A signal sits in a slot of its context, so a context that nobody waits for carries nothing.
//!
//! # Another waker
//!
//! The waker is written before the signal is published, and fixed until it leaves its slot. When another waker comes, the
//! signal leaves, takes it, and sits down again: so there is nothing that owner and canceler touch at once.
//!
//! # Lost wake-ups
//!
//! Who has taken a slot looks at the context's state. It is live: then every canceler finds the signal, and its waker. It has
//! ended: then the signal leaves the slot again, unless a canceler has found it, which will tell it. A later poll with the
//! same waker has nothing to do.

use crate::refs::RefCount;
use crate::slots::Seat;
use crate::sync::{Canary, UnsafeCell, reclaim, stock};
use std::ptr::{self, NonNull};
use std::task::{RawWakerVTable, Waker};

#[repr(align(16))]
pub(crate) struct Signal {
    /// The teller's when there is one, the owner's when it sits in no slot. What it knows of a waker (see [`Likeness`])
    /// holds while the waker is in here.
    waker: UnsafeCell<Option<Waker>>,
    /// The owner, and who tells it.
    parties: RefCount,
    /// The owner's: where it sits.
    seat: UnsafeCell<Option<Seat>>,
    /// The teller's queue.
    next: UnsafeCell<*mut Signal>,
    canary: Canary,
}

/// Which waker it is, by what [`Waker::will_wake`] compares. Of a waker that somebody keeps: what another one had that is
/// gone may come again and wake another task.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Likeness {
    data: *const (),
    vtable: *const RawWakerVTable,
}

impl Likeness {
    #[inline]
    pub(crate) fn of(waker: &Waker) -> Likeness {
        Likeness { data: waker.data(), vtable: waker.vtable() }
    }
}

impl Signal {
    pub(crate) fn new(waker: Waker) -> NonNull<Signal> {
        let signal = Signal {
            // ORDERING: waker (writer). Before the signal is published.
            waker: UnsafeCell::new(Some(waker)),
            parties: RefCount::new(2),
            seat: UnsafeCell::new(None),
            next: UnsafeCell::new(ptr::null_mut()),
            canary: Canary::new(),
        };
        stock::make(signal)
    }

    /// Says where it sits, before each try to publish it.
    ///
    /// # Safety
    ///
    /// The caller is the owner.
    #[inline]
    pub(crate) unsafe fn place(&self, seat: Seat) {
        self.seat.with_mut(|own| {
            // SAFETY: forwarded.
            unsafe { *own = Some(seat) };
        });
    }

    /// # Safety
    ///
    /// The caller is the owner.
    #[inline]
    pub(crate) unsafe fn seat(&self) -> Option<Seat> {
        self.seat.with(|seat| {
            // SAFETY: forwarded.
            unsafe { *seat }
        })
    }

    /// Puts a waker in place of the one that is there, or none.
    ///
    /// # Safety
    ///
    /// See the field.
    pub(crate) unsafe fn replace(&self, by: Option<Waker>) -> Option<Waker> {
        self.canary.touch();
        self.waker.with_mut(|waker| {
            // SAFETY: forwarded.
            std::mem::replace(unsafe { &mut *waker }, by)
        })
    }

    /// A canceler found it.
    #[inline]
    pub(crate) fn met(&self) {
        self.canary.touch();
    }

    /// Wakes whoever waits: user code, which may panic.
    ///
    /// # Safety
    ///
    /// The caller is the teller.
    pub(crate) unsafe fn wake(this: NonNull<Signal>) {
        // SAFETY: it stays until it has been told.
        let signal = unsafe { this.as_ref() };
        // ORDERING: waker (reader). It came with the slot.
        // SAFETY: the teller's.
        if let Some(waker) = unsafe { signal.replace(None) } {
            waker.wake();
        }
    }

    /// After waking: gives the memory back if the owner has left.
    ///
    /// # Safety
    ///
    /// The caller is the teller, and does not touch it again.
    pub(crate) unsafe fn told(this: NonNull<Signal>) {
        // SAFETY: the second of two to be through with it gives it back.
        if unsafe { this.as_ref() }.parties.release() {
            // SAFETY: the owner is gone, its slot is vacated, and helpers may still be looking.
            unsafe { Signal::retire(this) };
        }
    }

    /// The owner leaves a slot that a canceler has seen.
    ///
    /// # Safety
    ///
    /// The caller is the owner, has vacated the slot, and does not touch the signal again.
    pub(crate) unsafe fn leave(this: NonNull<Signal>) {
        // SAFETY: ours until we say that we left.
        if unsafe { this.as_ref() }.parties.release() {
            // SAFETY: it has been told; helpers may still be looking.
            unsafe { Signal::retire(this) };
        }
    }

    /// The owner leaves, and no canceler ever saw the signal.
    ///
    /// # Safety
    ///
    /// As it says.
    pub(crate) unsafe fn free(this: NonNull<Signal>) {
        // SAFETY: forwarded.
        let signal = unsafe { this.as_ref() };
        // SAFETY: forwarded.
        let unused = unsafe { signal.replace(None) };
        // SAFETY: forwarded.
        unsafe { Signal::bury(this.as_ptr().cast()) };
        // Last: its drop is user code, and may panic.
        drop(unused);
    }

    unsafe fn retire(this: NonNull<Signal>) {
        // A waker that was not taken: its drop is user code, has no place in the epoch, and may panic.
        // SAFETY: ours to give back.
        let signal = unsafe { this.as_ref() };
        // SAFETY: nobody is telling, or will.
        let unused = unsafe { signal.replace(None) };
        // SAFETY: unreachable from any slot, and given back once, by the last of two.
        unsafe { reclaim::pin().retire(this.as_ptr().cast(), Signal::bury) };
        drop(unused);
    }

    unsafe fn bury(this: *mut ()) {
        let this = this.cast::<Signal>();
        // SAFETY: the caller is the last to know it.
        unsafe { &*this }.canary.kill();
        // SAFETY: made by `new`.
        unsafe { stock::bury(this) };
    }
}

impl crate::queue::Linked for Signal {
    fn link(&self) -> &UnsafeCell<*mut Self> {
        &self.next
    }
}
