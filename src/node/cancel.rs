//! The end: mark the whole subtree, then tell whoever waits.
//!
//! # Helping
//!
//! A node is PROPAGATED when everything below it has ended: whoever has walked it says so, and that goes for all that inherited its
//! end. A cancel that finds its node ended but not propagated walks the subtree itself, through nodes that somebody else marked too.
//! Who helps cannot say it at the origin, and says it at every node that it has been below: were the other stopped for long, each
//! cancel further down would walk the same way again.
//!
//! So when any cancel returns, everything that was registered before it began has ended, and no canceler ever waits for another.

use super::told::{Garbage, Told};
use super::walk::{Visitor, walk};
use super::{Extra, Node, bequest};
use crate::clock::{self, NEVER};
use crate::foreign::Disowned;
use crate::hook::Hook;
use crate::signal::Signal;
use crate::state::{Begin, Ended};
use crate::sync::reclaim;
use crate::trace::{self, Ends};
use std::ptr::{self, NonNull};
use std::sync::Arc;

/// Who ends a node.
#[derive(Copy, Clone)]
pub(super) enum By {
    /// The driver, for the node's own reminder.
    Reminder,
    /// Somebody who has a handle on the node.
    Holder,
    Another,
}

/// Where a canceler goes from the node that it has marked.
#[derive(Copy, Clone, PartialEq, Eq)]
enum On {
    Nowhere,
    Down,
    /// Somebody else has ended the node, and may be on the way below.
    DownToHelp,
}

/// Marks what it meets, and takes whoever waits there.
struct Canceler<'a, const HELPS: bool> {
    told: &'a mut Told,
    /// What is inherited from the node that the walk is in, if it has met a child of it.
    under: *const Node,
    bequest: Option<Ended>,
}

impl<'a, const HELPS: bool> Canceler<'a, HELPS> {
    fn new(told: &'a mut Told) -> Self {
        Canceler { told, under: ptr::null(), bequest: None }
    }
}

impl<const HELPS: bool> Visitor for Canceler<'_, HELPS> {
    const LEAVES_ALL: bool = HELPS;

    #[inline]
    fn enter(&mut self, node: &Node, under: &Node) -> bool {
        if !ptr::eq(self.under, under) {
            (self.under, self.bequest) = (under, Some(bequest(under)));
        }
        self.bequest.is_some_and(|ended| node.mark_here(ended, self.told, By::Another, || ()) != On::Nowhere)
    }

    #[inline]
    fn leave(&mut self, node: &Node) {
        node.state.set_propagated();
    }

    unsafe fn signal(&mut self, signal: NonNull<Signal>, first: bool) {
        // SAFETY: forwarded.
        unsafe { signal.as_ref() }.met();
        if first {
            // SAFETY: pinned, and we tagged its slot.
            unsafe { self.told.takes(signal) };
        }
    }

    unsafe fn hook(&mut self, hook: NonNull<Hook>) {
        // SAFETY: forwarded.
        if unsafe { hook.as_ref() }.claim() {
            // SAFETY: claimed.
            unsafe { self.told.hooks.push(hook) };
        }
    }
}

impl Node {
    /// Ends this context, if it has not ended, and everything below it; wakes and calls whoever waits for that.
    ///
    /// The caller holds a handle. User code runs after the marking, on this thread; its first panic goes on from here.
    pub(crate) fn end(&self, ended: Ended) {
        let mut told = Told::default();
        // SAFETY: a handle keeps the node.
        unsafe { self.mark(ended, &mut told, By::Holder) };
        told.tell_alone();
    }

    /// The marking alone, of this node and everything below it.
    ///
    /// # Safety
    ///
    /// The node stays alive: by a handle, or by a claim won under a pin that lasts. `By::Holder`: it is a handle. `By::Reminder`: the
    /// caller is the driver, and that claim is of the node's reminder.
    #[inline]
    pub(super) unsafe fn mark(&self, ended: Ended, told: &mut Told, by: By) {
        let mut pin = None;
        let on = self.mark_here(ended, told, by, || {
            pin.get_or_insert_with(reclaim::pin);
        });
        if on != On::Nowhere {
            let _pin = pin.unwrap_or_else(reclaim::pin);
            let root = NonNull::from(self);
            if on == On::Down {
                // SAFETY: pinned; the caller keeps the root.
                unsafe { walk(root, &mut Canceler::<false>::new(told)) };
            } else {
                // SAFETY: as above.
                unsafe { walk(root, &mut Canceler::<true>::new(told)) };
            }
        }
        told.ends.counted();
    }

    /// Marks this node. Down: somebody may sit in its slots, which are still to be walked. A cause that came second goes
    /// with what is told: its drop is user code. `pin` is called before anybody is found who waits.
    #[inline]
    fn mark_here(&self, ended: Ended, told: &mut Told, by: By, pin: impl FnMut()) -> On {
        self.canary.touch();
        // SAFETY: the caller keeps the node; the state is offered the end next.
        let words = Ends::heard(|| ended.sort(), || unsafe { self.words(ended) });
        let begun = self.state.begin(ended, pin);
        match begun {
            Begin::First(waiter) => {
                if let Some(signal) = waiter {
                    // SAFETY: pinned before it was found: its owner leaves through the epoch. We ended the state with it.
                    unsafe { told.takes(signal.cast()) };
                }
                told.ends.marked(|| ended.sort(), words);
                trace::disarmed(NEVER, || self.fired(ended), clock::now);
                // A reminder that surfaces is the owner's to let go: so a leaf that no canceler found has it to itself.
                if !matches!(by, By::Reminder) {
                    self.disarm();
                }
                self.disown(told);
            }
            // SAFETY: the state did not take it.
            Begin::Again | Begin::Propagated => unsafe { told.came_second(ended) },
        }
        let on = match begun {
            Begin::First(_) => On::Down,
            Begin::Again if !self.is_propagated_above(by) => On::DownToHelp,
            Begin::Again | Begin::Propagated => On::Nowhere,
        };
        // Where nobody has sat, nobody is who will not see the end: not worth the word PROPAGATED.
        if self.slots.is_virgin() { On::Nowhere } else { on }
    }

    /// Whether the walk is over by which this node's end was inherited; false also if we cannot ask.
    fn is_propagated_above(&self, by: By) -> bool {
        if !matches!(by, By::Holder) {
            return false;
        }
        self.canary.touch();
        // SAFETY: a handle, says the caller of the marking.
        unsafe { self.state.is_propagated_above() }
    }

    /// A foreign parent that did not end the node is let go.
    #[inline]
    fn disown(&self, told: &mut Told) {
        if let Some(extra) = self.extra() {
            extra.disown(told);
        }
    }
}

impl Extra {
    /// As [`Node::disown`]; out of line, as few nodes have one.
    #[inline(never)]
    fn disown(&self, told: &mut Told) {
        if let Some(foreign) = &self.foreign {
            if foreign.disown() == Disowned::Yours {
                told.garbage.push(Garbage::Future(Arc::clone(foreign)));
            }
        }
    }
}
