//! The timer engine: fires deadlines, millions of which are armed and nearly all of which are released unfired.
//!
//! It knows no contexts. What has a deadline is a [`Target`]; it owns its deadline and one pointer to its current
//! [`Cell`], and the engine owns the queue the cell is in. Arming is one CAS ([`shard`]), releasing one swap
//! ([`cell`]), pushing a deadline back nothing at all here: the target is asked when the cell surfaces ([`turn`]).
//!
//! # The two sides of a cell
//!
//! * Owner side: whoever swaps the pointer to the cell out of the target; calls [`Timers::disarm`] exactly once.
//! * Queue side: the place the cell is in; in the end whoever takes it out of there.
//!
//! One word, `when`, decides between them. The queue side may look at the target only after it has pinned an epoch
//! and claimed the cell; an owner who finds the claim leaves the target's memory to the epoch.
//!
//! # Orderings
//!
//! timer-arm, the one handshake over two words, here in full. Let an arm push its cell, look at its shard's bound
//! `low`, then at `next_wake`. Let a pass publish `next_wake`, then look at the bounds of all shards a second time,
//! and lower `next_wake` to what it finds. All these accesses are `SeqCst`, so they have one order: either the arm
//! lowers the bound (or sees it low) before the second look, which then finds it; or after, and then it sees what the
//! pass has published, lowers it itself and wakes the driver. Nobody sleeps past a deadline.
//!
//! # Not here
//!
//! What a deadline does ([`Target::surface`]), and who waits for it.

#![cfg_attr(feature = "loom", allow(dead_code, reason = "only the models drive the engine there"))]

#[cfg(all(feature = "fuzz", not(feature = "loom")))]
pub mod by_hand;
#[cfg(not(feature = "loom"))]
mod calls;
mod cell;
#[cfg_attr(feature = "loom", path = "driver_model.rs")]
mod driver;
#[cfg(not(feature = "loom"))]
mod fork;
mod hands;
mod heap;
mod pool;
#[cfg_attr(feature = "loom", path = "runner_model.rs")]
mod runner;
mod shard;
#[cfg_attr(any(feature = "loom", ripcord_unpooled, fuzzing), path = "slab_plain.rs")]
mod slab;
// Beside the plain one, for its models.
#[cfg(all(test, feature = "loom", not(feature = "shuttle")))]
#[path = "slab.rs"]
mod slab_modeled;
#[cfg(not(feature = "loom"))]
mod stand_in;
mod telling;
mod turn;

#[cfg(all(test, feature = "loom", not(feature = "shuttle")))]
mod models;
#[cfg(all(test, not(feature = "loom")))]
mod tests;

use crate::clock::{NEVER, Tick};
use crate::sync::reclaim::Guard;
#[cfg(not(feature = "loom"))]
use crate::sync::shard_count;
use crate::sync::{AtomicU64, ForkLock, Ordering};
use cell::{Chain, Entry, Release};
use crossbeam_utils::CachePadded;
use hands::Hands;
use runner::Driver;
use shard::Shard;
use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;
use telling::Tellers;

#[cfg(not(feature = "loom"))]
pub(crate) use fork::Still;

/// What has a deadline.
///
/// # Safety
///
/// A target to which a cell was submitted stays valid memory until `disarm` of that cell returned `Released`, or, if
/// it returned `Surfacing`, until every guard pinned at that time is gone.
pub(crate) unsafe trait Target: Sized + Send + Sync + 'static {
    /// What the marking left to be told: claimed wakers and callbacks.
    type Told: Default + Send;

    /// The key under which the cell was queued has passed. Marks the target ended if its own deadline has passed too,
    /// and puts who is to hear of it into `told`. Runs no user code. May disarm, but not
    /// arm: that may have to wait for the pass it is part of.
    ///
    /// # Safety
    ///
    /// Called by the engine only: pinned by `guard`, the cell's claim held. `now` is the pass's clock.
    unsafe fn surface(this: NonNull<Self>, now: Tick, guard: &Guard, told: &mut Self::Told) -> Surface;

    /// Runs user code, unpinned and outside locks, once for all that one pass has marked. The first
    /// panic goes on from here when everybody has been told.
    fn tell(told: Self::Told);

    /// The part of [`tell`](Self::tell) that should be quick: wakes who waits. True if there is more to tell. Catches
    /// panics itself.
    fn wake(told: &mut Self::Told) -> bool;
}

/// What became of a target whose cell surfaced.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Surface {
    /// Its deadline is this now: queue it again.
    Later(Tick),
    /// It has ended, or has no deadline: the queue lets go of the cell.
    Over,
}

/// What an owner who lets go of a cell may do with the target.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disarm {
    /// The engine does not look at the target any more: free it at will.
    Released,
    /// The engine may be looking at the target: leave its memory to the epoch.
    Surfacing,
}

/// The claim on one queued deadline of a `T`.
#[repr(transparent)]
pub(crate) struct Cell<T>(Entry, PhantomData<*mut T>);

impl<T> fmt::Debug for Cell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cell")
    }
}

/// An engine. There is one per kind of target, in a static; it has one thread, started by the first arm.
pub(crate) struct Timers<T: Target> {
    /// No live cell has a key below this, but for those in a pass's hands and those whose arm is about to lower it
    /// (timer-arm). [`NEVER`] while there is no driver, so that every arm asks for one.
    next_wake: CachePadded<AtomicU64>,
    shards: Box<[Shard]>,
    /// One pass at a time marks; it has its tools in here.
    hands: ForkLock<Hands>,
    driver: Driver,
    tellers: Tellers,
    #[cfg(not(feature = "loom"))]
    calls: calls::Calls<T::Told>,
    target: PhantomData<fn(NonNull<T>)>,
}

impl<T: Target> Timers<T> {
    /// An engine with as many shards as keep the threads of this machine apart. No thread yet.
    pub(crate) fn new() -> Self {
        Self::with_driver(Driver::new())
    }

    /// An engine without a thread: [`turn`](Self::turn) drives it.
    #[cfg(all(any(test, feature = "fuzz"), not(feature = "loom")))]
    pub(crate) fn manual() -> Self {
        Self::with_driver(Driver::manual())
    }

    fn with_driver(driver: Driver) -> Self {
        let next_wake = AtomicU64::new(NEVER);
        // ORDERING: none. For the model, see `sync::model`.
        next_wake.store(NEVER, Ordering::SeqCst);
        Timers {
            next_wake: CachePadded::new(next_wake),
            shards: (0..shard_count()).map(Shard::new).collect(),
            hands: ForkLock::new(),
            driver,
            tellers: Tellers::default(),
            #[cfg(not(feature = "loom"))]
            calls: calls::Calls::new(),
            target: PhantomData,
        }
    }

    /// A cell for `target`, not queued yet: store it in the target, then [`submit`](Self::submit) it.
    #[inline]
    pub(crate) fn prepare(&self, when: Tick, target: NonNull<T>) -> NonNull<Cell<T>> {
        let entry = pool::take().unwrap_or_else(|| self.own_shard().pool().fetch());
        // SAFETY: out of a pool, the cell is exclusively ours.
        unsafe { entry.as_ref() }.dress(when, target.as_ptr().cast());
        entry.cast()
    }

    /// Queues a prepared cell, and wakes the driver if it would sleep past `when`. Somebody may have disarmed the
    /// cell already.
    ///
    /// # Safety
    ///
    /// `cell` was prepared here with `when`, and is submitted once.
    #[inline]
    pub(crate) unsafe fn submit(&'static self, cell: NonNull<Cell<T>>, when: Tick) {
        // SAFETY: forwarded.
        if unsafe { self.enqueue(cell, when) } {
            self.wake();
        }
    }

    /// Queues a cell; true if the driver has to be woken. Afterwards the cell may be gone.
    ///
    /// # Safety
    ///
    /// As for [`submit`](Self::submit).
    #[inline]
    unsafe fn enqueue(&self, cell: NonNull<Cell<T>>, when: Tick) -> bool {
        let arm = pool::count();
        let shard = &self.shards[arm.thread & (self.shards.len() - 1)];
        // SAFETY: forwarded.
        unsafe { shard.push(cell.cast(), when) };
        let groom = arm.counted != 0;
        if groom {
            shard.groom(arm.counted);
        }
        // ORDERING: timer-arm (the read of "push, then look at the wake-up", and the write that keeps it low).
        let early =
            when < self.next_wake.load(Ordering::SeqCst) && when < self.next_wake.fetch_min(when, Ordering::SeqCst);
        early || (groom && self.driver.wants_tidying())
    }

    /// Takes back a cell that was prepared and will not be submitted.
    ///
    /// # Safety
    ///
    /// `cell` was prepared here, and nobody else knows it.
    pub(crate) unsafe fn discard(&self, cell: NonNull<Cell<T>>) {
        self.recycle(cell.cast());
    }

    /// The owner lets go of a submitted cell: one swap, no lock, no look at a shard.
    ///
    /// # Safety
    ///
    /// The caller is the one who took the pointer to the cell out of the target, and does not use it again.
    #[inline]
    pub(crate) unsafe fn disarm(&self, cell: NonNull<Cell<T>>) -> Disarm {
        // SAFETY: forwarded.
        match unsafe { Entry::release(cell.cast()) } {
            Release::Queued => Disarm::Released,
            Release::Surfacing => Disarm::Surfacing,
            Release::LetGo => {
                self.recycle(cell.cast());
                Disarm::Surfacing
            }
        }
    }

    /// Keeps a cell that both sides have let go of.
    #[cold]
    fn recycle(&self, entry: NonNull<Entry>) {
        let mut chain = Chain::new();
        // SAFETY: exclusively ours.
        unsafe { chain.push(entry) };
        // SAFETY: both sides have let go of it.
        unsafe { self.own_shard().pool().keep(chain) };
    }

    fn own_shard(&self) -> &Shard {
        &self.shards[crate::sync::thread_index() & (self.shards.len() - 1)]
    }

    /// Cells queued, and how many of them are live. Looks at every one.
    #[cfg(any(test, feature = "loom", feature = "fuzz"))]
    pub(crate) fn census(&self) -> (usize, usize) {
        self.shards.iter().map(Shard::census).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// How often the driver's thread has woken up.
    #[cfg(all(test, not(feature = "loom")))]
    pub(crate) fn wakeups(&self) -> u64 {
        self.driver.wakeups()
    }
}

/// One is enough for the races of one queue.
#[cfg(feature = "loom")]
fn shard_count() -> usize {
    1
}
