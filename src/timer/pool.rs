//! Where cells rest between two deadlines: a few with each thread, more with each shard, bounded both.
//!
//! A thread takes from itself first, then takes one of its shard's shelves whole, and a [slab](super::slab) of them last. A registrant
//! that drains its shard keeps the dead it found, to use them first; the driver puts its dead on the shelf of the shard they came from,
//! so that they return to the threads that arm there instead of being freed in bursts on a foreign thread.
//!
//! A thread that ends leaves its cells on those shelves too: it has to count them, so a shelf is short. Three cells share a cache line: if they went home to their slab, while its
//! other cells still wait in the shard's queue, two threads that come next would fight for the lines of that slab (a third
//! of a deadline's cost, when it was so).
//!
//! # Not here
//!
//! Cells know no types and no engine: the stores are shared by all engines of the process. The models have no threads'
//! stores, and an engine's shards have their own.

use super::cell::{Chain, Entry, Shelf};
use super::slab;
use crate::sync::{AtomicUsize, Ordering};
use std::ptr::NonNull;

/// The shelves of a store, and the cells that each keeps, about: half a megabyte in all. What comes beyond goes home.
///
/// One long shelf would do for the cells, but whoever takes a shelf may end with it, and then counts what is left of it: after a
/// burst, each thread that armed one deadline and ended paid for thousands of cells, more than for itself.
#[cfg(not(feature = "loom"))]
const SHELVES: (usize, usize) = (32, 512);
#[cfg(feature = "loom")]
const SHELVES: (usize, usize) = (1, 512);

/// The store of a shard, and of the threads that arm there.
pub(super) struct Pool {
    shelves: [Counted; SHELVES.0],
}

/// A shelf that knows, about, how many cells are on it.
struct Counted {
    cells: Shelf,
    len: AtomicUsize,
}

impl Counted {
    /// All that is on it.
    fn take(&self) -> Chain {
        if self.cells.is_empty() {
            return Chain::new();
        }
        let all = self.cells.take();
        // Afterwards: an empty shelf that counts as full would stay empty.
        // ORDERING: none. A statistic that bounds the shelf roughly.
        self.len.store(0, Ordering::Relaxed);
        all
    }

    /// Puts as much of a chain here as there is room for.
    fn fill(&self, chain: &mut Chain) {
        // ORDERING: none, both; as in `take`.
        let room = SHELVES.1.saturating_sub(self.len.load(Ordering::Relaxed));
        let part = chain.split(room);
        if !part.is_empty() {
            self.len.fetch_add(part.len(), Ordering::Relaxed);
            self.cells.push_chain(part);
        }
    }
}

impl Pool {
    pub(super) fn new() -> Self {
        let empty = |_| Counted { cells: Shelf::new(), len: AtomicUsize::new(0) };
        Pool { shelves: std::array::from_fn(empty) }
    }

    /// One free cell, from here or from a slab of them; the thread keeps what else was there.
    #[cold]
    pub(super) fn fetch(&self) -> NonNull<Entry> {
        let shelved = self.shelves.iter().find_map(|shelf| {
            let mut cells = shelf.take();
            Some((cells.pop()?, cells))
        });
        let (entry, rest) = shelved.unwrap_or_else(slab::fetch);
        if let Err(rest) = local::stash(rest) {
            self.put_back(rest);
        }
        entry
    }

    /// Keeps a chain of free cells; sends those home for which there is no room.
    ///
    /// # Safety
    ///
    /// Both sides have let go of the cells.
    pub(super) unsafe fn give(&self, mut chain: Chain) {
        for shelf in &self.shelves {
            if chain.is_empty() {
                return;
            }
            shelf.fill(&mut chain);
        }
        if !chain.is_empty() {
            // SAFETY: forwarded.
            unsafe { slab::take_back(chain) };
        }
    }

    /// As [`give`](Self::give), but the calling thread keeps the chain if it has not kept many lately.
    ///
    /// # Safety
    ///
    /// Both sides have let go of the cells.
    pub(super) unsafe fn keep(&self, chain: Chain) {
        match local::adopt(chain) {
            Ok(()) => {}
            // SAFETY: forwarded.
            Err(chain) => unsafe { self.give(chain) },
        }
    }

    /// A chain of unknown length that the thread could not keep, or keeps no longer.
    #[cold]
    fn put_back(&self, mut rest: Chain) {
        let mut counted = Chain::new();
        while let Some(entry) = rest.pop() {
            // SAFETY: the place of a free cell is with the chain it was in.
            unsafe { counted.push(entry) };
        }
        // SAFETY: they were on a shelf or with a thread: free, and known to nobody else.
        unsafe { self.give(counted) };
    }

    /// Cells here, about.
    #[cfg(all(test, feature = "loom"))]
    pub(super) fn len(&self) -> usize {
        // ORDERING: none. A statistic.
        self.shelves.iter().map(|shelf| shelf.len.load(Ordering::Relaxed)).sum()
    }

    /// Sends everything home.
    pub(super) fn clear(&self) {
        for shelf in &self.shelves {
            // SAFETY: what is on a shelf is free.
            unsafe { slab::take_back(shelf.take()) };
        }
    }
}

/// The calling thread's part of arming: which shard is its own, and whether this arm is one of those that count.
#[derive(Clone, Copy)]
pub(super) struct Turn {
    /// The thread's index.
    pub(super) thread: usize,
    /// How many arms this one stands for in its shard's books: 0 almost always.
    pub(super) counted: usize,
}

pub(super) use local::{Store, count, of, take};

#[cfg(not(feature = "loom"))]
mod local {
    use super::super::cell::{Chain, Entry};
    use super::{Pool, Turn};
    use crate::sync::{shard_count, thread_index};
    use crossbeam_utils::CachePadded;
    use std::cell::Cell;
    use std::ptr::{self, NonNull};
    use std::sync::LazyLock;

    /// One arm in this many stands for all of them.
    const EVERY: u32 = 64;

    const UNSET: usize = usize::MAX;

    /// Cells that a thread keeps beside those that it took whole from a shelf.
    pub(super) const SPARE: usize = 1024;

    struct Local {
        /// Free cells of unknown number, chained. Those used last are the first to be used again, so the processor has them
        /// at hand, however many lie below.
        stash: Cell<*mut Entry>,
        /// How many of them were kept and not used since, about.
        spare: Cell<usize>,
        index: Cell<usize>,
        arms: Cell<u32>,
    }

    std::thread_local! {
        static LOCAL: Local = const {
            Local {
                stash: Cell::new(ptr::null_mut()),
                spare: Cell::new(0),
                index: Cell::new(UNSET),
                arms: Cell::new(0),
            }
        };
    }

    impl Drop for Local {
        fn drop(&mut self) {
            let chain = Chain::adopt(self.stash.replace(ptr::null_mut()));
            if !chain.is_empty() {
                of(thread_index()).put_back(chain);
            }
        }
    }

    /// A pool that is there for ever.
    pub(in super::super) type Store = &'static Pool;

    /// The store of the shards with this index, and of the threads.
    pub(in super::super) fn of(index: usize) -> Store {
        static POOLS: LazyLock<Box<[CachePadded<Pool>]>> =
            LazyLock::new(|| (0..shard_count()).map(|_| CachePadded::new(Pool::new())).collect());
        &POOLS[index & (POOLS.len() - 1)]
    }

    /// A free cell of the calling thread.
    #[inline]
    pub(in super::super) fn take() -> Option<NonNull<Entry>> {
        LOCAL
            .try_with(|local| {
                let mut chain = Chain::adopt(local.stash.get());
                let entry = chain.pop();
                local.stash.set(chain.into_head());
                entry
            })
            .ok()
            .flatten()
    }

    /// Keeps a chain that was just taken whole from a shelf, the thread's own being empty.
    pub(super) fn stash(chain: Chain) -> Result<(), Chain> {
        let mut chain = Some(chain);
        let _ = LOCAL.try_with(|local| {
            if local.stash.get().is_null() {
                local.stash.set(chain.take().unwrap_or(Chain::new()).into_head());
            }
        });
        chain.map_or(Ok(()), Err)
    }

    /// Keeps a drained chain, unless too many were kept and are not used.
    pub(super) fn adopt(chain: Chain) -> Result<(), Chain> {
        let mut chain = Some(chain);
        let _ = LOCAL.try_with(|local| {
            let spare = if local.stash.get().is_null() { 0 } else { local.spare.get() };
            if let Some(chain) = chain.take_if(|chain| spare == 0 || spare + chain.len() <= SPARE) {
                local.spare.set(spare + chain.len());
                local.stash.set(chain.onto(local.stash.get()));
            }
        });
        chain.map_or(Ok(()), Err)
    }

    /// Counts an arm of the calling thread.
    ///
    /// Threads start counting at different points of the round, so that many short-lived threads with a few arms each
    /// are counted right on average.
    #[inline]
    pub(in super::super) fn count() -> Turn {
        LOCAL
            .try_with(|local| {
                if local.index.get() == UNSET {
                    let index = thread_index();
                    local.index.set(index);
                    local.arms.set((index as u32).wrapping_mul(0x9E37_79B9) >> 26);
                }
                let arms = (local.arms.get() + 1) % EVERY;
                local.arms.set(arms);
                if arms == 0 {
                    local.spare.set(local.spare.get().saturating_sub(EVERY as usize));
                }
                Turn { thread: local.index.get(), counted: if arms == 0 { EVERY as usize } else { 0 } }
            })
            .unwrap_or_else(|_| Turn { thread: thread_index(), counted: 1 })
    }
}

#[cfg(feature = "loom")]
mod local {
    use super::super::cell::{Chain, Entry};
    use super::{Pool, Turn};
    use std::ptr::NonNull;

    pub(in super::super) fn take() -> Option<NonNull<Entry>> {
        None
    }

    pub(super) fn stash(chain: Chain) -> Result<(), Chain> {
        if chain.is_empty() { Ok(()) } else { Err(chain) }
    }

    pub(super) fn adopt(chain: Chain) -> Result<(), Chain> {
        Err(chain)
    }

    pub(in super::super) fn count() -> Turn {
        Turn { thread: 0, counted: 1 }
    }

    /// A shard's own.
    pub(in super::super) type Store = Box<Pool>;

    pub(in super::super) fn of(_: usize) -> Store {
        Box::new(Pool::new())
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::super::{cell::Chain, slab};
    use super::{Pool, local, of};
    use crate::sync::thread_index;
    use std::{iter, thread};

    #[test]
    fn what_a_thread_drains_it_uses_first_and_does_not_pile_up() {
        let drain = || {
            let (mut kept, mut used) = (0, Chain::new());
            loop {
                let (last, mut chain) = slab::fetch();
                // SAFETY: just fetched.
                unsafe { chain.push(last) };
                let more = chain.len();
                if let Err(chain) = local::adopt(chain) {
                    for chain in [used, chain] {
                        of(thread_index()).put_back(chain);
                    }
                    return (kept, more);
                }
                kept += more;
                assert_eq!(local::take(), Some(last), "what was drained last lies on top");
                // SAFETY: just taken.
                unsafe { used.push(last) };
            }
        };
        let (kept, more) = thread::spawn(drain).join().expect("it drains, and ends");
        assert!(kept <= local::SPARE && kept + more > local::SPARE, "{kept} kept, {more} refused");
    }

    /// It counts them when it ends.
    #[test]
    fn after_a_burst_a_thread_takes_a_few_of_what_is_left() {
        let store = Pool::new();
        let mut burst = Chain::new();
        while burst.len() < 10_000 {
            let (first, mut rest) = slab::fetch();
            for entry in iter::once(first).chain(iter::from_fn(|| rest.pop())) {
                // SAFETY: just fetched.
                unsafe { burst.push(entry) };
            }
        }
        let all = burst.len();
        // SAFETY: as above.
        unsafe { store.give(burst) };
        let one = || {
            let mut taken = Chain::new();
            for entry in iter::once(store.fetch()).chain(iter::from_fn(local::take)) {
                // SAFETY: just fetched.
                unsafe { taken.push(entry) };
            }
            let few = taken.len();
            // SAFETY: as above.
            unsafe { store.give(taken) };
            few
        };
        let few = thread::scope(|scope| scope.spawn(one).join().expect("it takes some, and gives them back"));
        assert!(few <= all / 8, "{few} of {all}");
        store.clear();
    }

    /// Another test's threads may have the same store, and be quicker: so it is tried again.
    #[test]
    fn a_thread_that_ends_leaves_its_cells_to_its_shard() {
        let left = || {
            let keep = || {
                let cell = of(thread_index()).fetch();
                let mut all = Chain::new();
                for entry in iter::once(cell).chain(iter::from_fn(local::take)) {
                    // SAFETY: just fetched, or the thread's own.
                    unsafe { all.push(entry) };
                }
                (thread_index(), cell.addr(), local::stash(all).is_ok())
            };
            let (index, cell, kept) = thread::spawn(keep).join().expect("it keeps a cell, and ends");
            let store = of(index);
            let mut found = Chain::new();
            let mut among = false;
            for shelf in &store.shelves {
                let mut chain = shelf.take();
                while let Some(entry) = chain.pop() {
                    among |= entry.addr() == cell;
                    // SAFETY: out of the other chain.
                    unsafe { found.push(entry) };
                }
            }
            // SAFETY: off the shelves.
            unsafe { store.give(found) };
            kept && among
        };
        assert!((0..100).any(|_| left()), "a hundred threads ended, and none left what it had");
    }
}
