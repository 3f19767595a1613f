//! The done signal: one waiting task or thread, allocated when it first waits.
//!
//! A signal sits in a slot of its context, so a context that nobody waits for carries nothing.
//!
//! # Whose the waker is
//!
//! The waker is written before the signal is published, and fixed until it leaves its slot. Who first tags the slot takes it out:
//! by copying it, for its owner, who finds the tag when it leaves, knows that it is gone. So a canceler writes nothing in a signal,
//! and is through with it when its walk is. When another waker comes, the signal leaves, takes it, and sits down again: so there is
//! nothing that owner and canceler touch at once.
//!
//! # Lost wake-ups
//!
//! Who has taken a slot looks at the context's state. It is live: then every canceler finds the signal, and its waker. It has
//! ended: then the signal leaves the slot again, unless a canceler has found it, which will tell it. A later poll with the
//! same waker has nothing to do.

use crate::slots::Seat;
use crate::sync::{Canary, UnsafeCell, reclaim, stock};
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::task::{RawWakerVTable, Waker};

#[repr(align(16))]
pub(crate) struct Signal {
    /// Whoever takes it out drops it. What the owner knows of it (see [`Likeness`]) holds while it is in here.
    waker: UnsafeCell<ManuallyDrop<Waker>>,
    /// The owner's: where it sits.
    seat: UnsafeCell<Option<Seat>>,
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
            waker: UnsafeCell::new(ManuallyDrop::new(waker)),
            seat: UnsafeCell::new(None),
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

    /// Takes the waker out.
    ///
    /// # Safety
    ///
    /// The caller is pinned and has tagged the signal's slot first of all, or is the owner, and no slot holds it. Called once for
    /// each waker that was put in.
    #[inline]
    pub(crate) unsafe fn take(&self) -> Waker {
        self.canary.touch();
        // ORDERING: waker (reader). It came with the slot.
        self.waker.with(|waker| {
            // SAFETY: nobody writes it while it sits in a slot, and it is forgotten here.
            ManuallyDrop::into_inner(unsafe { ptr::read(waker) })
        })
    }

    /// Puts another waker in.
    ///
    /// # Safety
    ///
    /// The caller is the owner, has taken the last one out, and no slot holds the signal.
    pub(crate) unsafe fn put(&self, waker: Waker) {
        self.canary.touch();
        self.waker.with_mut(|own| {
            // SAFETY: forwarded.
            unsafe { *own = ManuallyDrop::new(waker) };
        });
    }

    /// A canceler found it.
    #[inline]
    pub(crate) fn met(&self) {
        self.canary.touch();
    }

    /// The owner has left a slot that a canceler had tagged, who has the waker, and may be looking still.
    ///
    /// # Safety
    ///
    /// As it says; the owner does not touch the signal again.
    pub(crate) unsafe fn retire(this: NonNull<Signal>) {
        // SAFETY: unreachable from any slot, and given back once.
        unsafe { reclaim::pin().retire(this.as_ptr().cast(), Signal::bury) };
    }

    /// The owner leaves, and no canceler ever saw the signal.
    ///
    /// # Safety
    ///
    /// As it says.
    pub(crate) unsafe fn free(this: NonNull<Signal>) {
        // SAFETY: forwarded.
        let signal = unsafe { this.as_ref() };
        // SAFETY: forwarded: nobody took it.
        let unused = unsafe { signal.take() };
        // SAFETY: forwarded.
        unsafe { Signal::bury(this.as_ptr().cast()) };
        // Last: its drop is user code, and may panic.
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
