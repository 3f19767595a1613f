//! The way through a subtree: no recursion, no stack, no allocation of its own.
//!
//! Down by the entries of the slots, back up by `parent` and `seat`. Only a merged context, which has two ways up,
//! needs a frame to remember which way the walk came.
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
use std::ptr::NonNull;

/// What a walk is for.
pub(super) trait Visitor {
    /// A node right below `under`: whether to walk through it.
    fn enter(&mut self, node: &Node, under: &Node) -> bool;
    /// Everything below the node has been visited.
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

/// Where a walk goes on when it is through with a merged context.
struct Frame {
    base: NonNull<Node>,
    at: NonNull<Node>,
    position: Position,
}

/// Visits everything below `root`, closing every slot in which somebody sits.
///
/// # Safety
///
/// The calling thread is pinned, and something else than the pin keeps `root` alive, or had claimed it under the pin.
pub(super) unsafe fn walk(root: NonNull<Node>, visitor: &mut impl Visitor) {
    let mut frames: Vec<Frame> = Vec::new();
    let mut base = root;
    let mut at = root;
    // SAFETY: the caller keeps it.
    let mut position = Position::start(&unsafe { root.as_ref() }.slots);
    loop {
        // SAFETY: see "Why it is safe to look".
        let node = unsafe { at.as_ref() };
        // SAFETY: pinned.
        let Some(Met { entry, first }) = (unsafe { position.close_next(&node.slots) }) else {
            visitor.leave(node);
            if at == base {
                let Some(frame) = frames.pop() else { return };
                Frame { base, at, position } = frame;
                continue;
            }
            let Above::Slot(parent) = node.above() else { unreachable!("it was found in a slot") };
            let seat = node.seat().expect("it was found in a slot");
            at = parent;
            // SAFETY: as above.
            position = Position::after(&unsafe { at.as_ref() }.slots, seat);
            continue;
        };
        match entry.kind() {
            Kind::Child => {
                let child = entry.pointer::<Node>();
                // SAFETY: as above.
                let below = unsafe { child.as_ref() };
                if visitor.enter(below, node) {
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
                    frames.push(Frame { base, at, position });
                    base = child;
                    at = child;
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
