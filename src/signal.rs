//! The done signal: one waiting task or thread, allocated when it first waits.
//!
//! The first who waits sits in the state word of its context, others in its slots: so a context that nobody waits for carries
//! nothing.
//!
//! # Whose the waker is
//!
//! The waker is written before the signal is published, and fixed while it is. Who ends the state with the signal in it, or first
//! tags its slot, takes the waker out, by a copy: the owner, who cannot leave unnoticed any more, knows that it is gone. So a
//! canceler writes nothing in a signal, and is through with it when its walk is. When another waker comes, the signal leaves, takes
//! it, and sits down again: so there is nothing that owner and canceler touch at once.
//!
//! # Lost wake-ups
//!
//! A state word that takes a signal is live, and who ends it finds the signal there. Who has taken a slot looks at the context's
//! state. It is live: then every canceler finds the signal, and its waker. It has ended: then the signal leaves the slot again,
//! unless a canceler has found it, which will tell it. A later poll with the same waker has nothing to do.

use crate::slots::Seat;
use crate::state::State;
use crate::sync::{Canary, UnsafeCell, reclaim, stock};
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::task::{RawWakerVTable, Waker};

#[repr(align(16))]
pub(crate) struct Signal {
    /// Whoever takes it out drops it. What the owner knows of it (see [`Likeness`]) holds while it is in here.
    waker: UnsafeCell<ManuallyDrop<Waker>>,
    /// The owner's.
    place: UnsafeCell<Place>,
    canary: Canary,
}

/// Where a signal sits. An occupied slot keeps its node, a state's word does not: the owner's handle does.
#[derive(Copy, Clone)]
pub(crate) enum Place {
    Word(NonNull<State>),
    Slot(Seat),
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
    /// A signal for the word of this state, for a start.
    #[inline]
    pub(crate) fn new(waker: Waker, state: &State) -> NonNull<Signal> {
        let signal = Signal {
            // ORDERING: waker (writer). Before the signal is published.
            waker: UnsafeCell::new(ManuallyDrop::new(waker)),
            place: UnsafeCell::new(Place::Word(NonNull::from(state))),
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
    pub(crate) unsafe fn set_place(&self, place: Place) {
        self.place.with_mut(|own| {
            // SAFETY: forwarded.
            unsafe { *own = place };
        });
    }

    /// # Safety
    ///
    /// The caller is the owner.
    #[inline]
    pub(crate) unsafe fn place(&self) -> Place {
        self.place.with(|place| {
            // SAFETY: forwarded.
            unsafe { *place }
        })
    }

    /// Takes the waker out.
    ///
    /// # Safety
    ///
    /// The caller is pinned, and has ended the state with the signal in it or has tagged its slot first of all; or is the owner,
    /// and nobody has done so or will. Called once for each waker that was put in.
    #[inline]
    pub(crate) unsafe fn take(&self) -> Waker {
        self.canary.touch();
        // ORDERING: waker (reader). It came with the word or the slot.
        self.waker.with(|waker| {
            // SAFETY: nobody writes it while it is published, and it is forgotten there.
            ManuallyDrop::into_inner(unsafe { ptr::read(waker) })
        })
    }

    /// Puts another waker in.
    ///
    /// # Safety
    ///
    /// The caller is the owner, has taken the last one out, and the signal sits nowhere.
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

    /// The owner has left, and a canceler has the waker, who may be looking still.
    ///
    /// # Safety
    ///
    /// As it says; the owner does not touch the signal again.
    pub(crate) unsafe fn retire(this: NonNull<Signal>) {
        // SAFETY: out of reach for whoever comes later, and given back once.
        unsafe { reclaim::retire(this.as_ptr().cast(), Signal::bury) };
    }

    /// The owner leaves, and no canceler ever saw the signal. The drop of the waker is user code, and may panic.
    ///
    /// # Safety
    ///
    /// As it says.
    #[inline]
    pub(crate) unsafe fn free(this: NonNull<Signal>) {
        // SAFETY: forwarded.
        drop(unsafe { Signal::dissolve(this) });
    }

    /// Gives back a signal that no canceler saw or will; its waker is left.
    ///
    /// # Safety
    ///
    /// As it says, and the owner has left, or never will.
    #[inline]
    pub(crate) unsafe fn dissolve(this: NonNull<Signal>) -> Waker {
        // SAFETY: forwarded.
        let signal = unsafe { this.as_ref() };
        // SAFETY: forwarded.
        let waker = unsafe { signal.take() };
        // SAFETY: forwarded.
        unsafe { Signal::bury(this.as_ptr().cast()) };
        waker
    }

    unsafe fn bury(this: *mut ()) {
        let this = this.cast::<Signal>();
        // SAFETY: the caller is the last to know it.
        unsafe { &*this }.canary.kill();
        // SAFETY: made by `new`.
        unsafe { stock::bury(this) };
    }
}
