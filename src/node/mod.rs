//! One context that can end: a vertex of the tree.
//!
//! # Who may touch what
//!
//! 1. `state` and `slots` by anyone who keeps the node alive: by a handle, by an entry in its slots, by a pin under which
//!    it was found in a slot, or by a won claim (timer, foreign future) under a pin.
//! 2. `parent`, `extra` and `values` are written before the node is published, and fixed.
//! 3. `seat` is written before each try to publish. Once published it is fixed.
//! 4. `handles` counts user handles. From 0 it never rises: a handle is only made from a handle. At 0 it may be marked
//!    [`HOPELESS`].
//! 5. `orphans` is counted down by entries that leave a slot tagged ORPHAN, and once by the last handle. Whoever brings it
//!    to 0 takes the node apart.
//! 6. `timer` is a word of ownership: whoever swaps a cell out of it is the only one to touch the cell.
//! 7. `deadline` is the deadline. Cells in the timer's queues are reminders to look at it.
//!
//! # Life
//!
//! ```text
//! spawn ──> live ──cancel──> ended
//!             │                │
//!         last handle gone: abandon
//!             │ nobody in the slots           somebody: the node is a relay until the last of them has left
//!             v                                          v
//!           finish: leave the parent's slot; free at once, or through the epoch if a canceler may be looking
//! ```

mod attached;
mod cancel;
mod deadline;
mod foreign;
mod leaf;
mod registering;
mod release;
mod report;
mod spawn;
mod tell;
mod timers;
mod told;
mod walk;

#[cfg(any(feature = "crossbeam-channel", feature = "loom"))]
pub(crate) use attached::Thing;
pub(crate) use registering::{Waiting, hook, stop};
pub(crate) use report::enlist;
#[cfg(feature = "inspect")]
pub(crate) use report::{Line, count_listed, each_line};
pub(crate) use timers::{are_awaited, timers};

pub(crate) use spawn::{Origin, Plan, spawn, spawn_below, spawn_below_value, spawn_root};
pub(crate) use tell::{drop_base, drop_handle, drop_values, run_now};

use crate::base::{Base, DETACHED, TAG};
use crate::cause::Cause;
use crate::clock::{NEVER, Tick};
use crate::error::Error;
use crate::foreign::Foreign;
use crate::refs::RefCount;
use crate::slots::{Seat, SlotList};
use crate::state::{Ended, State};
use crate::sync::{AtomicPtr, AtomicU32, AtomicU64, Canary, Ordering, UnsafeCell, addr_bits, strip};
use crate::trace::Trail;
use crate::value::Binding;
use attached::Attachment;
use std::collections::HashSet;
use std::ptr::NonNull;
use std::sync::Arc;

/// What `handles` says of a relay that nothing can end any more.
const HOPELESS: u32 = 1 << (u32::BITS - 1);
/// A bit of `said`: the first parent of a merged context is hopeless.
const PARENT: u32 = 0b001;
/// A bit of `said`: the second parent is.
const OTHER: u32 = 0b010;
/// A bit of `said`: whoever decided to fire the deadline has read its cause.
const READ: u32 = 0b100;
/// Where `orphans` starts: more than there may be entries.
const BIAS: u32 = 1 << (u32::BITS - 1);
/// The bit of `deadline` that says: decided, the context is ending by it.
const EXPIRED: u64 = 1 << 63;

/// What a look, a registrant and a canceler touch comes first, and fits one cache line where an allocator places it; what
/// only the owner needs comes last.
#[repr(C, align(16))]
pub(crate) struct Node {
    state: State,
    extra: Option<NonNull<Extra>>,
    timer: AtomicPtr<()>,
    slots: SlotList,
    handles: RefCount,
    orphans: AtomicU32,
    parent: Parent,
    seat: UnsafeCell<Option<Seat>>,
    values: Values,
    deadline: AtomicU64,
    canary: Canary,
    /// Nothing at all, but for features that want to know more.
    trail: Trail,
    attached: Attachment,
}

#[cfg(all(target_pointer_width = "64", not(feature = "loom")))]
const _: () = assert!(
    size_of::<Node>() == (112 + size_of::<Trail>() + size_of::<Attachment>()).next_multiple_of(16),
    "with the allocator's word a child costs two cache lines, and what its observers ask for"
);
#[cfg(not(any(feature = "tracing", feature = "inspect", feature = "crossbeam-channel", feature = "loom")))]
const _: () = assert!(size_of::<Trail>() + size_of::<Attachment>() == 0, "nobody asks for anything");

// SAFETY: see "Who may touch what"; values and causes are `Send + Sync` by their bounds.
unsafe impl Send for Node {}
// SAFETY: as for `Send`.
unsafe impl Sync for Node {}

/// What few nodes have. Aligned for slot entries: the entry of a merge points here.
#[repr(align(16))]
pub(crate) struct Extra {
    /// The node that this belongs to.
    node: NonNull<Node>,
    pub(crate) kind: Derived,
    link: UnsafeCell<Link>,
    /// What has been said: [`PARENT`], [`OTHER`], [`READ`].
    said: AtomicU32,
    foreign: Option<Arc<dyn Foreign>>,
    /// Read by whoever wins the decision to fire; taken when there is none to win any more.
    deadline_cause: UnsafeCell<Option<Cause>>,
}

/// The second parent of a merged context.
#[derive(Copy, Clone)]
pub(crate) enum Link {
    None,
    /// Registered there.
    Seated(NonNull<Node>, Option<Seat>),
    /// It had ended at birth: a counted handle.
    Counted(NonNull<Node>),
}

/// How a context was derived, for display.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Derived {
    Cancel,
    CancelFrom,
    CancelOn,
}

/// What a node was derived from: a tagged word.
#[derive(Copy, Clone)]
struct Parent(*mut ());

/// [`Parent`], unpacked.
#[derive(Copy, Clone)]
pub(crate) enum Above {
    /// We sit in its slots.
    Slot(NonNull<Node>),
    /// It had ended when we were born: a counted handle.
    Strong(NonNull<Node>),
    /// Nothing that can end.
    Base(Base),
}

const STRONG: usize = 0b01;

/// The values that can be seen from a node: a pointer, tagged if a share of them is the node's own. Otherwise what is
/// above the node keeps them.
#[derive(Copy, Clone)]
struct Values(*const Binding);

const OWN: usize = 0b1;

impl Values {
    fn seen(head: *const Binding) -> Values {
        Values(head)
    }

    fn own(head: *const Binding) -> Values {
        Values(head.map_addr(|a| a | OWN))
    }

    #[inline]
    fn head(self) -> *const Binding {
        self.0.map_addr(|a| a & !OWN)
    }

    #[inline]
    fn is_own(self) -> bool {
        self.0.addr() & OWN != 0
    }
}

impl Parent {
    fn of(above: Above) -> Parent {
        Parent(match above {
            Above::Slot(node) => node.as_ptr().cast(),
            Above::Strong(node) => node.as_ptr().cast::<()>().map_addr(|a| a | STRONG),
            Above::Base(base) => base.word(),
        })
    }

    fn above(self) -> Above {
        let tag = addr_bits(self.0, TAG);
        if tag >= DETACHED {
            // SAFETY: made of a base, by its tag.
            return Above::Base(unsafe { Base::of_word(self.0) });
        }
        // SAFETY: made of a node, by its tag.
        let node = unsafe { NonNull::new_unchecked(strip(self.0, TAG).cast::<Node>()) };
        if tag == STRONG { Above::Strong(node) } else { Above::Slot(node) }
    }

    /// The node above, however it is kept alive.
    fn node(self) -> Option<NonNull<Node>> {
        match self.above() {
            Above::Slot(node) | Above::Strong(node) => Some(node),
            Above::Base(_) => None,
        }
    }
}

impl Node {
    /// One load, never blocking.
    #[inline(always)]
    pub(crate) fn is_done(&self) -> bool {
        self.state.is_done()
    }

    #[inline(always)]
    pub(crate) fn err(&self) -> Option<Error> {
        self.state.err()
    }

    pub(crate) fn cause(&self) -> Option<Cause> {
        self.canary.touch();
        self.state.cause()
    }

    pub(crate) fn above(&self) -> Above {
        self.parent.above()
    }

    fn seat(&self) -> Option<Seat> {
        self.seat.with(|seat| {
            // SAFETY: fixed since the node was published.
            unsafe { *seat }
        })
    }

    /// The values that can be seen from here.
    #[inline]
    pub(crate) fn values(&self) -> *const Binding {
        self.values.head()
    }

    /// Whether the chain of values starts with a share of our own: then we were derived from a value's context.
    pub(crate) fn owns_values(&self) -> bool {
        self.values.is_own()
    }

    pub(crate) fn extra(&self) -> Option<&Extra> {
        // SAFETY: fixed before publication, freed with the node.
        self.extra.map(|extra| unsafe { &*extra.as_ptr().cast_const() })
    }

    /// Whether it has, or was to have, a second parent.
    #[inline]
    fn is_merged(&self) -> bool {
        self.extra().is_some_and(|extra| extra.kind == Derived::CancelFrom)
    }

    /// One user handle more, made from a handle.
    #[inline]
    pub(crate) fn add_handle(&self) {
        self.handles.add();
    }

    /// Its own deadline, whatever its ancestors do.
    pub(crate) fn own_deadline(&self) -> Tick {
        // ORDERING: Relaxed. A deadline publishes nothing.
        self.deadline.load(Ordering::Relaxed) & !EXPIRED
    }

    /// The earliest deadline of the chain.
    pub(crate) fn deadline(&self) -> Tick {
        let mut earliest = NEVER;
        self.each_upwards(|node| earliest = earliest.min(node.own_deadline()));
        earliest
    }

    /// Visits this node and its ancestors, in a loop; where merged paths meet again, one of them goes on.
    fn each_upwards<'a>(&'a self, mut visit: impl FnMut(&'a Node)) {
        let mut merged = HashSet::new();
        let mut more = Vec::new();
        let mut at = Some(NonNull::from(self));
        while let Some(node) = at {
            // SAFETY: what is above a node lives as long as the node.
            let node = unsafe { &*node.as_ptr().cast_const() };
            visit(node);
            let other = node.extra().and_then(Extra::other);
            let seen_before = other.is_some() && !merged.insert(NonNull::from(node));
            if !seen_before {
                more.extend(other);
            }
            at = if seen_before { None } else { node.parent.node() }.or_else(|| more.pop());
        }
    }
}

impl Extra {
    fn new(kind: Derived) -> Extra {
        Extra {
            node: NonNull::dangling(),
            kind,
            link: UnsafeCell::new(Link::None),
            said: AtomicU32::new(0),
            foreign: None,
            deadline_cause: UnsafeCell::new(None),
        }
    }

    fn link(&self) -> Link {
        self.link.with(|link| {
            // SAFETY: fixed when the constructor returned.
            unsafe { *link }
        })
    }

    fn deadline_cause(&self) -> Option<Cause> {
        self.deadline_cause.with(|cause| {
            // SAFETY: taken only if nobody reads it any more (`forgo_deadline`).
            unsafe { (*cause).clone() }
        })
    }

    fn say_cause_was_read(&self) {
        // ORDERING: cause-read (writer). The reading comes before the cause is taken.
        self.said.fetch_or(READ, Ordering::Release);
    }

    fn cause_was_read(&self) -> bool {
        // ORDERING: cause-read (reader).
        self.said.load(Ordering::Acquire) & READ != 0
    }

    /// # Safety
    ///
    /// Nobody reads it any more: see `forgo_deadline`.
    unsafe fn take_deadline_cause(&self) -> Option<Cause> {
        self.deadline_cause.with_mut(|cause| {
            // SAFETY: forwarded.
            unsafe { (*cause).take() }
        })
    }

    /// The other parent of a merged context.
    pub(crate) fn other(&self) -> Option<NonNull<Node>> {
        match self.link() {
            Link::None => None,
            Link::Seated(node, _) | Link::Counted(node) => Some(node),
        }
    }
}

/// What a context hands down when it has ended; for those who have seen that it has.
fn bequest(node: &Node) -> Ended {
    node.state.bequest().expect("only an ended context has something to hand down")
}
