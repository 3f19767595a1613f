//! What a node tells those who listen: its last words, and a line in the list of the living.

use super::Node;
use crate::cause::Cause;
use crate::clock;
use crate::state::Ended;
use crate::trace::{Name, Words};
use crate::value::Binding;
use std::ptr::NonNull;

impl Node {
    /// What there is to say of this node, which is about to end by itself.
    ///
    /// # Safety
    ///
    /// A handle keeps the node; or it is claimed, under a pin that lasts: then its handles may be gone, and its state gives
    /// up the cause as soon as it has it. No state took `ended` yet.
    #[cold]
    pub(super) unsafe fn words(&self, ended: Ended) -> Words<Cause> {
        Words {
            // SAFETY: forwarded.
            cause: unsafe { ended.share_cause() },
            name: self.name().map(|name| name.0.clone().into_owned()),
            age: self.trail.age(clock::now),
        }
    }

    /// The nearest name above.
    fn name(&self) -> Option<&Name> {
        // SAFETY: a node keeps what can be seen from it; for who has claimed it, the pin does (see `Binding::end`).
        unsafe { Binding::find::<Name>(self.values()) }
    }
}

/// A context is made: it is listed, if anybody wants a list.
///
/// # Safety
///
/// The caller holds a handle that it has not returned yet; called once.
#[inline(always)]
pub(crate) unsafe fn enlist(node: NonNull<Node>) {
    #[cfg(feature = "inspect")]
    // SAFETY: forwarded; a node that is taken apart is struck out first.
    unsafe {
        inspect::enlist(node);
    };
    #[cfg(not(feature = "inspect"))]
    let _ = node;
}

#[cfg(feature = "inspect")]
pub(crate) use inspect::{Line, count_listed, each_line};

#[cfg(feature = "inspect")]
mod inspect {
    use crate::cause::Cause;
    use crate::clock::{self, Tick};
    use crate::node::{Derived, Extra, HOPELESS, Node};
    use crate::sync::Ordering;
    use crate::trace::roll;
    use std::ops::ControlFlow;
    use std::ptr::{self, NonNull};

    /// One node as it was when it was looked at.
    #[derive(Debug)]
    pub(crate) struct Line {
        pub(crate) number: u64,
        pub(crate) parent: Option<u64>,
        /// The second parent of a merge.
        pub(crate) other: Option<u64>,
        /// Its own name; those of ancestors are theirs.
        pub(crate) name: Option<String>,
        pub(crate) kind: Derived,
        /// Its age in nanoseconds.
        pub(crate) age: u64,
        /// Its own deadline.
        pub(crate) deadline: Tick,
        /// Why it ended, if it has. To be dropped, and displayed, outside of everything: user code.
        pub(crate) cause: Option<Cause>,
        /// User handles; none: a relay.
        pub(crate) handles: usize,
    }

    /// # Safety
    ///
    /// As for `super::enlist`.
    pub(super) unsafe fn enlist(node: NonNull<Node>) {
        // SAFETY: forwarded.
        let place = unsafe { &raw mut (*node.as_ptr()).trail.place };
        // SAFETY: part of a node: not null.
        let place = unsafe { NonNull::new_unchecked(place) };
        // SAFETY: forwarded.
        unsafe { roll::list(node.cast(), place) };
    }

    /// About how many nodes there are.
    pub(crate) fn count_listed() -> usize {
        roll::len()
    }

    /// Every listed node, some of them more than once, until `take` has enough. It is called under a lock: it reads the line or
    /// does not, and drops none.
    pub(crate) fn each_line(mut take: impl FnMut(&dyn Fn() -> Line) -> ControlFlow<()>) {
        let now = clock::now();
        roll::each(|node| {
            // SAFETY: listed, and looked at under the lock: it has not left its place in the tree.
            let node = unsafe { node.cast::<Node>().as_ref() };
            take(&|| node.line(now))
        });
    }

    impl Node {
        /// The caller keeps the node in its place.
        fn line(&self, now: Tick) -> Line {
            // SAFETY: what is above a node that has not left its place is there.
            let number = |above: NonNull<Node>| unsafe { above.as_ref() }.trail.place.number();
            let above = self.parent.node();
            // SAFETY: as above.
            let inherited = above.and_then(|above| unsafe { above.as_ref() }.name());
            let name = self.name().filter(|name| !inherited.is_some_and(|inherited| ptr::eq(*name, inherited)));
            // ORDERING: Relaxed. A number to be shown.
            let handles = self.handles.load(Ordering::Relaxed) & !HOPELESS;
            Line {
                number: self.trail.place.number(),
                parent: above.map(number),
                other: self.extra().and_then(Extra::other).map(number),
                name: name.map(|name| name.0.clone().into_owned()),
                kind: self.extra().map_or(Derived::Cancel, |extra| extra.kind),
                age: self.trail.age(|| now).unwrap_or(0),
                deadline: self.own_deadline(),
                cause: self.cause(),
                handles: handles as usize,
            }
        }
    }
}
