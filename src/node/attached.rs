//! What a bridge hangs onto a node: something lazily made, and a waker that tells it of the end.
//!
//! One word, null until it is asked for. The waker waits in the node's own state or slots like everybody's, so it must be taken
//! out of there before the node counts who is left in them: see [`Attachment::let_go`].

#[cfg(any(feature = "crossbeam-channel", feature = "loom"))]
pub(super) use real::Attachment;
#[cfg(any(feature = "crossbeam-channel", feature = "loom"))]
pub(crate) use real::Thing;

/// Without a bridge that needs it, and outside the models, there is no word.
#[cfg(not(any(feature = "crossbeam-channel", feature = "loom")))]
pub(super) struct Attachment;

#[cfg(not(any(feature = "crossbeam-channel", feature = "loom")))]
impl Attachment {
    pub(super) fn new() -> Attachment {
        Attachment
    }

    #[inline(always)]
    pub(super) fn is_none(&self) -> bool {
        true
    }

    /// The last handle of the node is gone.
    #[inline(always)]
    pub(super) fn let_go(&self) {}

    /// # Safety
    ///
    /// None here.
    #[inline(always)]
    pub(super) unsafe fn free(&self) {}
}

#[cfg(any(feature = "crossbeam-channel", feature = "loom"))]
mod real {
    use crate::sync::{AtomicPtr, Ordering, UnsafeCell};
    use std::any::Any;
    use std::ptr;

    /// What is lazily made: kept as long as the node.
    pub(crate) type Thing = Box<dyn Any + Send + Sync>;

    pub(in crate::node) struct Attachment(AtomicPtr<Attached>);

    struct Attached {
        thing: Thing,
        /// Its drop takes the waker out of the state or the slots. Touched by `let_go` alone.
        waiting: UnsafeCell<Option<Thing>>,
    }

    impl Attachment {
        pub(in crate::node) fn new() -> Attachment {
            Attachment(AtomicPtr::new(ptr::null_mut()))
        }

        /// For whoever has acquired all that handles did.
        #[inline(always)]
        pub(in crate::node) fn is_none(&self) -> bool {
            // ORDERING: Relaxed. Nothing is looked at, and nobody attaches any more.
            self.0.load(Ordering::Relaxed).is_null()
        }

        /// What is attached.
        pub(in crate::node) fn thing(&self) -> Option<&Thing> {
            // ORDERING: attached (reader).
            let attached = self.0.load(Ordering::Acquire);
            // SAFETY: kept until the node is freed.
            (!attached.is_null()).then(|| unsafe { &(*attached).thing })
        }

        /// Attaches a thing, and what makes its waker wait, unless there is one: then these are dropped. The one that holds.
        pub(in crate::node) fn hang(&self, thing: Thing, waiting: Thing) -> &Thing {
            let fresh = Box::into_raw(Box::new(Attached { thing, waiting: UnsafeCell::new(Some(waiting)) }));
            // ORDERING: attached (both ends). Whoever finds it sees what was made.
            let holds = match self.0.compare_exchange(ptr::null_mut(), fresh, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => fresh,
                Err(first) => {
                    // SAFETY: not published: ours alone.
                    drop(unsafe { Box::from_raw(fresh) });
                    first
                }
            };
            // SAFETY: kept until the node is freed.
            unsafe { &(*holds).thing }
        }

        /// The last handle of the node is gone: the waker leaves, or would keep the node for ever.
        pub(in crate::node) fn let_go(&self) {
            // ORDERING: attached (reader).
            let attached = self.0.load(Ordering::Acquire);
            if attached.is_null() {
                return;
            }
            // SAFETY: kept until the node is freed.
            let waiting = unsafe { &(*attached).waiting };
            waiting.with_mut(|waiting| {
                // SAFETY: called once, by the last who had a handle; nobody else looks at it.
                unsafe { *waiting = None };
            });
        }

        /// # Safety
        ///
        /// The node is being freed; its last handle had let go.
        pub(in crate::node) unsafe fn free(&self) {
            // ORDERING: none. Nobody else is left.
            let attached = self.0.load(Ordering::Relaxed);
            if !attached.is_null() {
                // SAFETY: it came from a box, and the node is its only owner.
                drop(unsafe { Box::from_raw(attached) });
            }
        }
    }
}
