//! The short way out, for nodes with nothing of their own but a deadline, and nobody in their slots: nearly all.
//!
//! Nothing is left to user code then, so nothing is collected for it; all others take the [long way](super::release).

use super::{Above, Node};
use crate::slots::{Entry, Kind};
use crate::sync::{reclaim, stock};
use std::ptr::NonNull;

/// The common way out, for a node in whose slots nobody ever sat and that has nothing of its own but a deadline. False, and
/// it is where it was, but for the list of the living: take the long way.
///
/// # Safety
///
/// The last handle of the node is gone. If this returns true, so is the node.
#[inline]
pub(super) unsafe fn leave_as_leaf(this: NonNull<Node>) -> bool {
    // SAFETY: forwarded.
    let virgin = unsafe { this.as_ref() }.slots.is_virgin();
    // SAFETY: forwarded.
    virgin && unsafe { leave_plain(this, bury_leaf) }
}

/// The same way for a node that nobody waits for any more: whoever sat in its slots has left them. `bury` frees what is
/// behind the slots of this one.
///
/// # Safety
///
/// As for [`leave_as_leaf`].
#[inline(always)]
unsafe fn leave_plain(this: NonNull<Node>, bury: unsafe fn(*mut ())) -> bool {
    // SAFETY: forwarded.
    let node = unsafe { this.as_ref() };
    if node.extra.is_some() || node.values.is_own() || node.state.owns_cause() {
        return false;
    }
    node.trail.leaves();
    let entry = Entry::new(Kind::Child, this);
    match (node.above(), node.seat()) {
        // SAFETY: we sit there.
        (Above::Slot(_), Some(seat)) if unsafe { seat.leave_untagged(entry) } => {}
        // SAFETY: as above.
        (Above::Slot(_), Some(seat)) if unsafe { seat.leave_closed(entry) } => {
            node.let_timer_go();
            // SAFETY: it has just left, for good.
            if !unsafe { Node::leave_to_canceler(this) } {
                // SAFETY: unreachable from any slot or handle.
                unsafe { reclaim::pin().retire(this.as_ptr().cast(), bury) };
            }
            return true;
        }
        // A root of its own: it sits nowhere.
        (Above::Base(base), _) if !base.counts() => {}
        _ => return false,
    }
    // No canceler can have found it: if it had a seat, that bore no tag. That leaves the driver.
    if node.drop_timer() {
        // SAFETY: unreachable from any slot or handle.
        unsafe { reclaim::pin().retire(this.as_ptr().cast(), bury) };
    } else {
        // SAFETY: nobody knows it any more.
        unsafe { bury(this.as_ptr().cast()) };
    }
    true
}

/// The common way out of a node that somebody waited for, or that had children: they have all left. False as for
/// [`leave_as_leaf`].
///
/// # Safety
///
/// The last handle of the node is gone, and [`orphan`](super::release::orphan) found nobody. If this returns true, so is the node.
pub(super) unsafe fn leave_emptied(node: NonNull<Node>) -> bool {
    // SAFETY: forwarded.
    unsafe { leave_plain(node, bury_emptied) }
}

/// Frees a node that has nothing of its own and nobody behind its slots. Nor has it got anything since its last handle
/// went: a canceler or the driver ends it with no cause that it would own.
#[inline(always)]
unsafe fn bury_leaf(this: *mut ()) {
    let this = this.cast::<Node>();
    // SAFETY: the caller is the last to know it.
    let node = unsafe { &*this };
    node.trail.gone(|| node.is_done());
    node.canary.kill();
    // SAFETY: as above.
    unsafe { stock::bury(this) };
}

/// The same for a node in whose slots somebody once sat.
unsafe fn bury_emptied(this: *mut ()) {
    let this = this.cast::<Node>();
    // SAFETY: the caller is the last to know it.
    let node = unsafe { &*this };
    // SAFETY: forwarded.
    unsafe { node.attached.free() };
    // SAFETY: forwarded.
    unsafe { node.slots.free() };
    // SAFETY: forwarded.
    unsafe { bury_leaf(this.cast()) };
}
