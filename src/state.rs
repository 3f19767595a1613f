//! The cancel state of one context: one word, decided once.
//!
//! # States
//!
//! ```text
//! 0                                     live
//! waiter                                live, and somebody waits in the word
//! cause       | kind                    ended here; the word owns a share of the cause (null: the plain error)
//! origin      | kind | INHERITED        ended by an ancestor; the word points to the state of the one that ended first
//! ...         | PROPAGATED              the same, and so is everything below, whoever has inherited this end too
//! ```
//!
//! # Invariants
//!
//! 1. While it is live, one waiter at a time comes and goes. The last handle takes one who was forgotten. The end takes whoever
//!    is there, and nobody comes any more. From then on the word only gains PROPAGATED, and loses its cause when its node is
//!    taken apart.
//! 2. The pointer of an INHERITED word stays valid while its context lives: every context between it and the origin
//!    keeps its parent alive by the slot it sits in, or by a counted reference.
//! 3. Kind and cause are one word, so no observer sees one without the other, and racing cancels need no second step. So are the end
//!    and the first waiter: who ends the context has him to tell, and who comes later finds the end.
//!
//! # Orderings
//!
//! *end*: [`State::begin`] releases, every look acquires. What happened before the end is seen by whoever sees the end.
//!
//! *meet*: who registers takes its seat, then looks whether the owner has ended ([`State::has_ended_meanwhile`]). Who ends
//! it, or helps, sees the end, then looks who sits there. A fence in between on both sides: so at least one of them sees the
//! other.
//!
//! *waker*: [`State::sit`] releases what the waiter is, [`State::begin`] acquires it.

use crate::cause::{Cause, KIND, error_of, kind_bits};
use crate::error::Error;
use crate::sync::{AtomicPtr, Ordering, addr_bits, full_fence, guess, strip};
use crate::trace::{Sort, Whose};
use std::ptr::{self, NonNull};

const INHERITED: usize = 0b0100;
const PROPAGATED: usize = 0b1000;
const BITS: usize = KIND | INHERITED | PROPAGATED;

/// The word of a context that has ended, without PROPAGATED.
#[derive(Copy, Clone)]
pub(crate) struct Ended(*mut ());

/// What [`State::begin`] found.
#[must_use]
pub(crate) enum Begin {
    /// The context was live and is now ended by us, who are to tell the waiter that was there.
    First(Option<Waiter>),
    /// It had ended, its descendants may not have: help.
    Again,
    /// It and everything below had ended.
    Propagated,
}

/// Somebody who waits in the word itself; aligned to 16.
pub(crate) type Waiter = NonNull<()>;

/// What [`State::sit`] came to.
#[must_use]
pub(crate) enum Sit {
    Seated,
    /// Somebody else waits there; true if he got in between.
    Busy(bool),
    Ended,
}

pub(crate) struct State(AtomicPtr<()>);

impl Ended {
    /// An end of its own. The word takes over the share of the cause; if it is not used, [`Ended::into_cause`].
    pub(crate) fn own(cause: Cause) -> Ended {
        Ended(cause.into_word())
    }

    /// Which kind of end it is, and whose.
    pub(crate) fn sort(self) -> Sort {
        let whose = if self.0.addr() & INHERITED == 0 { Whose::Own } else { Whose::Inherited };
        (error_of(self.0.addr()), whose)
    }

    /// A share of the cause of an end of its own.
    ///
    /// # Safety
    ///
    /// No state took it yet: whoever lets go of the context takes it out of there.
    pub(crate) unsafe fn share_cause(self) -> Cause {
        // SAFETY: forwarded.
        unsafe { Cause::share_word(self.0) }
    }

    /// Takes the cause of an end of its own back.
    ///
    /// # Safety
    ///
    /// No state took it.
    pub(crate) unsafe fn into_cause(self) -> Option<Cause> {
        // SAFETY: forwarded; an inherited word owns nothing.
        (self.0.addr() & INHERITED == 0).then(|| unsafe { Cause::from_word(self.0) })
    }
}

/// Whether a word is one of a context that has ended.
#[inline(always)]
fn has_ended(word: *mut ()) -> bool {
    addr_bits(word, KIND) != 0
}

/// Whether a word owns neither a cause nor a waiter.
#[inline(always)]
fn owns_nothing(word: *mut ()) -> bool {
    word.addr() & INHERITED != 0 || strip(word, BITS).is_null()
}

impl State {
    pub(crate) fn live() -> State {
        State(AtomicPtr::new(ptr::null_mut()))
    }

    /// The state of a context that is born ended: nothing is below it, so it is propagated too.
    pub(crate) fn born(ended: Ended) -> State {
        State(AtomicPtr::new(ended.0.map_addr(|a| a | PROPAGATED)))
    }

    /// One load.
    #[inline(always)]
    pub(crate) fn is_done(&self) -> bool {
        // ORDERING: end (reader).
        has_ended(self.0.load(Ordering::Acquire))
    }

    /// How it ended, and by whose end.
    pub(crate) fn sort(&self) -> Option<Sort> {
        // ORDERING: end (reader).
        let word = self.0.load(Ordering::Acquire);
        has_ended(word).then(|| Ended(word).sort())
    }

    #[inline(always)]
    pub(crate) fn err(&self) -> Option<Error> {
        // ORDERING: end (reader).
        let word = self.0.load(Ordering::Acquire);
        has_ended(word).then(|| error_of(word.addr()))
    }

    /// The first cause that ended this context. Constant time, however deep the tree: the word names the origin.
    pub(crate) fn cause(&self) -> Option<Cause> {
        // ORDERING: end (reader).
        let word = self.0.load(Ordering::Acquire);
        if !has_ended(word) {
            return None;
        }
        let own = if word.addr() & INHERITED == 0 {
            word
        } else {
            let origin = strip(word, BITS).cast::<State>();
            // SAFETY: invariant 2. The origin has ended for itself, and its word is fixed but for PROPAGATED.
            // ORDERING: end (reader). Whoever marked us had seen the origin's end.
            unsafe { (*origin).0.load(Ordering::Acquire) }
        };
        // SAFETY: a word that is not INHERITED owns a share, given up only when its node is taken apart.
        Some(unsafe { Cause::share_word(own.map_addr(|a| a & !(INHERITED | PROPAGATED))) })
    }

    /// Ends the context unless it has ended: the first cancel wins. Who looks at the slots afterwards meets everybody who
    /// will not see the end. `pin` is called before a waiter could be found: he may leave at once, but his memory stays.
    ///
    /// | before               | after | answer             |
    /// |----------------------|-------|--------------------|
    /// | 0, waiter            | ended | First, with him    |
    /// | ended                | same  | Again              |
    /// | ended and PROPAGATED | same  | Propagated         |
    #[inline]
    pub(crate) fn begin(&self, ended: Ended, pin: impl FnMut()) -> Begin {
        // ORDERING: end (reader), propagated (reader): we may go on below a context that somebody else marked, or return.
        let mut seen = guess(&self.0, Ordering::Acquire);
        if seen.is_null() {
            // ORDERING: end (writer). Release: what led to the end, the cause's content with it, is seen with it. On failure as
            // for the first look.
            match self.0.compare_exchange(seen, ended.0, Ordering::Release, Ordering::Acquire) {
                Ok(_) => {
                    // ORDERING: meet: between the end and the look at who sits in the slots.
                    full_fence();
                    return Begin::First(None);
                }
                Err(now) => seen = now,
            }
        }
        self.begin_after(seen, ended, pin)
    }

    /// The same, of a word that is not 0, or was not.
    #[inline(never)]
    fn begin_after(&self, mut seen: *mut (), ended: Ended, mut pin: impl FnMut()) -> Begin {
        while !has_ended(seen) {
            pin();
            // ORDERING: end (writer), waker (reader): whoever waits there is ours to tell. On failure as for the first look.
            match self.0.compare_exchange(seen, ended.0, Ordering::AcqRel, Ordering::Acquire) {
                // By the pointer that was taken: the one seen before may be of somebody who was at the same address.
                Ok(taken) => {
                    // ORDERING: meet, as above.
                    full_fence();
                    return Begin::First(NonNull::new(taken));
                }
                Err(now) => seen = now,
            }
        }
        if addr_bits(seen, PROPAGATED) != 0 {
            return Begin::Propagated;
        }
        // ORDERING: meet, for whoever helps.
        full_fence();
        Begin::Again
    }

    /// Whether the walk from where this end was inherited is over: it came by here, so everything below has ended too. For a context
    /// that has ended.
    ///
    /// # Safety
    ///
    /// The caller has a handle on the context. Who found it in a slot may see it leave, and what is above it be freed.
    pub(crate) unsafe fn is_propagated_above(&self) -> bool {
        // ORDERING: Relaxed. The caller has seen the end: but for PROPAGATED the word is fixed.
        let word = self.0.load(Ordering::Relaxed);
        debug_assert!(has_ended(word), "asked before it ended");
        word.addr() & INHERITED != 0 && {
            // SAFETY: invariant 2: a handle keeps the context, and that keeps what is above it.
            let origin = unsafe { &*strip(word, BITS).cast::<State>() };
            // ORDERING: propagated (reader).
            addr_bits(origin.0.load(Ordering::Acquire), PROPAGATED) != 0
        }
    }

    /// Lets somebody wait in the word. Whoever ends the context then has him to tell.
    ///
    /// | before  | after  | answer |
    /// |---------|--------|--------|
    /// | 0       | waiter | Seated |
    /// | another | same   | Busy   |
    /// | ended   | same   | Ended  |
    #[inline]
    pub(crate) fn sit(&self, waiter: Waiter) -> Sit {
        // ORDERING: Relaxed, here and on failure. Who is told of the end looks again.
        let seen = self.0.load(Ordering::Relaxed);
        let (met, collided) = if seen.is_null() {
            // ORDERING: waker (writer).
            match self.0.compare_exchange(seen, waiter.as_ptr(), Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return Sit::Seated,
                Err(now) => (now, true),
            }
        } else {
            (seen, false)
        };
        if has_ended(met) { Sit::Ended } else { Sit::Busy(collided) }
    }

    /// The waiter leaves the word. False: whoever ended the context has him, and may be looking at him.
    #[inline]
    pub(crate) fn leave(&self, waiter: Waiter) -> bool {
        // ORDERING: Relaxed. Nobody has looked at him; who comes next brings what is his own.
        self.0.compare_exchange(waiter.as_ptr(), ptr::null_mut(), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Takes the waiter out of the word of a context without handles: one that will never leave. Whoever ends the context may be
    /// quicker, and have him.
    pub(crate) fn take_forgotten(&self) -> Option<Waiter> {
        // ORDERING: Relaxed. The caller had the last handle and has acquired; nobody comes any more.
        let word = self.0.load(Ordering::Relaxed);
        NonNull::new(word).filter(|waiter| !has_ended(word) && self.leave(*waiter))
    }

    /// For whoever has just taken a seat, by a read-modify-write: whether the end may have come before. If not, whoever ends
    /// the context finds the seat taken.
    #[inline]
    pub(crate) fn has_ended_meanwhile(&self) -> bool {
        // ORDERING: meet: between the seat and the look for the end.
        full_fence();
        // ORDERING: Relaxed. Who is told of the end looks again.
        has_ended(self.0.load(Ordering::Relaxed))
    }

    /// Everything below has ended too.
    #[inline]
    pub(crate) fn set_propagated(&self) {
        // ORDERING: Relaxed: an ended word gains this bit, or loses its cause to `take_cause`.
        let word = self.0.load(Ordering::Relaxed);
        debug_assert!(has_ended(word), "propagated before it ended");
        let propagated = word.map_addr(|a| a | PROPAGATED);
        if owns_nothing(word) {
            // Nobody writes anything else over a word that owns no cause: a store is enough.
            // ORDERING: propagated (writer). Release: a later canceler that returns early saw every mark below.
            self.0.store(propagated, Ordering::Release);
        } else {
            // Never over a word whose cause was taken meanwhile: that one says PROPAGATED already.
            // ORDERING: propagated (writer).
            let _ = self.0.compare_exchange(word, propagated, Ordering::Release, Ordering::Relaxed);
        }
    }

    /// What a context right below this one inherits; `None` while this one is live.
    #[inline]
    pub(crate) fn bequest(&self) -> Option<Ended> {
        // ORDERING: end (reader).
        let word = self.0.load(Ordering::Acquire);
        if !has_ended(word) {
            return None;
        }
        if word.addr() & INHERITED != 0 {
            return Some(Ended(word.map_addr(|a| a & !PROPAGATED)));
        }
        let here = ptr::from_ref(self).cast_mut().cast::<()>();
        Some(Ended(here.map_addr(|a| a | kind_bits(error_of(word.addr())) | INHERITED)))
    }

    /// Whether nothing hangs on it that is to be given back: no cause of its own, nobody who waits; for the owner's last handle.
    #[inline]
    pub(crate) fn is_bare(&self) -> bool {
        // ORDERING: Relaxed. As in `take_cause`.
        owns_nothing(self.0.load(Ordering::Relaxed))
    }

    /// Takes the cause out of a state whose context is being taken apart.
    ///
    /// # Safety
    ///
    /// Nothing below is left, and no handle is left.
    pub(crate) unsafe fn take_cause(&self) -> Option<Cause> {
        // ORDERING: Relaxed. The caller was the last owner and has acquired.
        let word = self.0.load(Ordering::Relaxed);
        if owns_nothing(word) {
            return None;
        }
        debug_assert!(has_ended(word), "the last handle takes out who was forgotten");
        // It stays an ended word, without a share: a canceler that still looks goes on by. A read-modify-write, so that
        // the canceler's own, in `set_propagated`, comes before it or fails.
        let plain = ptr::without_provenance_mut(kind_bits(error_of(word.addr())) | PROPAGATED);
        // ORDERING: Relaxed. As above; what is taken was published by `begin`.
        let word = self.0.swap(plain, Ordering::Relaxed);
        // SAFETY: the word owns a share, and nobody will ask for it again.
        Some(unsafe { Cause::from_word(word.map_addr(|a| a & !PROPAGATED)) })
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::{Begin, Ended, State};
    use crate::cause::Cause;
    use crate::error::Error;

    /// As in a node: a word that names a state has its low bits for itself.
    #[repr(align(16))]
    struct Aligned(State);

    #[test]
    fn a_walk_that_is_over_is_known_all_the_way_down() {
        let [Aligned(origin), Aligned(middle), Aligned(bottom)] = &[(); 3].map(|()| Aligned(State::live()));
        let ends = |state: &State, ended| assert!(matches!(state.begin(ended, || ()), Begin::First(None)));
        ends(origin, Ended::own(Cause::from(Error::Canceled)));
        ends(middle, origin.bequest().unwrap());
        ends(bottom, middle.bequest().unwrap());
        let known = || {
            [origin, middle, bottom].map(|state| {
                // SAFETY: all three are here.
                unsafe { state.is_propagated_above() }
            })
        };
        assert_eq!(known(), [false; 3]);
        origin.set_propagated();
        assert_eq!(known(), [false, true, true], "nothing is above the origin");
    }
}
