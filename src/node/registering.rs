//! Waiting for the end: signals and hooks take a seat in a node's slots.

use super::{Node, tell};
use crate::hook::{Hook, Job};
use crate::signal::Signal;
use crate::slots::{Entry, Kind, Seat};
use std::ptr::NonNull;
use std::task::Waker;

/// A signal that sits in a slot: one waiting task or thread.
#[derive(Debug)]
pub(crate) struct Waiting {
    signal: NonNull<Signal>,
    seat: Seat,
}

// SAFETY: a signal is made to be woken from any thread; the seat belongs to whoever has the `Waiting`.
unsafe impl Send for Waiting {}
// SAFETY: as for `Send`; `&Waiting` gives access to the waker cell only.
unsafe impl Sync for Waiting {}

impl Waiting {
    /// Registers the waker with the node. `None`: the node has ended.
    ///
    /// The caller holds a handle on the node for as long as the `Waiting` lives.
    pub(crate) fn register(node: &Node, waker: &Waker) -> Option<Waiting> {
        let signal = Signal::new(waker);
        let mut place = None;
        if node.slots.register(Entry::new(Kind::Signal, signal), |seat| place = Some(seat)).is_ok() {
            return place.map(|seat| Waiting { signal, seat });
        }
        // SAFETY: it was never published.
        unsafe { Signal::free(signal) };
        None
    }

    /// Another waker, or the same again. The caller looks at the state afterwards.
    pub(crate) fn update(&self, waker: &Waker) {
        // SAFETY: ours until we leave.
        unsafe { self.signal.as_ref() }.register(waker);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let entry = Entry::new(Kind::Signal, self.signal);
        // SAFETY: the signal sits there, and only its owner makes it leave.
        let left = unsafe { self.seat.leave(entry) };
        debug_assert!(!left.orphan, "whoever waits holds a handle");
        if left.closed {
            // SAFETY: vacated, and not touched again.
            unsafe { Signal::leave(self.signal) };
        } else {
            // SAFETY: no canceler saw it.
            unsafe { Signal::free(self.signal) };
        }
    }
}

/// Registers a function with the node. The hook's second share is the caller's: the handle's.
///
/// If the node has ended, the function comes back as a job for `run_now`.
///
/// # Safety
///
/// The caller holds a handle on the node.
pub(crate) unsafe fn hook<F>(node: NonNull<Node>, function: F) -> (NonNull<Hook>, Option<Job>)
where
    F: FnOnce() + Send + 'static,
{
    let hook = Hook::new(function, Some(node.cast()));
    // SAFETY: forwarded.
    let node = unsafe { node.as_ref() };
    // SAFETY: both shares are ours.
    let fresh = unsafe { hook.as_ref() };
    if node.slots.register(Hook::entry(hook), |seat| fresh.place(Some(seat))).is_ok() {
        return (hook, None);
    }
    fresh.place(None);
    // Nobody else knows it, so nobody else can claim it.
    let claimed = fresh.claim();
    debug_assert!(claimed);
    // SAFETY: claimed; the slot's share goes with the job.
    (hook, Some(unsafe { Job::new(hook) }))
}

/// Stops a hook: true exactly if that kept it from being called. Its function is then dropped. Never waits.
///
/// # Safety
///
/// The caller owns the handle's share.
pub(crate) unsafe fn stop(hook: NonNull<Hook>) -> bool {
    // SAFETY: forwarded.
    if !unsafe { hook.as_ref() }.stop() {
        return false;
    }
    // SAFETY: won.
    let left = unsafe { Hook::vacate(hook) };
    // SAFETY: won: the slot's share and the function are ours.
    let job = unsafe { Job::new(hook) };
    // SAFETY: the hook sat in this node's slots.
    unsafe { tell::drop_job(job, left.map(|(owner, left)| (owner.cast(), left))) };
    true
}
