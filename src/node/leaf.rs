//! The short way out, for nodes with nothing of their own but a deadline and values, and nobody in their slots: nearly all.
//!
//! Nothing but those values is left to user code then, so nothing is collected for it; all others take the
//! [long way](super::release).

use super::{Above, Node};
use crate::slots::{Entry, Kind};
use crate::sync::{reclaim, stock};
use crate::value::Binding;
use std::ptr::{self, NonNull};

/// What has become of a node.
#[must_use]
pub(super) enum Way {
    /// It is where it was, but for the list of the living: take the long way.
    Long,
    /// It is gone. Its share of these values, if it had one of its own, is still to be given back.
    Gone(*const Binding),
}

impl Node {
    /// Whether it has nothing that user code could have to drop, but for values. Without handles it stays so.
    #[inline(always)]
    pub(super) fn is_plain(&self) -> bool {
        self.extra.is_none() && self.state.is_bare()
    }

    /// Whether it has nothing behind its slots, nor a bridge's thing.
    #[inline(always)]
    fn is_untouched(&self) -> bool {
        self.slots.is_virgin() && self.attached.is_none()
    }
}

/// The common way out, for a node in whose slots nobody ever sat, without values of its own. False: it is where it was.
///
/// # Safety
///
/// The last handle of the node is gone. If this returns true, so is the node.
#[inline]
pub(super) unsafe fn leave_as_leaf(this: NonNull<Node>) -> bool {
    // SAFETY: forwarded.
    let node = unsafe { this.as_ref() };
    // SAFETY: forwarded.
    node.is_untouched() && !node.values.is_own() && unsafe { leave_plain(this, bury_leaf) }
}

/// The way of both: nobody sits in its slots. `bury` frees the node with what it has behind them. Whether it has a share of
/// values is the caller's to know.
///
/// # Safety
///
/// As for [`leave_as_leaf`].
#[inline(always)]
unsafe fn leave_plain(this: NonNull<Node>, bury: unsafe fn(*mut ())) -> bool {
    // SAFETY: forwarded.
    let node = unsafe { this.as_ref() };
    if !node.is_plain() {
        return false;
    }
    node.trail.leaves();
    let entry = Entry::new(Kind::Child, this);
    match (node.above(), node.seat()) {
        // SAFETY: we sit there.
        (Above::Slot(_), Some(seat)) if unsafe { seat.leave_untagged(entry) } => {}
        // SAFETY: as above.
        (Above::Slot(_), Some(seat)) if unsafe { seat.leave_closed(entry) } => {
            // SAFETY: it has just left, for good.
            if unsafe { part_with_timer(this) } {
                // SAFETY: unreachable from any slot or handle.
                unsafe { reclaim::retire(this.as_ptr().cast(), bury) };
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
        unsafe { reclaim::retire(this.as_ptr().cast(), bury) };
    } else {
        // SAFETY: nobody knows it any more.
        unsafe { bury(this.as_ptr().cast()) };
    }
    true
}

/// The common way out of a node that has values of its own, or in whose slots somebody sat: they have all left.
///
/// # Safety
///
/// The last handle of the node is gone, and [`orphan`](super::release::orphan) found nobody.
pub(super) unsafe fn leave_emptied(node: NonNull<Node>) -> Way {
    // SAFETY: forwarded.
    let own = unsafe { node.as_ref() };
    let values = own.values;
    let bury = if own.is_untouched() { bury_leaf } else { bury_emptied };
    // SAFETY: forwarded.
    if !unsafe { leave_plain(node, bury) } {
        return Way::Long;
    }
    Way::Gone(if values.is_own() { values.head() } else { ptr::null() })
}

/// The way out of a level of a canceled chain: its parent, which it has left, waits for its count. `None`: it is where it was, as
/// after [`Way::Long`].
///
/// # Safety
///
/// No handle of the node is left, and nobody in its slots. If this returns a parent, the node is gone.
#[inline]
pub(super) unsafe fn leave_chain(this: NonNull<Node>) -> Option<NonNull<Node>> {
    // SAFETY: forwarded.
    let node = unsafe { this.as_ref() };
    let (Above::Slot(parent), Some(seat)) = (node.above(), node.seat()) else { return None };
    if !node.is_plain() || node.values.is_own() {
        return None;
    }
    node.trail.leaves();
    // SAFETY: we sit there.
    if !unsafe { seat.leave_last(Entry::new(Kind::Child, this)) } {
        return None;
    }
    // SAFETY: it has just left, for good.
    if unsafe { part_with_timer(this) } {
        // SAFETY: unreachable from any slot or handle.
        unsafe { reclaim::retire(this.as_ptr().cast(), bury_emptied) };
    }
    Some(parent)
}

/// True: the caller is to retire the node. False: a canceler will.
///
/// # Safety
///
/// It has left a closed slot, for good: nothing leads to it any more. Called once.
#[inline(always)]
unsafe fn part_with_timer(this: NonNull<Node>) -> bool {
    // SAFETY: forwarded: ours still.
    unsafe { this.as_ref() }.let_timer_go();
    // SAFETY: forwarded.
    !unsafe { Node::leave_to_canceler(this) }
}

/// Frees a node that has nothing of its own and nobody behind its slots. Nor has it got anything since its last handle
/// went: a canceler or the driver ends it with no cause that it would own.
#[inline]
unsafe fn bury_leaf(this: *mut ()) {
    let this = this.cast::<Node>();
    // SAFETY: the caller is the last to know it.
    unsafe { say_farewell(this) };
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
    unsafe { say_farewell(this) };
    // SAFETY: as above.
    unsafe { bury_memory(this) };
}

#[inline(always)]
unsafe fn say_farewell(this: *mut Node) {
    // SAFETY: forwarded: the caller is the last to know it.
    let node = unsafe { &*this };
    node.trail.gone(|| node.is_done());
    node.canary.kill();
}

/// Gives the memory of a node back, where that is not on the shortest way.
///
/// # Safety
///
/// The caller is the last to know it, and its fields need no drop.
#[inline(never)]
pub(super) unsafe fn bury_memory(this: *mut Node) {
    // SAFETY: forwarded.
    unsafe { stock::bury(this) };
}
