//! Waiting for the end: a signal takes a seat in a node's state, or in its slots as hooks do.

use super::{Node, are_awaited, tell};
use crate::hook::{Hook, Job};
use crate::signal::{Likeness, Place, Signal};
use crate::slots::{Entry, Kind, Seat};
use crate::state::Sit;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::task::Waker;

/// A signal that sits somewhere in its node: one waiting task or thread.
#[derive(Debug)]
pub(crate) struct Waiting {
    signal: NonNull<Signal>,
    /// The waker that the signal has.
    waker: Likeness,
}

// SAFETY: a signal is made to be woken from any thread; its place belongs to whoever has the `Waiting`.
unsafe impl Send for Waiting {}
// SAFETY: as for `Send`; `&Waiting` gives access to nothing.
unsafe impl Sync for Waiting {}

impl Waiting {
    /// Whether it is this waker that is registered.
    #[inline]
    pub(crate) fn has(&self, waker: &Waker) -> bool {
        self.waker == Likeness::of(waker)
    }

    /// Registers a waker with the node. `None`: the node has ended.
    ///
    /// The caller holds a handle on the node for as long as the `Waiting` lives.
    #[inline]
    pub(crate) fn register(node: &Node, waker: Waker) -> Option<Waiting> {
        let likeness = Likeness::of(&waker);
        // SAFETY: just made, and ours alone.
        unsafe { Waiting::sit(node, Signal::new(waker, &node.state), likeness) }
    }

    /// Puts another waker in place of the one that is registered: the signal leaves, takes the new one, and sits down
    /// again. `None`: the node has ended. The drop of the old waker is user code, and comes last.
    ///
    /// The caller goes on to hold the handle.
    #[cold]
    pub(crate) fn change(self, node: &Node, waker: Waker) -> Option<Waiting> {
        let signal = ManuallyDrop::new(self).leave()?;
        let likeness = Likeness::of(&waker);
        // SAFETY: it sits nowhere, and no canceler saw it.
        let free = unsafe { signal.as_ref() };
        // SAFETY: as above.
        let old = unsafe { free.take() };
        // SAFETY: as above.
        unsafe { free.put(waker) };
        // SAFETY: as above.
        unsafe { free.set_place(Place::Word(NonNull::from(&node.state))) };
        // SAFETY: as above.
        let waiting = unsafe { Waiting::sit(node, signal, likeness) };
        drop(old);
        waiting
    }

    /// # Safety
    ///
    /// The signal says that it sits in the node's state, sits nowhere, and is the caller's alone.
    #[inline]
    unsafe fn sit(node: &Node, signal: NonNull<Signal>, waker: Likeness) -> Option<Waiting> {
        // Where there are desks, nobody writes what all threads read.
        let sat = if node.slots.is_calm() { node.state.sit(signal.cast()) } else { Sit::Busy(false) };
        let seated = match sat {
            Sit::Seated => true,
            Sit::Ended => false,
            // SAFETY: forwarded.
            Sit::Busy(collided) => unsafe { Waiting::sit_in_slot(node, signal, collided) },
        };
        if seated {
            return Some(Waiting { signal, waker });
        }
        // SAFETY: it was never published.
        unsafe { Signal::free(signal) };
        None
    }

    /// The word of the state is not for this one; `collided`: somebody came in between.
    ///
    /// # Safety
    ///
    /// As for `sit`.
    #[inline(never)]
    unsafe fn sit_in_slot(node: &Node, signal: NonNull<Signal>, collided: bool) -> bool {
        // SAFETY: forwarded.
        let fresh = unsafe { signal.as_ref() };
        let placed = |seat| {
            // SAFETY: ours, and not published: a try that failed published nothing.
            unsafe { fresh.set_place(Place::Slot(seat)) };
        };
        if collided {
            node.slots.collided();
        }
        node.slots.register(&node.state, Entry::new(Kind::Signal, signal), placed).is_ok()
    }

    /// Leaves, once. The signal, if no canceler saw it: then it is the caller's alone.
    #[inline]
    fn leave(&self) -> Option<NonNull<Signal>> {
        // SAFETY: ours until we leave.
        let signal = unsafe { self.signal.as_ref() };
        // SAFETY: we are the owner.
        let left = match unsafe { signal.place() } {
            // SAFETY: the handle that we lean on keeps the node.
            Place::Word(state) => unsafe { state.as_ref() }.leave(self.signal.cast()),
            // SAFETY: the signal sits there, and only we make it leave.
            Place::Slot(seat) => unsafe { self.leave_slot(seat) },
        };
        if left {
            return Some(self.signal);
        }
        // SAFETY: a canceler has the waker; not touched again.
        unsafe { Signal::retire(self.signal) };
        None
    }

    /// False: a canceler has seen the signal.
    ///
    /// # Safety
    ///
    /// The signal sits there; called once.
    #[inline]
    unsafe fn leave_slot(&self, seat: Seat) -> bool {
        let entry = Entry::new(Kind::Signal, self.signal);
        // SAFETY: forwarded, and only its owner makes it leave.
        if unsafe { seat.leave_untagged(entry) } {
            return true;
        }
        // SAFETY: as above.
        let left = unsafe { seat.leave(entry) };
        debug_assert!(left.closed && !left.orphan, "whoever waits holds a handle");
        false
    }
}

impl Drop for Waiting {
    #[inline]
    fn drop(&mut self) {
        if let Some(signal) = self.leave() {
            // SAFETY: no canceler saw it.
            unsafe { Signal::free(signal) };
        }
    }
}

#[cfg(any(feature = "crossbeam-channel", feature = "loom"))]
impl Node {
    /// The thing attached to this node; made, if there is none, together with the waker that is woken by the end. `None`: the
    /// node has ended before anything was attached.
    ///
    /// The caller holds a handle.
    pub(crate) fn attached(&self, make: impl FnOnce() -> (super::Thing, Waker)) -> Option<&super::Thing> {
        if let Some(thing) = self.attached.thing() {
            return Some(thing);
        }
        are_awaited();
        let (thing, waker) = make();
        let waiting = Waiting::register(self, waker)?;
        Some(self.attached.hang(thing, Box::new(waiting)))
    }
}

/// Registers a function with the node. The hook's second share is the caller's: the handle's.
///
/// If the node has ended, the function comes back as a job for `run_now`: also while a canceler is still on its way to
/// the slots, so that a function of a context that was seen to have ended never waits for another thread's walk.
///
/// Whoever claims a hook makes it leave its slot: so who meets the end does not stand up before it has claimed it.
///
/// # Safety
///
/// The caller holds a handle on the node.
pub(crate) unsafe fn hook<F>(node: NonNull<Node>, function: F) -> (NonNull<Hook>, Option<Job>)
where
    F: FnOnce() + Send + 'static,
{
    are_awaited();
    let hook = Hook::new(function, Some(node.cast()));
    // SAFETY: forwarded.
    let node = unsafe { node.as_ref() };
    // SAFETY: both shares are ours.
    let fresh = unsafe { hook.as_ref() };
    let placed = |seat| fresh.place(seat);
    if !node.is_done() {
        let _ = node.slots.sit(Hook::entry(hook), placed);
        if !node.state.has_ended_meanwhile() {
            return (hook, None);
        }
    }
    if !fresh.claim() {
        // A canceler has found it, and calls it: by now its seat may be gone.
        return (hook, None);
    }
    // SAFETY: claimed. Our handle keeps the owner, whom it did not have to count down.
    let left = unsafe { Hook::vacate(hook) };
    debug_assert!(left.is_none_or(|(_, left)| !left.orphan), "whoever registers holds a handle");
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
