//! The way through a subtree: no recursion, no stack, no allocation of its own.
//!
//! Down by the entries of the slots, back up by `parent` and `seat`. Only a merged context, which has two ways up,
//! needs a frame to remember which way the walk came, if that was by the second.
//!
//! Most ways back are shorter. A node below whose last entry the walk goes down is not come back to: it is through with it. And of the
//! others, the last one is remembered. So a chain is walked once, not down and up, unless the visitor leaves every node.
//!
//! # Why it is safe to look
//!
//! The walk is pinned and tags each slot CLOSED before it follows the entry. Whoever leaves a slot so tagged goes back
//! through the epoch, and what sits in a slot keeps the owner alive: so everything from the root to where the walk stands is
//! memory until the pin ends.

use super::{Above, Extra, Node};
use crate::hook::Hook;
use crate::signal::Signal;
use crate::slots::{Kind, Met, Position};
use crate::sync::expect_beyond;
use std::mem;
use std::ptr::NonNull;

/// What a walk is for.
pub(super) trait Visitor {
    /// Whether every node is left, not only where the walk has to: then it goes up again by all of them.
    const LEAVES_ALL: bool = false;

    /// A node right below `under`: whether to walk through it.
    fn enter(&mut self, node: &Node, under: &Node) -> bool;
    /// Everything below the node has been visited. Called for the root, for merged contexts, as the walk may meet those again, and for
    /// all if they are all to be left.
    fn leave(&mut self, node: &Node);
    /// `first`: of all walks, this one met the signal first.
    ///
    /// # Safety
    ///
    /// Pinned; found in a slot.
    unsafe fn signal(&mut self, signal: NonNull<Signal>, first: bool);
    /// # Safety
    ///
    /// Pinned; found in a slot.
    unsafe fn hook(&mut self, hook: NonNull<Hook>);
}

/// Where a walk goes on when it is through with what it came down to.
#[derive(Copy, Clone)]
enum Back {
    /// Nowhere: it is through with everything below its base.
    Out,
    Here(NonNull<Node>, Position),
    /// It is not known: up by `parent` and `seat`.
    Up,
}

/// Where a walk goes on when it is through with a merged context.
struct Frame {
    base: NonNull<Node>,
    at: NonNull<Node>,
    position: Position,
    back: Back,
}

/// Whether the walk comes back to a node that it has been below.
#[inline(always)]
fn is_left<V: Visitor>(node: &Node) -> bool {
    V::LEAVES_ALL || node.is_merged()
}

/// Visits everything below `root`, closing every slot in which somebody sits.
///
/// # Safety
///
/// The calling thread is pinned, and something else than the pin keeps `root` alive, or had claimed it under the pin.
pub(super) unsafe fn walk<V: Visitor>(root: NonNull<Node>, visitor: &mut V) {
    let mut frames: Vec<Frame> = Vec::new();
    let mut base = root;
    let mut at = root;
    let mut back = Back::Out;
    // SAFETY: the caller keeps it.
    let mut position = Position::start(&unsafe { root.as_ref() }.slots);
    loop {
        // SAFETY: see "Why it is safe to look".
        let node = unsafe { at.as_ref() };
        // SAFETY: pinned.
        let Some(Met { entry, first }) = (unsafe { position.close_next(&node.slots) }) else {
            match mem::replace(&mut back, Back::Up) {
                Back::Here(node, place) => (at, position) = (node, place),
                Back::Up if at != base => {
                    if is_left::<V>(node) {
                        visitor.leave(node);
                    }
                    let Above::Slot(parent) = node.above() else { unreachable!("it was found in a slot") };
                    let seat = node.seat().expect("it was found in a slot");
                    at = parent;
                    // SAFETY: as above.
                    position = Position::after(&unsafe { at.as_ref() }.slots, seat);
                }
                Back::Out | Back::Up => {
                    // SAFETY: the root, or as above.
                    visitor.leave(unsafe { base.as_ref() });
                    let Some(frame) = frames.pop() else { return };
                    Frame { base, at, position, back } = frame;
                }
            }
            continue;
        };
        match entry.kind() {
            Kind::Child => {
                let child = entry.pointer::<Node>();
                // SAFETY: as above.
                let below = unsafe { child.as_ref() };
                if visitor.enter(below, node) {
                    let mut from = at;
                    if is_left::<V>(below) {
                        // It is come back to, to be left.
                        back = Back::Up;
                    } else if !position.is_at_end() {
                        back = Back::Here(at, position);
                        // No chain: nothing that could be asked for lies beyond.
                        from = child;
                    }
                    expect_beyond(from, child);
                    at = child;
                    position = Position::start(&below.slots);
                }
            }
            Kind::Link => {
                // SAFETY: as above: freed with its node.
                let child = unsafe { entry.pointer::<Extra>().as_ref() }.node;
                // SAFETY: as above.
                let below = unsafe { child.as_ref() };
                if visitor.enter(below, node) {
                    frames.push(Frame { base, at, position, back });
                    (base, at, back) = (child, child, Back::Out);
                    position = Position::start(&below.slots);
                }
            }
            // SAFETY: pinned, found in a slot.
            Kind::Signal => unsafe { visitor.signal(entry.pointer(), first) },
            // SAFETY: pinned, found in a slot.
            Kind::Hook => unsafe { visitor.hook(entry.pointer()) },
        }
    }
}
