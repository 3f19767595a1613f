//! Birth: a node is made, registered with its parents, and armed.
//!
//! A context is either born ended or registered where its parent's canceler will find it. The parent's state is looked
//! at first, then a slot is taken by one compare-and-swap, and the state looked at again: who finds the end then gives the
//! slot back, unless a canceler has found it there.

use super::attached::Attachment;
use super::foreign::Task;
use super::{Above, BIAS, Derived, Extra, Link, Node, Parent, Values, bequest, timers};
use crate::base::Base;
use crate::cause::Cause;
use crate::clock::{self, NEVER, Tick, When};
use crate::error::Error;
use crate::foreign::Foreign;
use crate::refs::RefCount;
use crate::slots::{Closed, Entry, Kind, Seated, SlotList};
use crate::state::{Ended, State};
use crate::sync::{AtomicPtr, AtomicU32, AtomicU64, Canary, Ordering, UnsafeCell, stock};
use crate::timer::Cell;
use crate::trace::Trail;
use crate::value::Binding;
use std::ptr::{self, NonNull};
use std::sync::Arc;

/// What a context is derived from. The caller keeps it alive.
#[derive(Copy, Clone)]
pub(crate) enum Origin {
    /// The nearest context that can end, and the values seen from where we derive.
    Node(NonNull<Node>, *const Binding),
    /// Nothing above can end.
    Base(Base, *const Binding),
}

/// What is wanted of a new context.
pub(crate) struct Plan {
    when: When,
    extra: Option<Box<Extra>>,
    other: Option<NonNull<Node>>,
}

/// Two handles: a `Context` and a `CancelHandle`.
const HANDLES: u32 = 2;

impl Plan {
    pub(crate) fn until(when: When) -> Plan {
        Plan { when, extra: None, other: None }
    }

    /// With this cause if its own deadline ends it.
    pub(crate) fn cause(mut self, cause: Cause) -> Plan {
        let mut extra = Box::new(Extra::new(Derived::Cancel));
        extra.deadline_cause = UnsafeCell::new(Some(cause.with_kind(Error::DeadlineExceeded)));
        self.extra = Some(extra);
        self
    }

    /// A merge: the second parent, if it is one that can end.
    pub(crate) fn merge(other: Option<NonNull<Node>>) -> Plan {
        Plan { when: When::NEVER, extra: Some(Box::new(Extra::new(Derived::CancelFrom))), other }
    }

    pub(crate) fn foreign<F>(future: F) -> (Plan, Arc<Task<F>>)
    where
        F: Future + Send + 'static,
        F::Output: Into<Cause>,
    {
        let task = Task::new(future);
        let mut extra = Box::new(Extra::new(Derived::CancelOn));
        extra.foreign = Some(Arc::clone(&task) as Arc<dyn Foreign>);
        (Plan { when: When::NEVER, extra: Some(extra), other: None }, task)
    }
}

impl Origin {
    fn node(&self) -> Option<&Node> {
        match self {
            // SAFETY: the caller keeps it alive.
            Origin::Node(node, _) => Some(unsafe { node.as_ref() }),
            Origin::Base(..) => None,
        }
    }

    fn values(&self) -> *const Binding {
        match self {
            Origin::Node(_, values) | Origin::Base(_, values) => *values,
        }
    }
}

/// Makes a context with two handles. Constant time, lock-free; user code does not run here.
///
/// # Safety
///
/// What `origin` and `plan` name is alive.
pub(crate) unsafe fn spawn(origin: Origin, plan: Plan) -> NonNull<Node> {
    let above = origin.node();
    let other = plan.other.filter(|other| !above.is_some_and(|above| ptr::eq(above, other.as_ptr())));
    // The states of the parents first: what is derived from an ended context is born ended.
    if let Some(ended) = above.and_then(|above| above.state.bequest()) {
        // SAFETY: forwarded.
        return unsafe { born_ended(origin, plan, other, ended) };
    }
    // SAFETY: forwarded.
    if let Some(ended) = other.and_then(|other| unsafe { other.as_ref() }.state.bequest()) {
        // SAFETY: forwarded.
        return unsafe { born_ended(origin, plan, other, ended) };
    }
    if plan.when.past {
        // SAFETY: forwarded.
        return unsafe { born_late(origin, plan) };
    }
    let parent = match origin {
        Origin::Node(node, _) => Above::Slot(node),
        Origin::Base(base, _) => Above::Base(base),
    };
    let deadline = plan.when.tick;
    // SAFETY: forwarded.
    let node = unsafe { build(origin, parent, plan, State::live()) };
    // SAFETY: just made: ours alone.
    let reminder = unsafe { remind(node, deadline) };
    if let Origin::Node(above, _) = origin {
        // SAFETY: just made; forwarded.
        if !unsafe { publish(node, above, reminder) } {
            return node;
        }
    }
    // SAFETY: its handles are ours until we return.
    let alive = unsafe { &*node.as_ptr().cast_const() };
    if let Some(other) = other {
        // SAFETY: forwarded.
        unsafe { join(alive, other) };
    }
    if let Some(cell) = reminder {
        alive.submit(cell, deadline);
    }
    node
}

/// The common birth: right below a live node whose values it sees, with nothing of its own but a deadline. `None`: take the
/// long way.
///
/// # Safety
///
/// `above` is alive. The deadline has not passed.
#[inline]
pub(crate) unsafe fn spawn_below(above: NonNull<Node>, deadline: Tick) -> Option<NonNull<Node>> {
    // SAFETY: forwarded.
    unsafe { below(above, |parent| Values::seen(parent.values()), deadline) }
}

/// The same from a value's context, which sees `head` above that node.
///
/// # Safety
///
/// As for [`spawn_below`]; the caller has a share of the values.
#[inline(never)]
pub(crate) unsafe fn spawn_below_value(
    above: NonNull<Node>,
    head: *const Binding,
    deadline: Tick,
) -> Option<NonNull<Node>> {
    let own = |_: &Node| {
        // SAFETY: forwarded.
        unsafe { Binding::share(head) };
        Values::own(head)
    };
    // SAFETY: forwarded.
    unsafe { below(above, own, deadline) }
}

/// # Safety
///
/// As for [`spawn_below`].
#[inline(always)]
unsafe fn below(above: NonNull<Node>, values: impl FnOnce(&Node) -> Values, deadline: Tick) -> Option<NonNull<Node>> {
    // SAFETY: forwarded.
    let parent = unsafe { above.as_ref() };
    if parent.state.is_done() {
        return None;
    }
    let trail = Trail::born(|| None, clock::now);
    let node = make(fresh(Above::Slot(above), values(parent), deadline, trail));
    // SAFETY: just made: ours alone.
    let reminder = unsafe { remind(node, deadline) };
    // SAFETY: just made; forwarded.
    if unsafe { publish(node, above, reminder) } {
        if let Some(cell) = reminder {
            // SAFETY: its handles are ours until we return.
            unsafe { node.as_ref() }.submit(cell, deadline);
        }
    }
    Some(node)
}

/// The common root: on a base that has nothing to count, with nothing of its own but a deadline, which has not passed.
#[inline]
pub(crate) fn spawn_root(base: Base, deadline: Tick) -> NonNull<Node> {
    debug_assert!(!base.counts());
    let trail = Trail::born(|| None, clock::now);
    let node = make(fresh(Above::Base(base), Values::seen(ptr::null()), deadline, trail));
    // SAFETY: just made: ours alone.
    if let Some(cell) = unsafe { remind(node, deadline) } {
        // SAFETY: its handles are ours until we return.
        unsafe { node.as_ref() }.submit(cell, deadline);
    }
    node
}

/// Gives a new node the reminder of its deadline. It is submitted when the node has been published: a driver that meets
/// it earlier would look at a node that may still be taken back.
///
/// # Safety
///
/// The node was just made, and is the caller's alone.
#[inline]
unsafe fn remind(node: NonNull<Node>, deadline: Tick) -> Option<NonNull<Cell<Node>>> {
    if deadline >= NEVER {
        return None;
    }
    let cell = timers().prepare(deadline, node);
    // SAFETY: forwarded.
    let timer = unsafe { &(*node.as_ptr()).timer };
    // ORDERING: Relaxed. Published with the node.
    timer.store(cell.as_ptr().cast(), Ordering::Relaxed);
    Some(cell)
}

/// Registers a new node with its parent. False: the parent has ended, and the node is born ended.
///
/// # Safety
///
/// The node was just made with a counted claim to nothing, `reminder` is its own and not submitted, and `above` is alive.
#[inline]
unsafe fn publish(node: NonNull<Node>, above: NonNull<Node>, reminder: Option<NonNull<Cell<Node>>>) -> bool {
    // SAFETY: just made, not published: the tries to publish it write its seat.
    let fresh = unsafe { &*node.as_ptr().cast_const() };
    let placed = |seat| {
        // Nothing outside the models, some of which stop here: between the look at the slot and the compare-and-swap.
        fresh.canary.touch();
        fresh.seat.with_mut(|own| {
            // SAFETY: a try that failed published nothing, so the node is still ours alone.
            unsafe { *own = Some(seat) };
        });
    };
    // SAFETY: forwarded.
    let parent = unsafe { above.as_ref() };
    match parent.slots.register(&parent.state, Entry::new(Kind::Child, node), placed) {
        Ok(Seated::InTime) => true,
        Ok(Seated::Late) => {
            fresh.end_late(parent);
            true
        }
        Err(Closed) => {
            // SAFETY: not published: ours alone.
            unsafe { end_unborn(node, above, reminder) };
            false
        }
    }
}

impl Node {
    /// A canceler that came by before the node was registered may have returned: whoever sees that sees the node ended. So it
    /// is not left to the one that has found it.
    #[cold]
    fn end_late(&self, parent: &Node) {
        self.end(bequest(parent));
    }
}

/// Registers a merged context with its second parent.
///
/// # Safety
///
/// The caller owns the node's handles and has not returned them; `other` is alive.
#[cold]
unsafe fn join(node: &Node, other: NonNull<Node>) {
    let extra = node.extra.expect("a merged context has an extra part");
    // SAFETY: freed with the node.
    let part = unsafe { extra.as_ref() };
    let set = |link| {
        // As in `publish`.
        node.canary.touch();
        part.link.with_mut(|own| {
            // SAFETY: nobody reads the link before a handle is returned or it is published in `other`'s slots.
            unsafe { *own = link };
        });
    };
    // SAFETY: forwarded.
    let parent = unsafe { other.as_ref() };
    let entry = Entry::new(Kind::Link, extra);
    match parent.slots.register(&parent.state, entry, |seat| set(Link::Seated(other, Some(seat)))) {
        Ok(Seated::InTime) => {}
        Ok(Seated::Late) => node.end_late(parent),
        Err(Closed) => {
            parent.add_handle();
            set(Link::Counted(other));
            node.end(bequest(parent));
        }
    }
}

/// A node that no slot knows, because a parent has ended.
///
/// # Safety
///
/// As for `spawn`. The end comes from the origin's node or from `other`, which the new node keeps alive.
#[cold]
unsafe fn born_ended(origin: Origin, plan: Plan, other: Option<NonNull<Node>>, ended: Ended) -> NonNull<Node> {
    // SAFETY: forwarded.
    let node = unsafe { build(origin, strong(origin), plan, State::born(ended)) };
    if let Some(other) = other {
        // SAFETY: forwarded.
        unsafe { other.as_ref() }.add_handle();
        // SAFETY: just made, ours alone.
        if let Some(extra) = unsafe { node.as_ref() }.extra {
            // SAFETY: ours alone.
            unsafe { (*extra.as_ptr()).link = UnsafeCell::new(Link::Counted(other)) };
        }
    }
    node
}

/// A node whose deadline has passed already. Of two past deadlines the earlier gives the cause: an ancestor's that the
/// driver has not come to yet is fired from here.
///
/// # Safety
///
/// As for `spawn`.
#[cold]
unsafe fn born_late(origin: Origin, plan: Plan) -> NonNull<Node> {
    if let Some(above) = origin.node() {
        above.expire_earlier(plan.when.tick, clock::now());
    }
    if let Some(ended) = origin.node().and_then(|above| above.state.bequest()) {
        // SAFETY: forwarded.
        return unsafe { born_ended(origin, plan, None, ended) };
    }
    let cause = plan.extra.as_ref().and_then(|extra| extra.deadline_cause());
    let ended = Ended::own(cause.unwrap_or_else(|| Cause::from(Error::DeadlineExceeded)));
    // SAFETY: forwarded.
    unsafe { build(origin, strong(origin), plan, State::born(ended)) }
}

/// The parent of a node that sits in no slot: counted.
fn strong(origin: Origin) -> Above {
    match origin {
        Origin::Node(node, _) => {
            // SAFETY: the caller of `spawn` keeps it alive, by a handle.
            unsafe { node.as_ref() }.add_handle();
            Above::Strong(node)
        }
        Origin::Base(base, _) => Above::Base(base),
    }
}

/// Makes the node: the one allocation of a context (two with an extra part).
///
/// # Safety
///
/// As for `spawn`.
#[inline]
unsafe fn build(origin: Origin, above: Above, plan: Plan, state: State) -> NonNull<Node> {
    let inherited = match origin {
        // SAFETY: forwarded.
        Origin::Node(node, _) => unsafe { node.as_ref() }.values(),
        Origin::Base(base, _) => {
            // SAFETY: forwarded.
            unsafe { base.share() };
            // SAFETY: forwarded.
            unsafe { base.values() }
        }
    };
    let head = origin.values();
    let values = if ptr::eq(inherited, head) {
        Values::seen(head)
    } else {
        // Derived from a value's context.
        // SAFETY: forwarded.
        unsafe { Binding::share(head) };
        Values::own(head)
    };
    let extra = plan.extra.map(|extra| NonNull::from(Box::leak(extra)));
    let trail = Trail::born(|| state.sort(), clock::now);
    let node = make(Node { state, extra, ..fresh(above, values, plan.when.tick, trail) });
    if let Some(extra) = extra {
        // SAFETY: ours alone.
        unsafe { (*extra.as_ptr()).node = node };
    }
    node
}

/// The parent ended before the node could be registered: it is born ended after all.
///
/// # Safety
///
/// The node was not published, nor its reminder submitted; `above` is alive.
#[cold]
unsafe fn end_unborn(node: NonNull<Node>, above: NonNull<Node>, reminder: Option<NonNull<Cell<Node>>>) {
    if let Some(cell) = reminder {
        // SAFETY: forwarded.
        unsafe { timers().discard(cell) };
    }
    // SAFETY: forwarded.
    let parent = unsafe { above.as_ref() };
    parent.add_handle();
    let node = node.as_ptr();
    // SAFETY: forwarded: ours alone.
    unsafe { (*node).state = State::born(bequest(parent)) };
    // SAFETY: as above.
    unsafe { (*node).trail.born_ended(|| bequest(parent).sort()) };
    // SAFETY: as above.
    unsafe { (*node).parent = Parent::of(Above::Strong(above)) };
    // SAFETY: as above.
    unsafe { (*node).seat = UnsafeCell::new(None) };
    // SAFETY: as above.
    unsafe { (*node).timer = AtomicPtr::new(ptr::null_mut()) };
}

/// A live node with two handles, without a seat, a reminder or an extra part.
#[inline(always)]
fn fresh(above: Above, values: Values, deadline: Tick, trail: Trail) -> Node {
    Node {
        state: State::live(),
        slots: SlotList::new(),
        handles: RefCount::new(HANDLES),
        orphans: AtomicU32::new(BIAS),
        parent: Parent::of(above),
        seat: UnsafeCell::new(None),
        values,
        timer: AtomicPtr::new(ptr::null_mut()),
        deadline: AtomicU64::new(deadline),
        extra: None,
        canary: Canary::new(),
        trail,
        attached: Attachment::new(),
    }
}

/// The one allocation of a context.
#[inline(always)]
fn make(node: Node) -> NonNull<Node> {
    stock::make(node)
}
