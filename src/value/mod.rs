//! Request values: an immutable chain of bindings, apart from the tree of cancelations.
//!
//! A look-up visits bindings only, however many contexts that merely cancel lie between. Every binding knows what types
//! surely none from itself down binds, so one that is bound nowhere is mostly refused by one test ([`mark`]).
//!
//! # Spans
//!
//! The same is known of a *span* from each binding down, and so a look-up jumps over spans that lack its type. Where two
//! spans of one length lie on top of each other, the next binding heads both and itself; otherwise it is a span alone. Lengths
//! are 1, 3, 7, 15 and so on, with at most two of a kind in a row: so any of `n` bindings is at most `3 log2 n` steps away, each
//! to the next binding or to the end of a span, and a new one looks at two others only. This is the stack of Myers ("An
//! applicative random-access stack", Information Processing Letters 17, 1983), where one looks for a position.
//!
//! ```text
//! place    0  1  2  3  4  5  6  7  8  9  10      from the top
//! length   1  3  1  1  7  3  1  1  3  1  1
//! end      1  4  3  4  -  8  7  8  -  10 -       the place behind the span's last
//! ```
//!
//! A long span of many types seems to hold every type. It is then entered, and the shorter ones in it are asked.
//!
//! # Ownership
//!
//! A binding is owned by `refs`: one for all contexts that *are* this binding together (they count `holders`), one for
//! each binding on top of it, one for each context derived from it directly. What hangs off a binding for the context
//! floor (`base`) ends with the last holder; the value lives on while anybody can see it. The end of a span is further
//! down, and needs no share.

mod mark;
#[cfg(all(test, not(feature = "loom")))]
mod tests;

use crate::refs::RefCount;
use crate::shield::Shield;
use crate::sync::reclaim;
use crate::trace::Name;
use mark::{Lacks, Mark};
use std::any::{TypeId, type_name};
use std::ptr::{self, NonNull};

/// The part of a binding that does not depend on the type of its value.
#[repr(C, align(16))]
pub(crate) struct Binding {
    /// Of all from here down.
    lacks: Lacks,
    span: Span,
    next: *const Binding,
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

/// Bindings in a row, from the one that has this down to `end`.
struct Span {
    lacks: Lacks,
    end: *const Binding,
    len: usize,
}

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

impl Span {
    /// The span of a binding of one type on top of `next`.
    ///
    /// # Safety
    ///
    /// `next` is null or alive.
    unsafe fn on(next: *const Binding, own: Lacks) -> Span {
        // SAFETY: forwarded.
        if let Some(Binding { span: first, .. }) = unsafe { next.as_ref() } {
            // SAFETY: further down, so alive too.
            if let Some(Binding { span: second, .. }) = unsafe { first.end.as_ref() } {
                if first.len == second.len {
                    let lacks = own.both(first.lacks).both(second.lacks);
                    return Span { lacks, end: second.end, len: 1 + first.len + second.len };
                }
            }
        }
        Span { lacks: own, end: next, len: 1 }
    }
}

impl Binding {
    /// Binds `value` on top of `next`, whose share it takes over, for one holder.
    pub(crate) fn bind<T: Send + Sync + 'static>(value: T, next: *const Binding, base: *mut ()) -> NonNull<Binding> {
        // Memory first: what is read below then needs to be kept over no call.
        let mut room = Box::<Bound<T>>::new_uninit();
        let key = TypeId::of::<T>();
        let own = Lacks::all_but(Mark::of(key));
        // SAFETY: the caller's share keeps `next` alive, if there is one.
        let below = unsafe { next.as_ref() }.map_or(Lacks::EVERYTHING, |next| next.lacks);
        // SAFETY: as above.
        let span = unsafe { Span::on(next, own) };
        room.write(Bound {
            head: Binding {
                lacks: own.both(below),
                span,
                next,
                key,
                kind: &Bound::<T>::KIND,
                holders: RefCount::new(1),
                refs: RefCount::new(1),
                base,
            },
            value,
        });
        // SAFETY: just written.
        NonNull::from(Box::leak(unsafe { room.assume_init() })).cast()
    }

    /// The nearest value of this type, from `head` down.
    ///
    /// # Safety
    ///
    /// `head` is null or kept alive for `'a` by the caller.
    #[inline]
    pub(crate) unsafe fn find<'a, T: 'static>(head: *const Binding) -> Option<&'a T> {
        let key = TypeId::of::<T>();
        let mark = Mark::of(key);
        let mut at = head;
        loop {
            // SAFETY: every binding keeps the next alive, and so all that are further down.
            let mut binding = unsafe { at.as_ref() }?;
            if binding.lacks.surely(mark) {
                return None;
            }
            while binding.span.lacks.surely(mark) {
                at = binding.span.end;
                // SAFETY: as above.
                binding = unsafe { at.as_ref() }?;
            }
            if binding.key == key {
                // SAFETY: the key says what the binding was made as.
                return Some(unsafe { &(*at.cast::<Bound<T>>()).value });
            }
            at = binding.next;
        }
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
    #[inline]
    pub(crate) unsafe fn share(head: *const Binding) {
        // SAFETY: forwarded.
        if let Some(binding) = unsafe { head.as_ref() } {
            binding.refs.add();
        }
    }

    /// Gives a share back. True: it was the last, and what is seen from here is to be [ended](Binding::end).
    ///
    /// # Safety
    ///
    /// The caller owns a share of `head`, or it is null.
    #[inline]
    #[must_use]
    pub(crate) unsafe fn leave(head: *const Binding) -> bool {
        // SAFETY: forwarded.
        unsafe { head.as_ref() }.is_some_and(|binding| binding.refs.release())
    }

    /// Gives a share back, and ends what nobody can see any more.
    ///
    /// # Safety
    ///
    /// The caller owns a share of `head` (or it is null), and is in no critical section.
    pub(crate) unsafe fn release(head: *const Binding, shield: &mut Shield) {
        // SAFETY: forwarded.
        if unsafe { Binding::leave(head) } {
            // SAFETY: that was the last share.
            unsafe { Binding::end(head, shield) };
        }
    }

    /// Ends a binding whose last share was given back, and those below that go with it. Values are dropped under the shield:
    /// they are user code. A loop, never recursion.
    ///
    /// With `tracing`, the memory goes through the epoch, and a name with it: the timer and a foreign parent end a node under
    /// a pin, and tell its name, while its last handle and all values that were seen from it go.
    ///
    /// # Safety
    ///
    /// [`leave`](Binding::leave) was true for the caller, who is in no critical section.
    pub(crate) unsafe fn end(head: *const Binding, shield: &mut Shield) {
        let mut at = head;
        loop {
            // SAFETY: ours alone.
            let binding = unsafe { &*at };
            let next = binding.next;
            let kind = binding.kind;
            // SAFETY: not null.
            let this = unsafe { NonNull::new_unchecked(at.cast_mut()) };
            // SAFETY: that was the last share: nobody sees the value any more.
            shield.run(|| unsafe { (kind.drop)(this) });
            let memory = this.as_ptr().cast();
            if cfg!(feature = "tracing") {
                // SAFETY: unreachable but for who has claimed a node under a pin, and looks for its name.
                unsafe { reclaim::retire(memory, kind.free) };
            } else {
                // SAFETY: as above, and the value is gone.
                unsafe { (kind.free)(memory) };
            }
            // SAFETY: the share of the binding that was on top.
            if !unsafe { Binding::leave(next) } {
                return;
            }
            at = next;
        }
    }
}
