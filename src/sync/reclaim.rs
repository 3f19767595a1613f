//! The only door to epochs: who may still be looking, and when memory goes back.
//!
//! A canceler pins before it looks into slots; whoever finds its slot tagged by a canceler gives its memory back with
//! [`retire`] instead of at once. The collector is our own: another crate's long pin must not stall our memory.
//!
//! # Invariants
//!
//! 1. What is retired is memory. No waker, function or value's drop runs from here: all that is dropped besides are names,
//!    and the cause of a context that somebody ended while its last handle went.
//! 2. A pointer is unreachable for new guards before it is retired.
//!
//! # Lies of the model
//!
//! The model keeps one list of guards, and frees as early as the contract allows: when every guard that was pinned at
//! the time of retiring is gone. It orders no more than the real collector does by its fences: what came before
//! retiring is seen by every guard that is too late to be waited for, and what a guard did comes before the free.

#[cfg(not(feature = "loom"))]
pub(crate) use imp::retire;
pub(crate) use imp::{Guard, bury, pin};

/// Of both models: each piece by itself, and as early as can be.
///
/// # Safety
///
/// As without a model.
#[cfg(feature = "loom")]
pub(crate) unsafe fn retire(ptr: *mut (), free: unsafe fn(*mut ())) {
    // SAFETY: forwarded.
    unsafe { pin().retire(ptr, free) };
}

#[cfg(not(feature = "loom"))]
mod imp {
    use super::super::retired::{Piece, Retired};
    use crossbeam_epoch::{Collector, LocalHandle};
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    static COLLECTOR: LazyLock<Collector> = LazyLock::new(Collector::new);

    /// How many threads have registered and not ended: so many a turn of the collector looks at.
    static THREADS: AtomicUsize = AtomicUsize::new(0);

    /// More threads than these are many.
    const MANY: usize = 32;

    /// A thread that has pinned, or retired.
    struct Local {
        handle: LocalHandle,
        retired: Retired,
    }

    thread_local! {
        static LOCAL: Local = Local::register();
    }

    impl Local {
        fn register() -> Local {
            // ORDERING: none, here and below: it says how much work there is.
            THREADS.fetch_add(1, Ordering::Relaxed);
            Local { handle: COLLECTOR.register(), retired: Retired::new() }
        }

        /// There is a batch, or another one. The collector gets two turns, each under a pin of its own: where nobody else is pinned,
        /// that gives the batch back at once. So memory goes back where it was let go, while it is still in the cache; and whoever
        /// cancels, and pins for that, has little to clear away for others. With many threads to look at, one turn has to do for
        /// twice as much.
        #[cold]
        #[inline(never)]
        fn hand_over(&self) {
            let many = THREADS.load(Ordering::Relaxed) > MANY;
            let Some(pieces) = self.retired.take(if many { 2 } else { 1 }) else { return };
            let nested = self.handle.is_pinned();
            let guard = Guard(self.handle.pin());
            // SAFETY: promised with each.
            unsafe { guard.retire_all(pieces) };
            // Not in the middle of a walk, nor of another turn: causes may be dropped, and an older pin lets nothing of this go.
            if nested {
                return;
            }
            guard.collect();
            drop(guard);
            if !many {
                Guard(self.handle.pin()).collect();
            }
        }
    }

    impl Drop for Local {
        /// The thread ends. What it has left is for others.
        fn drop(&mut self) {
            THREADS.fetch_sub(1, Ordering::Relaxed);
            let rest = self.retired.rest();
            if !rest.is_empty() {
                // SAFETY: promised with each.
                unsafe { Guard(self.handle.pin()).retire_all(rest) };
            }
        }
    }

    /// While it lives, nothing that was reachable when it was made is given back.
    pub(crate) struct Guard(crossbeam_epoch::Guard);

    /// Pins the calling thread. Costs one fence; nests; works while thread-locals are being destroyed.
    #[inline]
    pub(crate) fn pin() -> Guard {
        Guard(LOCAL.try_with(|local| local.handle.pin()).unwrap_or_else(|_| COLLECTOR.register().pin()))
    }

    /// Calls `free(ptr)` once nobody who is pinned now can still be looking. The caller need not be pinned. Other pieces may be given
    /// back before this returns; not if the caller is pinned.
    ///
    /// # Safety
    ///
    /// `ptr` is unreachable for guards made from now on, and `free(ptr)` is sound exactly once on any thread. It runs no user code
    /// but what invariant 1 names.
    #[inline]
    pub(crate) unsafe fn retire(ptr: *mut (), free: unsafe fn(*mut ())) {
        let kept = LOCAL.try_with(|local| {
            if local.retired.push(Piece(ptr, free)) {
                local.hand_over();
            }
        });
        if kept.is_err() {
            // The thread ends, and has handed over.
            // SAFETY: forwarded.
            unsafe { pin().retire(ptr, free) };
        }
    }

    impl Guard {
        /// Calls `free(ptr)` once nobody who is pinned now can still be looking.
        ///
        /// # Safety
        ///
        /// `ptr` is unreachable for guards made from now on, `free(ptr)` is sound exactly once on any thread, and it
        /// runs no user code.
        #[inline]
        pub(crate) unsafe fn retire(&self, ptr: *mut (), free: unsafe fn(*mut ())) {
            // SAFETY: forwarded: nobody who could be looking is pinned any more then.
            let open = move || unsafe { free(ptr) };
            // SAFETY: forwarded: what the closure frees may be freed on any thread.
            unsafe { self.0.defer_unchecked(open) };
        }

        /// The same for many, in one parcel.
        ///
        /// # Safety
        ///
        /// As for `retire`, for each.
        unsafe fn retire_all(&self, pieces: Vec<Piece>) {
            // Cut to its length: the rest of a thread is mostly short, and may wait long.
            let pieces = pieces.into_boxed_slice();
            let open = move || {
                for Piece(ptr, free) in pieces {
                    // SAFETY: forwarded: nobody who could be looking is pinned any more.
                    unsafe { free(ptr) };
                }
            };
            // SAFETY: forwarded: what the closure frees may be freed on any thread.
            unsafe { self.0.defer_unchecked(open) };
        }

        /// Gives a share of what was retired back, where nobody can be looking any more: eight bags of what threads
        /// have handed over, at most. The collector's own turn comes with every 128th pin.
        pub(crate) fn collect(&self) {
            self.0.flush();
        }
    }

    /// Gives a box back to the allocator.
    ///
    /// # Safety
    ///
    /// `ptr` came from `Box::into_raw`, and nobody looks at it any more.
    #[inline]
    pub(crate) unsafe fn bury<T>(ptr: *mut T) {
        // SAFETY: forwarded.
        drop(unsafe { Box::from_raw(ptr) });
    }
}

#[cfg(all(feature = "loom", not(crossbeam_loom)))]
mod imp {
    use crate::sync::explorer::sync::atomic::{AtomicUsize, Ordering};
    use std::alloc::{Layout, dealloc};
    use std::cell::RefCell;

    /// One retired pointer and the guards that must go before it is freed.
    struct Retired {
        ptr: *mut (),
        free: unsafe fn(*mut ()),
        waits: Vec<usize>,
    }

    #[derive(Default)]
    struct Domain {
        next: usize,
        pinned: Vec<usize>,
        retired: Vec<Retired>,
    }

    // Every thread of a model runs on one OS thread, one at a time; these hold no scheduling point.
    std::thread_local! {
        static DOMAIN: RefCell<Domain> = RefCell::default();
        static GRAVES: RefCell<Vec<(*mut u8, Layout)>> = const { RefCell::new(Vec::new()) };
    }

    crate::sync::explorer::lazy_static! {
        static ref RETIRES: AtomicUsize = AtomicUsize::new(0);
        static ref UNPINS: AtomicUsize = AtomicUsize::new(0);
    }

    /// While it lives, nothing that was reachable when it was made is given back.
    pub(crate) struct Guard(usize);

    pub(crate) fn pin() -> Guard {
        // ORDERING: epoch-retire (reader). Too late for what is retired by now, so it is seen as gone.
        RETIRES.fetch_add(1, Ordering::Acquire);
        DOMAIN.with_borrow_mut(|domain| {
            let id = domain.next;
            domain.next += 1;
            domain.pinned.push(id);
            Guard(id)
        })
    }

    impl Guard {
        /// # Safety
        ///
        /// As for the real one.
        pub(crate) unsafe fn retire(&self, ptr: *mut (), free: unsafe fn(*mut ())) {
            // ORDERING: epoch-retire (writer).
            RETIRES.fetch_add(1, Ordering::Release);
            DOMAIN.with_borrow_mut(|domain| {
                let waits = domain.pinned.clone();
                assert!(domain.retired.iter().all(|r| r.ptr != ptr), "retired twice");
                domain.retired.push(Retired { ptr, free, waits });
            });
        }
    }

    impl Drop for Guard {
        fn drop(&mut self) {
            // ORDERING: epoch-unpin (both ends). All that guards did comes before any free.
            UNPINS.fetch_add(1, Ordering::AcqRel);
            let ready = DOMAIN.with_borrow_mut(|domain| {
                domain.pinned.retain(|id| *id != self.0);
                for retired in &mut domain.retired {
                    retired.waits.retain(|id| *id != self.0);
                }
                let (ready, rest) = std::mem::take(&mut domain.retired).into_iter().partition(|r| r.waits.is_empty());
                domain.retired = rest;
                let ready: Vec<Retired> = ready;
                ready
            });
            for Retired { ptr, free, .. } in ready {
                // SAFETY: the contract of `retire`, and no guard of its time is left.
                unsafe { free(ptr) };
            }
        }
    }

    /// Ends the object, but keeps its memory until the next run of the model, so that a touch afterwards is seen and not
    /// undefined.
    ///
    /// # Safety
    ///
    /// As for the real one.
    pub(crate) unsafe fn bury<T>(ptr: *mut T) {
        // SAFETY: forwarded.
        unsafe { ptr.drop_in_place() };
        GRAVES.with_borrow_mut(|graves| graves.push((ptr.cast(), Layout::new::<T>())));
    }

    /// A run begins: what was buried in the last one goes back, and what a failed one left is forgotten.
    pub(crate) fn begin() {
        // Made here: whoever came first would hand what it did to all others otherwise.
        let _ = (&*RETIRES, &*UNPINS);
        DOMAIN.take();
        for (ptr, layout) in GRAVES.take() {
            // SAFETY: it came from a box of this layout, and its run is over.
            unsafe { dealloc(ptr, layout) };
        }
    }

    /// A run ends.
    pub(crate) fn end() {
        DOMAIN.with_borrow(|domain| {
            assert!(domain.pinned.is_empty(), "a guard outlived its run");
            assert!(domain.retired.is_empty(), "retired, and never given back");
        });
        assert_eq!(crate::sync::mortal::live(), 0, "leaked: so many words were never given back");
    }
}
/// The real collector, in a model: `cargo loom`.
#[cfg(all(feature = "loom", crossbeam_loom))]
mod imp {
    use crate::sync::mortal;
    use crossbeam_epoch::{Collector, LocalHandle};
    use std::alloc::{Layout, dealloc};
    use std::cell::{Cell, RefCell};
    use std::mem::ManuallyDrop;

    loom::thread_local! {
        static LOCAL: LocalHandle = register();
    }

    // Every thread of a model runs on one OS thread.
    std::thread_local! {
        /// The run's collector. No static of loom's: those are dropped in an order that changes from run to run, and its
        /// drop takes steps, as the timers' does. What a failed run left is not dropped at all.
        static COLLECTOR: RefCell<Option<ManuallyDrop<Collector>>> = const { RefCell::new(None) };
        static GRAVES: RefCell<Vec<(*mut u8, Layout)>> = const { RefCell::new(Vec::new()) };
        /// Whether the last run came to its end.
        static ENDED: Cell<bool> = const { Cell::new(false) };
    }

    fn register() -> LocalHandle {
        COLLECTOR.with_borrow(|collector| collector.as_ref().expect("a run has begun and not ended").register())
    }

    pub(crate) struct Guard(crossbeam_epoch::Guard);

    pub(crate) fn pin() -> Guard {
        Guard(LOCAL.try_with(LocalHandle::pin).unwrap_or_else(|_| register().pin()))
    }

    impl Guard {
        /// # Safety
        ///
        /// As without the model.
        pub(crate) unsafe fn retire(&self, ptr: *mut (), free: unsafe fn(*mut ())) {
            // SAFETY: forwarded.
            unsafe { self.0.defer_unchecked(move || free(ptr)) };
            // As early as the collector can, instead of with the next 60.
            self.0.flush();
        }
    }

    /// As in the small model: the object ends, its memory stays until the next run.
    ///
    /// # Safety
    ///
    /// As without the model.
    pub(crate) unsafe fn bury<T>(ptr: *mut T) {
        // SAFETY: forwarded.
        unsafe { ptr.drop_in_place() };
        GRAVES.with_borrow_mut(|graves| graves.push((ptr.cast(), Layout::new::<T>())));
    }

    /// A run begins. The collector of the last one went with its main thread: only now is it known what it left.
    pub(crate) fn begin() {
        if ENDED.replace(false) {
            assert_eq!(mortal::live(), 0, "leaked: so many words were never given back");
        }
        COLLECTOR.set(Some(ManuallyDrop::new(Collector::new())));
        for (ptr, layout) in GRAVES.take() {
            // SAFETY: it came from a box of this layout, and its run is over.
            unsafe { dealloc(ptr, layout) };
        }
    }

    pub(crate) fn end() {
        // The main thread's handle keeps it to the end.
        drop(COLLECTOR.take().map(ManuallyDrop::into_inner));
        ENDED.set(true);
    }
}
#[cfg(feature = "loom")]
pub(crate) use imp::{begin, end};

#[cfg(all(test, not(feature = "loom")))]
mod tests;
