//! The done signal: one waiting task or thread, allocated when it first waits.
//!
//! A signal sits in a slot of its context, so a context that nobody waits for carries nothing, and the word that says
//! "nobody waits" is the word that the canceler closes. Polling again touches the signal only.
//!
//! # Lost wake-ups
//!
//! The waker is registered before the signal is published. Either the slot is taken before the canceler closes it: then
//! the canceler finds the signal and its waker. Or the slot is closed first: then taking it fails, and the context has
//! ended. A later poll registers the new waker and then looks at the state again: either it sees the end, or the
//! canceler, which marks first and wakes afterwards, takes the new waker.

use crate::claim::Claim;
use crate::sync::reclaim;
use crate::sync::{AtomicWaker, Canary, UnsafeCell};
use std::ptr::{self, NonNull};
use std::task::Waker;

#[repr(align(16))]
pub(crate) struct Signal {
    waker: AtomicWaker,
    claim: Claim,
    /// The claimer's queue.
    next: UnsafeCell<*mut Signal>,
    canary: Canary,
}

impl Signal {
    pub(crate) fn new(waker: &Waker) -> NonNull<Signal> {
        let signal = Signal {
            waker: AtomicWaker::new(),
            claim: Claim::new(),
            next: UnsafeCell::new(ptr::null_mut()),
            canary: Canary::new(),
        };
        // ORDERING: waker (writer). Before the signal is published.
        signal.waker.register(waker);
        NonNull::from(Box::leak(Box::new(signal)))
    }

    pub(crate) fn register(&self, waker: &Waker) {
        self.canary.touch();
        self.waker.register(waker);
    }

    /// A canceler found it: true for the one that will wake it.
    pub(crate) fn claim(&self) -> bool {
        self.canary.touch();
        self.claim.claim()
    }

    /// Wakes whoever waits: user code, which may panic.
    pub(crate) fn wake(&self) {
        self.canary.touch();
        // ORDERING: waker (reader). After the mark.
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// After waking: gives the memory back if the owner has left.
    ///
    /// # Safety
    ///
    /// The caller claimed it and does not touch it again.
    pub(crate) unsafe fn told(this: NonNull<Signal>) {
        // SAFETY: claimed: the owner leaves the memory to us.
        if unsafe { this.as_ref() }.claim.told() {
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
        if unsafe { this.as_ref() }.claim.leave() {
            // SAFETY: nobody claims it any more; cancelers may still be looking.
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
        let unused = unsafe { this.as_ref() }.waker.take();
        // SAFETY: forwarded.
        unsafe { Signal::bury(this.as_ptr().cast()) };
        // Last: its drop is user code, and may panic.
        drop(unused);
    }

    unsafe fn retire(this: NonNull<Signal>) {
        // A waker that was not taken: its drop is user code, has no place in the epoch, and may panic.
        // SAFETY: ours to give back.
        let unused = unsafe { this.as_ref() }.waker.take();
        // SAFETY: unreachable from any slot, and given back once: the claim word says by whom.
        unsafe { reclaim::pin().retire(this.as_ptr().cast(), Signal::bury) };
        drop(unused);
    }

    unsafe fn bury(this: *mut ()) {
        let this = this.cast::<Signal>();
        // SAFETY: the caller is the last to know it.
        unsafe { &*this }.canary.kill();
        // SAFETY: it came from a box.
        unsafe { reclaim::bury(this) };
    }
}

impl crate::queue::Linked for Signal {
    fn link(&self) -> &UnsafeCell<*mut Self> {
        &self.next
    }
}
