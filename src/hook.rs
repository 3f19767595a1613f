//! A function to call after the end: claimed once, run once or dropped unrun.
//!
//! # Ownership
//!
//! Two owners count the hook: its handle (an `AfterFunc`), and its slot, or whoever won the claim and took it out of
//! there. The winner alone touches the function and makes the hook leave its seat.

use crate::claim::Claim;
use crate::queue::Linked;
use crate::refs::RefCount;
use crate::shield::Shield;
use crate::slots::{Entry, Kind, Left, Seat};
use crate::sync::{UnsafeCell, reclaim, stock};
use std::mem::{ManuallyDrop, forget};
use std::ops::Deref;
use std::ptr::{self, NonNull};

/// The part of a hook that does not depend on its function.
#[repr(C, align(16))]
pub(crate) struct Hook {
    claim: Claim,
    refs: RefCount,
    next: UnsafeCell<*mut Hook>,
    seat: UnsafeCell<Option<Seat>>,
    /// Cancelers may have seen it: free through the epoch.
    seen: UnsafeCell<bool>,
    /// The node it sits in; none on a context that never ends.
    owner: Option<NonNull<()>>,
    kind: &'static Functions,
}

// SAFETY: the function is `Send` and touched by the winner of the claim alone; the owner is a counted node.
unsafe impl Send for Hook {}
// SAFETY: as for `Send`.
unsafe impl Sync for Hook {}

struct Functions {
    run: unsafe fn(NonNull<Hook>),
    drop: unsafe fn(NonNull<Hook>),
    free: unsafe fn(*mut ()),
}

#[repr(C)]
struct HookOf<F> {
    hook: Hook,
    function: UnsafeCell<ManuallyDrop<F>>,
}

impl<F: FnOnce() + Send + 'static> HookOf<F> {
    const KIND: Functions = Functions {
        run: |hook| {
            // SAFETY: `KIND` belongs to this type only, and the claim's winner takes the function once.
            let function = unsafe { HookOf::<F>::take(hook) };
            function();
        },
        drop: |hook| {
            // SAFETY: as above.
            drop(unsafe { HookOf::<F>::take(hook) });
        },
        free: |hook| {
            // SAFETY: the last owner gives it back; the function was taken, or never will be.
            unsafe { stock::bury(hook.cast::<HookOf<F>>()) };
        },
    };

    unsafe fn take(hook: NonNull<Hook>) -> F {
        let this = hook.cast::<HookOf<F>>();
        // SAFETY: the caller counts it.
        unsafe { this.as_ref() }.function.with_mut(|function| {
            // SAFETY: forwarded: the winner's alone.
            let function = unsafe { &mut *function };
            // SAFETY: forwarded: taken once.
            unsafe { ManuallyDrop::take(function) }
        })
    }
}

impl Hook {
    /// A hook with two owners: the handle, and the slot it is about to sit in. Without an owner node nobody will ever
    /// call it, and both shares are the handle's.
    pub(crate) fn new<F: FnOnce() + Send + 'static>(function: F, owner: Option<NonNull<()>>) -> NonNull<Hook> {
        let hook = Hook {
            claim: Claim::new(),
            refs: RefCount::new(2),
            next: UnsafeCell::new(ptr::null_mut()),
            seat: UnsafeCell::new(None),
            seen: UnsafeCell::new(false),
            owner,
            kind: &HookOf::<F>::KIND,
        };
        let whole = HookOf { hook, function: UnsafeCell::new(ManuallyDrop::new(function)) };
        stock::make(whole).cast()
    }

    pub(crate) fn entry(this: NonNull<Hook>) -> Entry {
        Entry::new(Kind::Hook, this)
    }

    /// Before it is published: where it will sit.
    pub(crate) fn place(&self, place: Seat) {
        self.seat.with_mut(|seat| {
            // SAFETY: the hook is not published yet: a failed try published nothing.
            unsafe { *seat = Some(place) };
        });
    }

    /// A canceler found it.
    pub(crate) fn claim(&self) -> bool {
        self.claim.claim()
    }

    /// The handle wants it stopped.
    pub(crate) fn stop(&self) -> bool {
        self.claim.stop()
    }

    /// Whether there is nobody who could call it.
    pub(crate) fn is_detached(&self) -> bool {
        self.owner.is_none()
    }

    /// Whether it is still to be called.
    pub(crate) fn is_waiting(&self) -> bool {
        self.claim.is_waiting()
    }

    /// Makes it leave its seat, if it ever had one. Tells the node that it sat in.
    ///
    /// # Safety
    ///
    /// The caller won the claim, and calls this once.
    pub(crate) unsafe fn vacate(this: NonNull<Hook>) -> Option<(NonNull<()>, Left)> {
        // SAFETY: the winner counts it.
        let hook = unsafe { this.as_ref() };
        let seat = hook.seat.with(|seat| {
            // SAFETY: fixed since it was published.
            unsafe { *seat }
        })?;
        // SAFETY: forwarded.
        let left = unsafe { seat.leave(Hook::entry(this)) };
        hook.seen.with_mut(|seen| {
            // SAFETY: the winner writes, before it gives up its share; the last owner reads.
            unsafe { *seen = left.closed };
        });
        hook.owner.map(|owner| (owner, left))
    }

    /// One owner less.
    ///
    /// # Safety
    ///
    /// The caller owns a share and does not touch the hook again.
    unsafe fn release(this: NonNull<Hook>) {
        // SAFETY: ours until now.
        let hook = unsafe { this.as_ref() };
        if !hook.refs.release() {
            return;
        }
        let free = hook.kind.free;
        let seen = hook.seen.with(|seen| {
            // SAFETY: the last owner.
            unsafe { *seen }
        });
        if seen {
            // SAFETY: it left its slot, and nobody counts it.
            unsafe { reclaim::retire(this.as_ptr().cast(), free) };
        } else {
            // SAFETY: nobody but us ever saw it, or it left untagged.
            unsafe { free(this.as_ptr().cast()) };
        }
    }
}

impl Linked for Hook {
    fn link(&self) -> &UnsafeCell<*mut Self> {
        &self.next
    }
}

/// One owner of a hook: gives its share back when it goes, whatever panics.
pub(crate) struct Share(NonNull<Hook>);

impl Share {
    /// # Safety
    ///
    /// The caller owns a share and hands it over.
    pub(crate) unsafe fn new(hook: NonNull<Hook>) -> Share {
        Share(hook)
    }

    pub(crate) fn pointer(&self) -> NonNull<Hook> {
        self.0
    }
}

impl Deref for Share {
    type Target = Hook;

    fn deref(&self) -> &Hook {
        // SAFETY: the share keeps it.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // SAFETY: the share, used for the last time.
        unsafe { Hook::release(self.0) };
    }
}

/// A claimed hook's function and the share that goes with it. Dropping it drops the function unrun.
pub(crate) struct Job(NonNull<Hook>);

// SAFETY: the function is `Send`, and the job is its only way in.
unsafe impl Send for Job {}

impl Job {
    /// # Safety
    ///
    /// The caller won the claim and hands its share over.
    pub(crate) unsafe fn new(hook: NonNull<Hook>) -> Job {
        Job(hook)
    }

    /// Calls the function: user code.
    pub(crate) fn run(self) {
        // SAFETY: the job's share; the job is forgotten. Given back also when the function panics.
        let share = unsafe { Share::new(self.0) };
        forget(self);
        let run = share.kind.run;
        // SAFETY: the job is the winner's, and it is used up.
        unsafe { run(share.pointer()) };
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        // SAFETY: the job's share; the job is gone.
        let share = unsafe { Share::new(self.0) };
        let unrun = share.kind.drop;
        let mut shield = Shield::new();
        // SAFETY: the job is the winner's, and it is used up.
        shield.run(|| unsafe { unrun(share.pointer()) });
        drop(share);
        shield.finish();
    }
}
