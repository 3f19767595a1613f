//! What a tree stands on: background, todo, or values that were detached from a tree.
//!
//! A base never ends. It is a tagged pointer, because contexts and nodes keep it beside pointers to nodes.

use crate::refs::RefCount;
use crate::shield::Shield;
use crate::sync::{addr_bits, strip};
use crate::value::Binding;
use std::ptr;

/// The bits that tell what a word points to; 0 and 1 are left to nodes and bindings.
pub(crate) const TAG: usize = 0b11;
pub(crate) const DETACHED: usize = 0b10;
pub(crate) const ROOT: usize = 0b11;

/// A root has nothing to remember but its name.
#[repr(align(16))]
struct Root(&'static str);

static BACKGROUND: Root = Root("context.Background");
static TODO: Root = Root("context.TODO");

/// Values without the tree they were bound in.
#[repr(align(16))]
struct Detached {
    refs: RefCount,
    /// A share.
    values: *const Binding,
    /// How its contexts are displayed: the tree above is not kept, so its name is.
    name: Box<str>,
}

/// A word that points to a root, or counts for a detached base. Copies are not counted: see [`Base::share`].
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Base(*mut ());

impl Base {
    pub(crate) fn background() -> Base {
        Base::root(&BACKGROUND)
    }

    pub(crate) fn todo() -> Base {
        Base::root(&TODO)
    }

    fn root(root: &'static Root) -> Base {
        Base(ptr::from_ref(root).cast_mut().cast::<()>().map_addr(|a| a | ROOT))
    }

    /// A base for the values from `head` down, under this name. Counts once.
    ///
    /// # Safety
    ///
    /// `head` is null or alive.
    pub(crate) unsafe fn detached(head: *const Binding, name: String) -> Base {
        // SAFETY: forwarded.
        unsafe { Binding::share(head) };
        let detached = Detached { refs: RefCount::new(1), values: head, name: name.into_boxed_str() };
        Base(Box::into_raw(Box::new(detached)).cast::<()>().map_addr(|a| a | DETACHED))
    }

    /// # Safety
    ///
    /// The word came from [`Base::word`].
    pub(crate) unsafe fn of_word(word: *mut ()) -> Base {
        debug_assert!(addr_bits(word, TAG) >= DETACHED);
        Base(word)
    }

    pub(crate) fn word(self) -> *mut () {
        self.0
    }

    fn as_detached(self) -> Option<*mut Detached> {
        (addr_bits(self.0, TAG) == DETACHED).then(|| strip(self.0, TAG).cast())
    }

    /// The values that can be seen from here.
    ///
    /// # Safety
    ///
    /// The base is alive.
    pub(crate) unsafe fn values(self) -> *const Binding {
        // SAFETY: forwarded.
        self.as_detached().map_or(ptr::null(), |detached| unsafe { (*detached).values })
    }

    /// # Safety
    ///
    /// The base is alive for `'a`.
    pub(crate) unsafe fn name<'a>(self) -> &'a str {
        match self.as_detached() {
            // SAFETY: forwarded.
            Some(detached) => unsafe { &(*detached).name },
            // SAFETY: a root, by its tag.
            None => unsafe { (*strip(self.0, TAG).cast::<Root>()).0 },
        }
    }

    /// Whether there is anything to count.
    pub(crate) fn counts(self) -> bool {
        self.as_detached().is_some()
    }

    /// One count more.
    ///
    /// # Safety
    ///
    /// The base is alive.
    pub(crate) unsafe fn share(self) {
        if let Some(detached) = self.as_detached() {
            // SAFETY: forwarded.
            unsafe { (*detached).refs.add() };
        }
    }

    /// One count less; the last drops the values.
    ///
    /// # Safety
    ///
    /// The caller owns a count, and is in no critical section.
    pub(crate) unsafe fn release(self, shield: &mut Shield) {
        let Some(detached) = self.as_detached() else { return };
        // SAFETY: ours until now.
        if unsafe { (*detached).refs.release() } {
            // SAFETY: it came from a box, and nobody counts it any more.
            let detached = unsafe { Box::from_raw(detached) };
            // SAFETY: the share that the base kept.
            unsafe { Binding::release(detached.values, shield) };
        }
    }
}
