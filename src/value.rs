//! Request values: an immutable chain of bindings, apart from the tree of cancelations.
//!
//! A look-up walks bindings only, however many contexts that merely cancel lie between. Every binding carries a
//! fingerprint of all keys from itself down, so a type that is bound nowhere is mostly refused by one test.
//!
//! # Ownership
//!
//! A binding is owned by `refs`: one for all contexts that *are* this binding together (they count `holders`), one for
//! each binding on top of it, one for each context derived from it directly. What hangs off a binding for the context
//! floor (`base`) ends with the last holder; the value lives on while anybody can see it.

use crate::refs::RefCount;
use crate::shield::Shield;
use crate::sync::reclaim;
use crate::trace::Name;
use std::any::{TypeId, type_name};
use std::hash::{Hash, Hasher};
use std::ptr::{self, NonNull};

/// The part of a binding that does not depend on the type of its value.
#[repr(C, align(16))]
pub(crate) struct Binding {
    next: *const Binding,
    fingerprint: u64,
    key: TypeId,
    kind: &'static Kind,
    /// Contexts that are this binding.
    pub(crate) holders: RefCount,
    refs: RefCount,
    /// What the binding was derived from, for the context floor alone.
    pub(crate) base: *mut (),
}

// SAFETY: the value is `Send + Sync` by the bound of `Binding::bind`, `base` stands for a counted, shareable context,
// everything else is fixed or atomic.
unsafe impl Send for Binding {}
// SAFETY: as for `Send`.
unsafe impl Sync for Binding {}

/// What is known of a type when it has been forgotten.
struct Kind {
    name: fn() -> &'static str,
    drop: unsafe fn(NonNull<Binding>),
    free: unsafe fn(*mut ()),
}

#[repr(C)]
struct Bound<T> {
    head: Binding,
    value: T,
}

impl<T: Send + Sync + 'static> Bound<T> {
    const KIND: Kind = Kind {
        name: type_name::<T>,
        drop: |binding| {
            if !Self::is_name() {
                // SAFETY: `KIND` belongs to this type only; called once, by the last owner.
                unsafe { Self::drop_value(binding.as_ptr().cast()) };
            }
        },
        free: |binding| {
            if Self::is_name() {
                // SAFETY: as in `drop`, where it was left. Nobody reads it any more.
                unsafe { Self::drop_value(binding.cast()) };
            }
            let bound = binding.cast::<std::mem::ManuallyDrop<Bound<T>>>();
            // SAFETY: nobody knows it any more. Only in models has the head anything to drop.
            unsafe { ptr::drop_in_place(binding.cast::<Binding>()) };
            // SAFETY: it came from a box of this type; value and head were dropped.
            unsafe { reclaim::bury(bound) };
        },
    };

    /// A name is read until its memory goes, and its drop is no user code.
    fn is_name() -> bool {
        TypeId::of::<T>() == TypeId::of::<Name>()
    }

    /// # Safety
    ///
    /// The binding was made as this type, and its value is not used again.
    unsafe fn drop_value(bound: *mut Bound<T>) {
        // SAFETY: forwarded.
        let value = unsafe { &raw mut (*bound).value };
        // SAFETY: forwarded.
        unsafe { ptr::drop_in_place(value) };
    }
}

/// Three bits of 64 for a type (or fewer, where they fall together): with a handful of types bound, about one absent type
/// in a hundred is looked for in vain.
#[inline]
fn fingerprint(key: TypeId) -> u64 {
    struct Fold(u64);
    impl Hasher for Fold {
        fn finish(&self) -> u64 {
            self.0
        }
        fn write(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
            }
        }
        fn write_u64(&mut self, word: u64) {
            self.0 ^= word;
        }
    }
    let mut fold = Fold(0);
    key.hash(&mut fold);
    let hash = fold.finish();
    1 << (hash >> 58) | 1 << (hash >> 52 & 63) | 1 << (hash >> 46 & 63)
}

impl Binding {
    /// Binds `value` on top of `next`, whose share it takes over, for one holder.
    pub(crate) fn bind<T: Send + Sync + 'static>(value: T, next: *const Binding, base: *mut ()) -> NonNull<Binding> {
        let key = TypeId::of::<T>();
        // SAFETY: the caller's share keeps `next` alive, if there is one.
        let below = unsafe { next.as_ref() }.map_or(0, |next| next.fingerprint);
        let head = Binding {
            next,
            fingerprint: below | fingerprint(key),
            key,
            kind: &Bound::<T>::KIND,
            holders: RefCount::new(1),
            refs: RefCount::new(1),
            base,
        };
        NonNull::from(Box::leak(Box::new(Bound { head, value }))).cast()
    }

    /// The nearest value of this type, from `head` down.
    ///
    /// # Safety
    ///
    /// `head` is null or kept alive for `'a` by the caller.
    #[inline]
    pub(crate) unsafe fn find<'a, T: 'static>(head: *const Binding) -> Option<&'a T> {
        let key = TypeId::of::<T>();
        let bits = fingerprint(key);
        let mut at = head;
        // SAFETY: every binding keeps the next alive.
        while let Some(binding) = unsafe { at.as_ref() } {
            if binding.fingerprint & bits != bits {
                return None;
            }
            if binding.key == key {
                // SAFETY: the key says what the binding was made as.
                return Some(unsafe { &(*at.cast::<Bound<T>>()).value });
            }
            at = binding.next;
        }
        None
    }

    pub(crate) fn next(&self) -> *const Binding {
        self.next
    }

    pub(crate) fn type_name(&self) -> &'static str {
        (self.kind.name)()
    }

    /// One share more of a chain that the caller keeps alive.
    ///
    /// # Safety
    ///
    /// `head` is null or alive.
    pub(crate) unsafe fn share(head: *const Binding) {
        // SAFETY: forwarded.
        if let Some(binding) = unsafe { head.as_ref() } {
            binding.refs.add();
        }
    }

    /// Gives a share back. Values that nobody can see any more are dropped, each under the shield: they are user code.
    /// A loop, never recursion.
    ///
    /// With `tracing`, the memory goes through the epoch, and a name with it: the timer and a foreign parent end a node under
    /// a pin, and tell its name, while its last handle and all values that were seen from it go.
    ///
    /// # Safety
    ///
    /// The caller owns a share of `head` (or it is null), and is in no critical section.
    pub(crate) unsafe fn release(head: *const Binding, shield: &mut Shield) {
        let mut at = head;
        // SAFETY: alive, we own a share.
        while let Some(binding) = unsafe { at.as_ref() } {
            if !binding.refs.release() {
                return;
            }
            let next = binding.next;
            let kind = binding.kind;
            // SAFETY: not null.
            let this = unsafe { NonNull::new_unchecked(at.cast_mut()) };
            // SAFETY: that was the last share: nobody sees the value any more.
            shield.run(|| unsafe { (kind.drop)(this) });
            let memory = this.as_ptr().cast();
            if cfg!(feature = "tracing") {
                // SAFETY: unreachable but for who has claimed a node under a pin, and looks for its name.
                unsafe { reclaim::pin().retire(memory, kind.free) };
            } else {
                // SAFETY: as above, and the value is gone.
                unsafe { (kind.free)(memory) };
            }
            at = next;
        }
    }
}
