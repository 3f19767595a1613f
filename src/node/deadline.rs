//! A node's own deadline: one word that says when, and a reminder in the timer's queues.
//!
//! # The decision
//!
//! `deadline` is moved by compare-and-swap, and fired by compare-and-swap to EXPIRED: one word, so a move either comes
//! before the decision, and the driver reads the new deadline, or after it, and fails. The reminder is never later than
//! the deadline; when it surfaces too early, it is put back. So a push back does not touch the timer at all.
//!
//! # The reminder
//!
//! `timer` holds the current cell. Whoever swaps it out owns it, and is the only one to touch it.
//!
//! ```text
//! null              never armed
//! cell              armed
//! cell | COUNTED    the same, but who counts reminders has counted this one off: the deadline has fired
//! .. | SEEN         a cell was surfacing when it was taken out: the node goes through the epoch
//! CLOSED            a canceler has taken the cell out, and has yet to let it go
//! .. | node         the owner has gone meanwhile, and handed the node over: that canceler retires it
//! CLOSED | SETTLED  whoever closed it has let the cell go
//! .. | CLEAN        and no driver was looking: nor is one now
//! ```
//!
//! A driver may claim a cell that is taken out but not let go, under a pin younger than the owner's going. So the owner
//! does not retire a node whose word is closed and not settled: it hands it to the canceler, who knows when.

use super::cancel::By;
use super::release::bury;
use super::timers::timers;
use super::told::Told;
use super::{EXPIRED, Extra, Node};
use crate::cause::Cause;
use crate::clock::{self, NEVER, Tick, When};
use crate::error::Error;
use crate::shield::Shield;
use crate::state::Ended;
use crate::sync::reclaim::{self, Guard};
use crate::sync::{Ordering, Tagged, addr_bits, strip};
use crate::timer::{Cell, Disarm, Surface, Target};
use crate::trace::{self, Sort, Whose};
use std::ptr::{self, NonNull};

const CLOSED: usize = 0b001;
const SEEN: usize = 0b010;
/// Only in a word with a cell in it.
const COUNTED: usize = 0b100;
const BITS: usize = CLOSED | SEEN | COUNTED;
// Only in a closed word, which holds no cell, but perhaps the node itself: by the owner's pointer, for no reference to a node
// gives the right to free it.
const CLEAN: usize = 0b0100;
const SETTLED: usize = 0b1000;

/// Ended by its own deadline.
const EXCEEDED: Sort = (Error::DeadlineExceeded, Whose::Own);

/// The cell in a word that is not closed.
fn cell_of(word: *mut ()) -> Option<NonNull<Cell<Node>>> {
    NonNull::new(strip(word, BITS).cast())
}

/// Whether a driver may have met the node, by a closed word.
fn met_driver(closed: *mut ()) -> bool {
    addr_bits(closed, SEEN | CLEAN) != CLEAN
}

impl Node {
    /// Puts a reminder for `key` in place of the one there may be. A context that ended meanwhile keeps none.
    ///
    /// The caller holds a handle.
    #[inline]
    pub(super) fn arm(&self, mut key: Tick) {
        loop {
            let cell = timers().prepare(key, NonNull::from(self));
            // ORDERING: timer-cell (both ends).
            let mut old = self.timer.load(Ordering::Acquire);
            loop {
                if addr_bits(old, CLOSED) != 0 {
                    // SAFETY: never submitted.
                    unsafe { timers().discard(cell) };
                    return;
                }
                let new = cell.as_ptr().cast::<()>().map_addr(|a| a | addr_bits(old, SEEN | COUNTED));
                // ORDERING: timer-cell (both ends).
                match self.timer.compare_exchange_weak(old, new, Ordering::AcqRel, Ordering::Acquire) {
                    Ok(_) => break,
                    Err(now) => old = now,
                }
            }
            trace::armed(|| cell_of(old).is_none());
            // SAFETY: prepared above, submitted once.
            unsafe { timers().submit(cell, key) };
            if let Some(old) = cell_of(old) {
                // SAFETY: swapped out by us.
                if matches!(unsafe { timers().disarm(old) }, Disarm::Surfacing) {
                    // Before our handle goes, so before anybody could free the node at once.
                    // ORDERING: timer-cell (both ends).
                    self.timer.set_bits(SEEN, Ordering::AcqRel);
                }
            }
            // Somebody may have moved the deadline to before our key, and had its cell replaced by ours.
            // ORDERING: deadline (reader).
            let now = self.deadline.load(Ordering::Acquire);
            if now >= key {
                break;
            }
            key = now;
        }
        // A canceler that looked for a timer before we put it there has left it to us.
        if self.is_done() {
            self.disarm();
        }
    }

    /// Queues the reminder that the node was made with.
    ///
    /// The caller holds a handle.
    #[inline]
    pub(super) fn submit(&self, cell: NonNull<Cell<Node>>, key: Tick) {
        trace::armed(|| true);
        // SAFETY: prepared with the node under this key, submitted once. A canceler may have let it go meanwhile: then it
        // is queued free, and recycled when it surfaces.
        unsafe { timers().submit(cell, key) };
    }

    /// The context has ended: the reminder goes at once.
    ///
    /// The caller keeps the node, by a handle or a pin.
    #[inline]
    pub(super) fn disarm(&self) {
        // ORDERING: timer-cell (reader). Whoever arms looks at the state afterwards; between two processors that see it
        // otherwise, the reminder surfaces and finds the context ended.
        if !self.timer.load(Ordering::Acquire).is_null() {
            self.disarm_reminder();
        }
    }

    /// Out of line: a walk meets few nodes that have one.
    #[inline(never)]
    fn disarm_reminder(&self) {
        let Ok(word) = self.shut(CLOSED) else { return };
        let met = self.release_cell(word, || addr_bits(word, COUNTED) == 0);
        let settled = if met { SETTLED } else { SETTLED | CLEAN };
        // ORDERING: timer-cell (both ends).
        let before = self.timer.set_bits(settled, Ordering::AcqRel);
        let handed = strip(before, BITS | CLEAN | SETTLED);
        if !handed.is_null() {
            // SAFETY: unreachable from any slot or handle; its owner has left it to us.
            unsafe { reclaim::retire(handed, bury) };
        }
    }

    /// The node is being taken apart: true if the driver may be looking at it.
    #[inline]
    pub(super) fn let_timer_go(&self) -> bool {
        // ORDERING: timer-cell (reader).
        if self.timer.load(Ordering::Acquire).is_null() {
            return false;
        }
        match self.shut(CLOSED | SETTLED) {
            Ok(word) => self.release_cell(word, || addr_bits(word, COUNTED) == 0),
            Err(closed) => met_driver(closed),
        }
    }

    /// As [`let_timer_go`](Self::let_timer_go), for a node without handles that no canceler ever found. Nobody else takes
    /// cells out of it any more (the driver leaves the one that it looks at), so the word need not say that it was taken.
    #[inline]
    pub(super) fn drop_timer(&self) -> bool {
        // ORDERING: timer-cell (reader). Whoever put the cell in held a handle.
        let word = self.timer.load(Ordering::Acquire);
        if word.is_null() {
            return false;
        }
        if addr_bits(word, CLOSED) != 0 {
            return met_driver(word);
        }
        self.release_cell(word, || self.count_off())
    }

    /// Takes the cell out for good, and leaves `closed`; the word that was there, or the one that is closed already.
    fn shut(&self, closed: usize) -> Result<*mut (), *mut ()> {
        // ORDERING: timer-cell (both ends).
        let mut word = self.timer.load(Ordering::Acquire);
        while addr_bits(word, CLOSED) == 0 {
            let closed = ptr::without_provenance_mut(closed | addr_bits(word, SEEN));
            match self.timer.compare_exchange_weak(word, closed, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(word),
                Err(now) => word = now,
            }
        }
        Err(word)
    }

    /// Lets the cell of an open word go, if there is one; true if the driver may be looking at the node. `counts` says, to those
    /// who count reminders, whether this one is still to be counted off.
    ///
    /// The caller has the cell to itself.
    #[inline(always)]
    fn release_cell(&self, word: *mut (), counts: impl FnOnce() -> bool) -> bool {
        let surfacing = cell_of(word).is_some_and(|cell| {
            trace::disarmed(NEVER, || counts().then(|| self.own_deadline()), clock::now);
            // SAFETY: ours, as nobody else takes it.
            matches!(unsafe { timers().disarm(cell) }, Disarm::Surfacing)
        });
        surfacing || addr_bits(word, SEEN) != 0
    }

    /// The owner is about to retire the node. True: a canceler has yet to let the cell go, and will retire the node; it is
    /// not touched again.
    ///
    /// # Safety
    ///
    /// The last handle of `this` is gone, it sits in no slot any more, and this is called once.
    pub(super) unsafe fn leave_to_canceler(this: NonNull<Node>) -> bool {
        // SAFETY: forwarded: ours until we hand it over.
        let timer = unsafe { &(*this.as_ptr()).timer };
        // ORDERING: timer-cell (both ends).
        let mut word = timer.load(Ordering::Acquire);
        while addr_bits(word, CLOSED | SETTLED) == CLOSED {
            let handed = this.as_ptr().cast::<()>().map_addr(|a| a | addr_bits(word, BITS));
            match timer.compare_exchange_weak(word, handed, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// For those who count reminders: the deadline of a node that ends by it, if its reminder is still counted. It is taken out
    /// later, by others.
    pub(super) fn fired(&self, ended: Ended) -> Option<Tick> {
        (ended.sort() == EXCEEDED && self.count_off()).then(|| self.own_deadline())
    }

    /// Marks the reminder as counted off; false if there is none, or if it was. Firing may meet the owner who lets go: the
    /// word says which of them counts.
    fn count_off(&self) -> bool {
        // ORDERING: Relaxed. A statistic; a swap hands on what others published with the word.
        let mut word = self.timer.load(Ordering::Relaxed);
        while addr_bits(word, CLOSED | COUNTED) == 0 && cell_of(word).is_some() {
            let counted = word.map_addr(|a| a | COUNTED);
            match self.timer.compare_exchange_weak(word, counted, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Moves the own deadline. False, and nothing changes, once the context has ended. A move to the past ends it here.
    ///
    /// The caller holds a handle.
    #[inline]
    pub(crate) fn reset(&self, When { tick: to, past }: When) -> bool {
        // ORDERING: deadline (reader).
        let from = self.deadline.load(Ordering::Acquire);
        // The common move: a push back, of a deadline that has not EXPIRED, which is later than any. The reminder is never
        // later than the deadline was, so that is all.
        let pushed = from <= to
            && !past
            && !self.is_done()
            // ORDERING: deadline (both ends). Either this move or the decision to fire comes first.
            && self.deadline.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok();
        pushed || self.reset_slowly(When { tick: to, past })
    }

    /// Any other move, or one that met another.
    #[inline(never)]
    fn reset_slowly(&self, When { tick: to, past }: When) -> bool {
        // ORDERING: deadline (reader).
        let mut from = self.deadline.load(Ordering::Acquire);
        loop {
            if self.is_done() {
                return false;
            }
            if from & EXPIRED != 0 {
                // The driver has decided and is on its way: end it here, so that nobody sees it live after our answer.
                self.end(self.late());
                return false;
            }
            // A move to the past is the decision itself: nobody can move it away again.
            let next = if past { to | EXPIRED } else { to };
            // ORDERING: deadline (both ends). As in `reset`.
            match self.deadline.compare_exchange_weak(from, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) if past => {
                    self.expire_earlier(to, clock::now());
                    self.end(self.decided());
                    // A cancel may have come in between; and whoever helped us may have ended it for us.
                    return self.err() == Some(Error::DeadlineExceeded);
                }
                Ok(_) if to < from => self.arm(to),
                Ok(_) => {}
                Err(seen) => {
                    from = seen;
                    continue;
                }
            }
            return true;
        }
    }

    /// Fires a deadline that has passed, unless it is moved first.
    ///
    /// The caller keeps the node alive by a handle, or by one on a descendant.
    pub(super) fn expire_now(&self, now: Tick) {
        // ORDERING: deadline (both ends).
        let mut seen = self.deadline.load(Ordering::Acquire);
        loop {
            if seen & EXPIRED != 0 {
                return self.end(self.late());
            }
            if seen > now {
                return;
            }
            // ORDERING: deadline (both ends).
            match self.deadline.compare_exchange_weak(seen, seen | EXPIRED, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return self.end(self.decided()),
                Err(other) => seen = other,
            }
        }
    }

    /// Of two past deadlines the earlier gives the cause: fires the earliest of this node and its ancestors that has passed
    /// before `at`, if the driver has not come to it yet.
    pub(super) fn expire_earlier(&self, at: Tick, now: Tick) {
        let mut first: Option<&Node> = None;
        self.each_upwards(|node| {
            if node.own_deadline() < first.map_or(at, Node::own_deadline) {
                first = Some(node);
            }
        });
        if let Some(late) = first {
            late.expire_now(now);
        }
    }

    /// The node is being taken apart: true if nobody will read the cause of its deadline any more.
    pub(super) fn forgo_deadline(&self) -> bool {
        // ORDERING: deadline (both ends). Without handles only who wins EXPIRED reads the cause, and says so afterwards.
        self.deadline.fetch_or(EXPIRED, Ordering::AcqRel) & EXPIRED == 0
            || self.extra().is_none_or(Extra::cause_was_read)
    }

    /// The end by the own deadline, for the one who has decided it.
    fn decided(&self) -> Ended {
        let ended = self.late();
        if let Some(extra) = self.extra() {
            extra.say_cause_was_read();
        }
        ended
    }

    /// The end by the own deadline, with its own cause if it was given one. For those who hold a handle, or have decided.
    fn late(&self) -> Ended {
        let cause = self.extra().and_then(Extra::deadline_cause);
        Ended::own(cause.unwrap_or_else(|| Cause::from(Error::DeadlineExceeded)))
    }
}

// SAFETY: `surface` touches the node only while the driver's pin protects it: a node whose cell is claimed is freed
// through the epoch (see `let_timer_go`).
unsafe impl Target for Node {
    type Told = Told;

    unsafe fn surface(this: NonNull<Self>, now: Tick, _: &Guard, told: &mut Told) -> Surface {
        // SAFETY: forwarded.
        let node = unsafe { this.as_ref() };
        node.canary.touch();
        // ORDERING: deadline (both ends).
        let mut when = node.deadline.load(Ordering::Acquire);
        loop {
            if when >= NEVER || node.is_done() {
                return Surface::Over;
            }
            if when > now {
                return Surface::Later(when);
            }
            // ORDERING: deadline (both ends).
            match node.deadline.compare_exchange_weak(when, when | EXPIRED, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => break,
                Err(seen) => when = seen,
            }
        }
        // SAFETY: claimed, under the driver's pin.
        unsafe { node.mark(node.decided(), told, By::Reminder) };
        Surface::Over
    }

    fn tell(told: Told) {
        let mut shield = Shield::new();
        told.tell(&mut shield);
        shield.finish();
    }

    fn wake(told: &mut Told) -> bool {
        let mut shield = Shield::new();
        let more = told.wake(&mut shield);
        shield.absorb();
        more
    }
}
