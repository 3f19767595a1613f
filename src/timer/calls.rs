//! What the timer has to call, handed from whoever drives to the first thread; and the two threads' rights: see
//! [`stand_in`](super::stand_in).

use super::runner::Runner;
use crate::sync::{AtomicPtr, Ordering};
use std::ptr;

/// By what right a thread drives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Seat {
    /// The first thread: it has the seat unless it calls.
    Own,
    /// The stand-in.
    Lent,
}

struct Parcel<Told> {
    told: Told,
    next: *mut Parcel<Told>,
}

/// Pushed by whoever drives, and taken by the first thread, which keeps here what it has not come to: no lock, and next to
/// nothing in hand, so a fork finds it in order.
pub(super) struct Calls<Told> {
    /// The last one first.
    handed: AtomicPtr<Parcel<Told>>,
    /// Those taken from there, the first one first. The first thread's.
    queued: AtomicPtr<Parcel<Told>>,
    /// The first thread itself.
    pub(super) first: AtomicPtr<Runner>,
    /// The second one, once there is one. Written by the first.
    pub(super) stand_in: AtomicPtr<Runner>,
}

impl<Told> Calls<Told> {
    pub(super) fn new() -> Self {
        let nobody = || AtomicPtr::new(ptr::null_mut());
        let nothing = || AtomicPtr::new(ptr::null_mut());
        Calls { handed: nothing(), queued: nothing(), first: nobody(), stand_in: nobody() }
    }

    pub(super) fn push(&self, told: Told) {
        let parcel = Box::into_raw(Box::new(Parcel { told, next: ptr::null_mut() }));
        // ORDERING: none. Only a guess for the swap.
        let mut seen = self.handed.load(Ordering::Relaxed);
        loop {
            // SAFETY: ours until the swap succeeds.
            unsafe { (*parcel).next = seen };
            // ORDERING: timer-calls (writer): the parcel's contents. SeqCst: then we look who has the seat.
            match self.handed.compare_exchange_weak(seen, parcel, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// For anybody: what the first thread is about to call is not seen by others.
    pub(super) fn is_empty(&self) -> bool {
        // ORDERING: timer-calls: SeqCst, after the seat was taken back. The other word is the caller's own, or a hint.
        self.handed.load(Ordering::SeqCst).is_null() && self.queued.load(Ordering::Relaxed).is_null()
    }

    /// The next one in the order in which they were handed over. For the first thread.
    pub(super) fn next(&self) -> Option<Told> {
        // ORDERING: none. Written by this thread, or by one that is no more.
        let mut at = self.queued.load(Ordering::Relaxed);
        if at.is_null() {
            at = self.take();
        }
        if at.is_null() {
            return None;
        }
        // SAFETY: pushed as a box, and taken by us alone.
        let parcel = unsafe { Box::from_raw(at) };
        // ORDERING: none, as above.
        self.queued.store(parcel.next, Ordering::Relaxed);
        Some(parcel.told)
    }

    /// All that was handed over, the first one first.
    fn take(&self) -> *mut Parcel<Told> {
        // ORDERING: timer-calls (reader).
        let mut at = self.handed.swap(ptr::null_mut(), Ordering::SeqCst);
        let mut first = ptr::null_mut();
        while !at.is_null() {
            // SAFETY: pushed as a box, and taken by us alone.
            let next = unsafe { &mut (*at).next };
            let after = std::mem::replace(next, first);
            (first, at) = (at, after);
        }
        first
    }
}

impl<Told> Drop for Calls<Told> {
    fn drop(&mut self) {
        while self.next().is_some() {}
    }
}
