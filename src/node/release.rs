//! The way out: the last handle goes, the node leaves its parent, and its memory goes back.
//!
//! # States of `orphans`
//!
//! ```text
//! BIAS             has handles
//! BIAS - left      the last handle is counting; `left` entries have left tagged slots meanwhile
//! k - left         a relay: so many entries still sit in its slots
//! 0                nobody: whoever wrote this takes the node apart
//! ```
//!
//! No user code runs here, but what the [epoch](reclaim) may drop: what has a drop of its own goes into [`Told`]. Taking a node apart may take away the last thing
//! that kept its parent: a loop over [`Step`]s, never recursion.
//!
//! # Hope
//!
//! A function registered with a relay waits for an ancestor's end or the relay's own deadline. When neither can come any
//! more the relay is *hopeless*, and its functions are dropped unrun. Hopelessness is final and spreads downwards:
//! a relay is hopeless if it has no deadline and no foreign parent, and what is above it is hopeless or cannot end. The
//! mark and the child's count are two words: each side writes its own, then looks at the other's, with a sequentially
//! consistent fence between, so at least one of them goes down into the child.

use super::leaf::{bury_memory, leave_chain};
use super::told::{Garbage, Told};
use super::walk::{Visitor, walk};
use super::{Above, BIAS, Extra, HOPELESS, Link, Node, OTHER, PARENT};
use crate::cause::Cause;
use crate::clock::NEVER;
use crate::foreign::Disowned;
use crate::hook::Hook;
use crate::shield::Shield;
use crate::signal::Signal;
use crate::slots::{Entry, Kind, Left, Seat};
use crate::sync::{Ordering, expect_beyond, fence, reclaim};
use crate::value::Binding;
use std::ptr::{self, NonNull};
use std::sync::Arc;

/// What is still to be done.
enum Step {
    /// The last handle of this node is gone.
    Abandon(NonNull<Node>),
    /// Nobody is left in the slots of this node.
    Finish(NonNull<Node>),
}

/// Steps to do: one at hand, more only where merged contexts let go of two parents.
#[derive(Default)]
struct Agenda {
    next: Option<Step>,
    more: Vec<Step>,
}

impl Agenda {
    fn push(&mut self, step: Step) {
        if let Some(waiting) = self.next.replace(step) {
            self.more.push(waiting);
        }
    }

    fn pop(&mut self) -> Option<Step> {
        self.next.take().or_else(|| self.more.pop())
    }
}

/// Who sits in the slots of a node whose last handle is gone.
#[must_use]
#[derive(Debug)]
pub(super) enum Orphans {
    Nobody,
    /// One, and the count says so: it may have taken the node apart by now.
    Counted,
    /// So many, who wait to be counted.
    Tagged(usize),
}

/// Tags whoever sits in the slots.
///
/// # Safety
///
/// The last handle of the node is gone; called once.
pub(super) unsafe fn orphan(node: NonNull<Node>) -> Orphans {
    // SAFETY: forwarded.
    let relay = unsafe { node.as_ref() };
    relay.canary.touch();
    relay.attached.let_go();
    if relay.slots.is_virgin() {
        return Orphans::Nobody;
    }
    let only = relay.slots.only();
    if let Some(only) = only.filter(|_| relay.is_done()) {
        // Past hoping, and with one entry at most, there is nothing to count: whoever finds the tag is the last.
        // ORDERING: Relaxed. Published by the tag (orphan).
        relay.orphans.store(1, Ordering::Relaxed);
        return if only.orphan() { Orphans::Counted } else { Orphans::Nobody };
    }
    let occupied = only.map_or_else(|| relay.slots.orphan(), |only| usize::from(only.orphan()));
    if occupied == 0 { Orphans::Nobody } else { Orphans::Tagged(occupied) }
}

/// The last handle of a node is gone, which left `orphans`. What is left to do in user code is put into `told`.
///
/// # Safety
///
/// As it says; called once.
pub(super) unsafe fn last_handle_gone(node: NonNull<Node>, orphans: Orphans, told: &mut Told) {
    // SAFETY: forwarded.
    if unsafe { abandon(node, orphans, told) } {
        // SAFETY: nobody is left.
        unsafe { settle(Step::Finish(node), told) };
    }
}

/// An entry has left a slot of `owner`: takes the owner apart if it was all that kept it.
///
/// # Safety
///
/// `left` came from leaving a seat of `owner`, and is reported once.
pub(super) unsafe fn entry_gone(owner: NonNull<Node>, left: Left, told: &mut Told) {
    if !left.orphan {
        return;
    }
    let mut agenda = Agenda::default();
    count_down(owner, &mut agenda);
    if let Some(step) = agenda.pop() {
        // SAFETY: as counted.
        unsafe { settle(step, told) };
    }
}

/// An entry has left a slot that was tagged ORPHAN: one less for whom `owner` waits.
#[inline]
fn count_down(owner: NonNull<Node>, agenda: &mut Agenda) {
    // SAFETY: an ORPHAN tag means that the owner lives until we have counted.
    let orphans = unsafe { &(*owner.as_ptr()).orphans };
    // ORDERING: orphans (both ends). The last one sees what every other did with the node. If one is left, that is us.
    if orphans.load(Ordering::Acquire) == 1 || orphans.fetch_sub(1, Ordering::AcqRel) == 1 {
        agenda.push(Step::Finish(owner));
    }
}

/// Does a step and all that follow from it.
///
/// # Safety
///
/// The step is due.
unsafe fn settle(step: Step, told: &mut Told) {
    let mut agenda = Agenda { next: Some(step), more: Vec::new() };
    while let Some(step) = agenda.pop() {
        match step {
            Step::Abandon(node) => {
                // SAFETY: forwarded: the last handle is gone, and what it kept is ours to give up.
                let orphans = unsafe { orphan(node) };
                // SAFETY: as above.
                if unsafe { abandon(node, orphans, told) } {
                    agenda.push(Step::Finish(node));
                }
            }
            // SAFETY: forwarded.
            Step::Finish(node) => unsafe { finish(node, &mut agenda, told) },
        }
    }
}

/// Counts whoever was tagged, and lets a future go that was forgotten in the word. True: nobody was tagged, or they have all left
/// meanwhile.
///
/// # Safety
///
/// The last handle of the node is gone, and [`orphan`] has said this; called once.
unsafe fn abandon(node: NonNull<Node>, orphans: Orphans, told: &mut Told) -> bool {
    let occupied = match orphans {
        Orphans::Nobody => None,
        // It had ended: nobody waits in its word.
        Orphans::Counted => return false,
        Orphans::Tagged(occupied) => Some(occupied),
    };
    // SAFETY: forwarded; they have not been counted.
    let relay = unsafe { node.as_ref() };
    // SAFETY: taken out of the word, and nobody else had seen it.
    let waker = relay.state.take_forgotten().map(|signal| unsafe { Signal::dissolve(signal.cast()) });
    told.garbage.extend(waker.map(Garbage::Waker));
    let Some(occupied) = occupied else { return true };
    // One that has ended is past hoping: its functions are called.
    if !relay.is_done() {
        // ORDERING: hope (both ends). Our count of 0 was written before; now look at what is above.
        fence(Ordering::SeqCst);
        if relay.is_without_hope() {
            relay.give_up_hope(told);
        }
    }
    // A count that wrapped would free the node under those who sit in it.
    let Some(absent) = u32::try_from(occupied).ok().and_then(|occupied| BIAS.checked_sub(occupied)) else {
        std::process::abort();
    };
    // ORDERING: orphans (both ends).
    relay.orphans.fetch_sub(absent, Ordering::AcqRel) == absent
}

impl Node {
    /// Whether nothing can end this relay any more. Looks one level up: hopelessness is marked.
    ///
    /// For the one who abandons the node, which sits in its parents' slots still: so they are there to be looked at.
    fn is_without_hope(&self) -> bool {
        let gone = |above: NonNull<Node>| {
            // SAFETY: we sit in its slots, or count for it.
            // ORDERING: hope (reader), after the fence.
            unsafe { above.as_ref() }.handles.load(Ordering::Acquire) == HOPELESS
        };
        let above = match self.above() {
            Above::Slot(parent) => gone(parent),
            // An ended parent: so have we.
            Above::Strong(_) => false,
            Above::Base(_) => true,
        };
        let other = match self.extra().map(Extra::link) {
            Some(Link::Seated(other, _)) => gone(other),
            Some(Link::Counted(_)) => false,
            Some(Link::None) | None => true,
        };
        above && other && self.has_no_source()
    }

    /// Whether the node can only end from above.
    fn has_no_source(&self) -> bool {
        let foreign = self.extra().is_some_and(|extra| extra.foreign.is_some());
        // ORDERING: Relaxed. Without handles nobody moves it.
        !foreign && self.deadline.load(Ordering::Relaxed) == NEVER
    }

    /// Marks the relay hopeless, and everything below it that becomes so by that.
    fn give_up_hope(&self, told: &mut Told) {
        if !self.handles.mark(HOPELESS) {
            return;
        }
        // ORDERING: hope (both ends). Our mark is written; now look at the counts of the children.
        fence(Ordering::SeqCst);
        let _pin = reclaim::pin();
        // SAFETY: pinned; the caller has not yet counted the last handle down, so the node stays.
        unsafe { walk(NonNull::from(self), &mut Undertaker { told }) };
    }
}

/// Goes down into relays without hope, and claims the functions that nothing will call.
///
/// Whoever marks a relay walks through it, so each is walked once. A relay found in a slot may be leaving: nothing but
/// its own memory and the hopeless `under` is looked at, and what a merged relay's other parent has said is kept in the
/// relay itself.
struct Undertaker<'a> {
    told: &'a mut Told,
}

impl Visitor for Undertaker<'_> {
    fn enter(&mut self, node: &Node, under: &Node) -> bool {
        let lost = node.extra().is_none_or(|extra| extra.loses(node, under));
        // ORDERING: hope (reader), after the fence: what is lost is said first, then the count is looked at.
        let relay = node.handles.load(Ordering::Acquire) == 0;
        if !lost || !relay || node.is_done() || !node.has_no_source() || !node.handles.mark(HOPELESS) {
            return false;
        }
        // ORDERING: hope (both ends).
        fence(Ordering::SeqCst);
        true
    }

    fn leave(&mut self, _: &Node) {}

    unsafe fn signal(&mut self, signal: NonNull<Signal>, first: bool) {
        // Whoever waits holds a handle. So this is a forgotten future, which is past waking, or what a bridge attached, which
        // the last handle is just taking out. Its waker belongs to whoever tagged the slot first.
        if first {
            // SAFETY: forwarded.
            let signal = unsafe { signal.as_ref() };
            // SAFETY: pinned, and nobody else takes it.
            let waker = unsafe { signal.take() };
            self.told.garbage.push(Garbage::Waker(waker));
        }
    }

    unsafe fn hook(&mut self, hook: NonNull<Hook>) {
        // SAFETY: forwarded.
        if unsafe { hook.as_ref() }.claim() {
            // SAFETY: claimed.
            unsafe { self.told.hopeless.push(hook) };
        }
    }
}

impl Extra {
    /// Notes that `under`, one of the parents of `node`, is hopeless; true if none is left that is not.
    ///
    /// The link is read plainly: its constructor, which writes it, borrows a handle of each parent, so neither is hopeless
    /// by then.
    fn loses(&self, node: &Node, under: &Node) -> bool {
        let Link::Seated(other, _) = self.link() else { return true };
        let side = if ptr::eq(other.as_ptr(), under) { OTHER } else { PARENT };
        let rooted = if matches!(node.above(), Above::Base(_)) { PARENT } else { 0 };
        // ORDERING: hope (both ends): the second of two parents sees what the first has said.
        let said = self.said.fetch_or(side, Ordering::AcqRel) | side | rooted;
        said & (PARENT | OTHER) == PARENT | OTHER
    }
}

/// Takes the node apart: nothing below it is left, and no handle.
///
/// # Safety
///
/// As it says; called once.
unsafe fn finish(this: NonNull<Node>, agenda: &mut Agenda, told: &mut Told) {
    // SAFETY: forwarded.
    if let Some(parent) = unsafe { leave_chain(this) } {
        expect_beyond(this, parent);
        return count_down(parent, agenda);
    }
    // SAFETY: forwarded.
    let node = unsafe { this.as_ref() };
    node.trail.leaves();
    // What may still look at us: the driver that has claimed our timer, a foreign parent that is ending us, and cancelers
    // that found us in a slot. Each of them makes the memory go through the epoch.
    let mut seen = node.let_timer_go();
    if let Some(foreign) = node.extra().and_then(|extra| extra.foreign.as_ref()) {
        match foreign.disown() {
            Disowned::Yours => told.garbage.push(Garbage::Future(Arc::clone(foreign))),
            Disowned::Gone => {}
            Disowned::Ending => seen = true,
        }
    }
    let above = node.above();
    let owned_values = if node.owns_values() { node.values() } else { ptr::null() };
    let mut leave = |parent: NonNull<Node>, seat: Option<Seat>, entry: Entry| {
        let seat = seat.expect("whoever sits in a slot knows its seat");
        // SAFETY: we sit there; the parent is not touched again unless it waits for our count.
        let left = unsafe { seat.leave(entry) };
        seen |= left.closed;
        if left.orphan {
            count_down(parent, agenda);
        }
    };
    if let Some((extra, Link::Seated(other, seat))) = node.extra.zip(node.extra().map(Extra::link)) {
        leave(other, seat, Entry::new(Kind::Link, extra));
    }
    if let Above::Slot(parent) = above {
        leave(parent, node.seat(), Entry::new(Kind::Child, this));
    }
    let counted = match node.extra().map(Extra::link) {
        Some(Link::Counted(other)) => Some(other),
        _ => None,
    };
    let strong = match above {
        Above::Strong(parent) => Some(parent),
        _ => None,
    };
    // From here on the node may only be touched if nobody else can be looking.
    if seen {
        if node.is_done() {
            // SAFETY: decided, and nobody is left who could ask why.
            let cause = unsafe { node.state.take_cause() };
            told.garbage.extend(cause.map(Garbage::Cause));
        }
        if let Some(extra) = node.extra().filter(|_| node.forgo_deadline()) {
            // SAFETY: forgone.
            let cause = unsafe { extra.take_deadline_cause() };
            told.garbage.extend(cause.map(Garbage::Cause));
        }
        // Whoever looks may still end a live node with a cause of its own, or read the cause of a deadline that fires:
        // those go with the memory.
        // SAFETY: it has left every slot, for good.
        if !unsafe { Node::leave_to_canceler(this) } {
            // SAFETY: unreachable from any slot, claim or handle.
            unsafe { reclaim::retire(this.as_ptr().cast(), bury) };
        }
    } else {
        // SAFETY: nobody else can reach it.
        let (cause, extra) = unsafe { dismantle(this) };
        told.garbage.extend(cause.map(Garbage::Cause));
        told.garbage.extend(extra.map(Garbage::Extra));
    }
    for parent in [counted, strong].into_iter().flatten() {
        // SAFETY: the handle that this node kept.
        if unsafe { parent.as_ref() }.handles.release() {
            agenda.push(Step::Abandon(parent));
        }
    }
    // SAFETY: the node's share, if it had one.
    if unsafe { Binding::leave(owned_values) } {
        told.garbage.push(Garbage::Values(owned_values));
    }
    if let Above::Base(base) = above {
        if base.counts() {
            told.garbage.push(Garbage::Base(base));
        }
    }
}

/// Frees the node; what user code it owned comes back.
///
/// # Safety
///
/// The caller is the last to know it.
unsafe fn dismantle(this: NonNull<Node>) -> (Option<Cause>, Option<Box<Extra>>) {
    // SAFETY: forwarded.
    let node = unsafe { this.as_ref() };
    node.trail.gone(|| node.is_done());
    // SAFETY: forwarded.
    unsafe { node.attached.free() };
    node.canary.kill();
    // SAFETY: forwarded.
    let cause = unsafe { node.state.take_cause() };
    // SAFETY: it came from a box, and goes with the node.
    let extra = node.extra.map(|extra| unsafe { Box::from_raw(extra.as_ptr()) });
    // SAFETY: forwarded.
    unsafe { node.slots.free() };
    // SAFETY: as above, and its fields need no drop.
    unsafe { bury_memory(this.as_ptr()) };
    (cause, extra)
}

/// The same from the epoch: nobody is there to hear of a panic.
pub(super) unsafe fn bury(this: *mut ()) {
    // SAFETY: retired as a node.
    let node = unsafe { NonNull::new_unchecked(this.cast()) };
    // SAFETY: retired once.
    let leftovers = unsafe { dismantle(node) };
    let mut shield = Shield::new();
    shield.run(|| drop(leftovers));
    shield.absorb();
}
