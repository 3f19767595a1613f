//! What the timer has to call, handed from whoever drives to the first thread; and the two threads' rights: see
//! [`stand_in`](super::stand_in).

use super::runner::Runner;
use crate::sync::{AtomicPtr, Ordering};
use std::collections::VecDeque;
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

/// Pushed by whoever drives, and taken whole by the first thread: no lock, so a fork finds it in order.
pub(super) struct Calls<Told> {
    /// The last one first.
    handed: AtomicPtr<Parcel<Told>>,
    /// The second thread, once there is one. Written by the first.
    pub(super) stand_in: AtomicPtr<Runner>,
    /// The first thread, while it has calls in hand.
    pub(super) caller: AtomicPtr<Runner>,
}

impl<Told> Calls<Told> {
    pub(super) fn new() -> Self {
        let null = || AtomicPtr::new(ptr::null_mut());
        Calls { handed: AtomicPtr::new(ptr::null_mut()), stand_in: null(), caller: null() }
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

    pub(super) fn is_empty(&self) -> bool {
        // ORDERING: timer-calls: SeqCst, after the seat was taken back.
        self.handed.load(Ordering::SeqCst).is_null()
    }

    /// All that was handed over, in that order.
    pub(super) fn take(&self) -> VecDeque<Told> {
        let mut calls = VecDeque::new();
        // ORDERING: timer-calls (reader).
        let mut at = self.handed.swap(ptr::null_mut(), Ordering::SeqCst);
        while !at.is_null() {
            // SAFETY: pushed as a box, and taken by us alone.
            let parcel = unsafe { Box::from_raw(at) };
            at = parcel.next;
            calls.push_front(parcel.told);
        }
        calls
    }
}

impl<Told> Drop for Calls<Told> {
    fn drop(&mut self) {
        self.take();
    }
}
