//! Where the memory of cells comes from: some eighty at a time, in a slab of two kilobytes.
//!
//! Only a pool that is empty comes here, and only what a pool has no room for comes back. So this is off the way of timers that
//! come and go. It is on the way of many that come and stay, and of the burst that leaves.
//!
//! # Invariants
//!
//! 1. A cell is *at home*, in its slab's chain, or *out*. Who sends it home has it alone: it is in no queue and no pool.
//! 2. The head of a slab is touched by its maker before any cell goes out, and then under the lock of the list.
//! 3. A slab is listed while some of its cells are at home and some are out. With none at home it is known to its cells
//!    only; with all of them it goes back to the allocator.
//!
//! A cell that is out keeps its slab: of a burst whose survivors are scattered few slabs go back, but their cells are the first
//! to go out again, before any new slab.
//!
//! Nobody waits here, not even in a forked child: who does not get the lock leaves his cells to whoever does, and makes a slab.
//!
//! # Not here
//!
//! Sanitizers and the models of the engine have each cell from the allocator, which watches it: `slab_plain.rs`. Slabs have
//! models of their own.

use super::cell::{Chain, Entry, Shelf};
use crate::sync::reclaim::bury;
use crate::sync::{AtomicU32, ForkLock, MutexGuard, Ordering};
use std::ptr::NonNull;
use std::sync::LazyLock;
use std::time::Instant;

const SIZE: usize = 2048;
#[cfg(not(feature = "loom"))]
const CELLS: usize = (SIZE - size_of::<Head>()) / size_of::<Entry>();
#[cfg(feature = "loom")]
const CELLS: usize = 2;

/// Found from its cells by their addresses.
#[repr(C, align(2048))]
struct Slab {
    head: Head,
    cells: [Entry; CELLS],
}

const _: () = assert!(size_of::<Slab>() == SIZE);

/// What is known of a slab.
struct Head {
    /// Its cells at home.
    home: Chain,
    /// Of which list it is: see `after_fork`.
    age: u32,
    /// Its neighbours in the list.
    before: Option<NonNull<Slab>>,
    after: Option<NonNull<Slab>>,
}

/// The listed slabs: the first.
#[derive(Default)]
pub(super) struct List(Option<NonNull<Slab>>);

// SAFETY: slabs belong to no thread.
unsafe impl Send for List {}

/// Where cells are at home. There is one, in a static.
struct Depot {
    /// Cells on their way home.
    strays: Shelf,
    list: ForkLock<List>,
    /// How many lists were lost by forks.
    age: AtomicU32,
    #[cfg(test)]
    slabs: std::sync::atomic::AtomicIsize,
}

static DEPOT: LazyLock<Depot> = LazyLock::new(Depot::new);

/// A free cell, and more of the same slab.
pub(super) fn fetch() -> (NonNull<Entry>, Chain) {
    DEPOT.fetch()
}

/// Gives free cells back.
///
/// # Safety
///
/// Both sides have let go of the cells, and the caller has them to himself.
pub(super) unsafe fn take_back(chain: Chain) {
    // SAFETY: forwarded.
    unsafe { DEPOT.take_back(chain) };
}

/// The list, held by a thread that is about to fork.
pub(super) type Held = Option<MutexGuard<'static, List>>;

/// Holds the list, unless somebody else does beyond `until`.
pub(super) fn hold(until: Instant) -> Held {
    DEPOT.list.lock_until(until)
}

/// Run by the only thread of a forked child. If another thread was at the list, heads of slabs may be half written: that list is
/// lost, and so are the cells of its slabs when they come home. Those that are out are good as long as they stay out.
pub(super) fn after_fork() {
    DEPOT.after_fork();
}

impl Depot {
    fn new() -> Depot {
        Depot {
            strays: Shelf::new(),
            list: ForkLock::new(),
            age: AtomicU32::new(0),
            #[cfg(test)]
            slabs: Default::default(),
        }
    }

    fn after_fork(&self) -> bool {
        let lost = self.list.after_fork();
        if lost {
            // ORDERING: none. There is one thread; those to come are made by it.
            self.age.fetch_add(1, Ordering::Relaxed);
        }
        lost
    }

    fn age(&self) -> u32 {
        // ORDERING: none. It changes while there is one thread: see `after_fork`.
        self.age.load(Ordering::Relaxed)
    }

    fn fetch(&self) -> (NonNull<Entry>, Chain) {
        let known = self.list.try_lock().and_then(|mut list| {
            self.gather(&mut list);
            let slab = list.0?;
            // SAFETY: it is listed, and the list is ours.
            let mut cells = unsafe { list.remove(slab) };
            cells.pop().map(|entry| (entry, cells))
        });
        known.unwrap_or_else(|| {
            self.count(1);
            make(self.age())
        })
    }

    /// # Safety
    ///
    /// As for the function of this name.
    unsafe fn take_back(&self, mut chain: Chain) {
        let mut strays = Chain::new();
        while let Some(entry) = chain.pop() {
            // SAFETY: forwarded.
            unsafe { entry.as_ref() }.see_last_touch();
            // SAFETY: out of the other chain; forwarded.
            unsafe { strays.push(entry) };
        }
        self.strays.push_chain(strays);
        if let Some(mut list) = self.list.try_lock() {
            self.gather(&mut list);
        }
    }

    /// Brings the strays home.
    fn gather(&self, list: &mut List) {
        while !self.strays.is_empty() {
            let mut strays = self.strays.take();
            while let Some(entry) = strays.pop() {
                // SAFETY: out of the strays: free, seen free, and ours. The list is ours.
                if let Some(slab) = unsafe { list.bring_home(entry, self.age()) } {
                    self.count(-1);
                    // SAFETY: it came from a box, all its cells are at home, and it is not listed.
                    unsafe { bury(slab.as_ptr()) };
                }
            }
        }
    }

    /// Slabs that there are.
    #[cfg(test)]
    fn count(&self, more: isize) {
        self.slabs.fetch_add(more, std::sync::atomic::Ordering::Relaxed);
    }

    #[cfg(not(test))]
    fn count(&self, _: isize) {}
}

/// A new slab, all of its cells out.
fn make(age: u32) -> (NonNull<Entry>, Chain) {
    let slab = NonNull::from(Box::leak(Box::<Slab>::new_uninit())).cast::<Slab>();
    // SAFETY: just allocated.
    let head = unsafe { &raw mut (*slab.as_ptr()).head };
    // SAFETY: as above.
    unsafe { head.write(Head { home: Chain::new(), age, before: None, after: None }) };
    // SAFETY: as above. Through the pointer to the whole slab, for the way back.
    let cells = unsafe { &raw mut (*slab.as_ptr()).cells }.cast::<Entry>();
    let mut rest = Chain::new();
    let cell = |n| {
        // SAFETY: within the slab.
        let cell = unsafe { cells.add(n) };
        // SAFETY: as above.
        unsafe { cell.write(Entry::free()) };
        // SAFETY: not null.
        unsafe { NonNull::new_unchecked(cell) }
    };
    for n in (1..CELLS).rev() {
        // SAFETY: just made.
        unsafe { rest.push(cell(n)) };
    }
    (cell(0), rest)
}

/// The slab of a cell.
fn slab_of(entry: NonNull<Entry>) -> NonNull<Slab> {
    let slab = entry.as_ptr().cast::<Slab>().map_addr(|a| a & !(SIZE - 1));
    NonNull::new(slab).expect("no slab is at the bottom of memory")
}

/// What is known of a slab.
///
/// # Safety
///
/// The slab is alive, the caller holds the list, and the last head that he was given is not used any more.
unsafe fn head<'a>(slab: NonNull<Slab>) -> &'a mut Head {
    // SAFETY: forwarded.
    unsafe { &mut (*slab.as_ptr()).head }
}

impl List {
    /// Puts a cell back into its slab; the slab, if that was the last of its cells. A cell of another age is forgotten.
    ///
    /// # Safety
    ///
    /// The cell is out and the caller's alone.
    unsafe fn bring_home(&mut self, entry: NonNull<Entry>, age: u32) -> Option<NonNull<Slab>> {
        let slab = slab_of(entry);
        // SAFETY: a slab with a cell that is out is alive.
        let own = unsafe { head(slab) };
        if own.age != age {
            return None;
        }
        // SAFETY: forwarded.
        unsafe { own.home.push(entry) };
        match own.home.len() {
            CELLS => {
                // SAFETY: listed, as it had cells of both sorts.
                let _ = unsafe { self.remove(slab) };
                return Some(slab);
            }
            1 => {
                own.after = self.0;
                if let Some(after) = self.0.replace(slab) {
                    // SAFETY: listed, and another.
                    unsafe { head(after) }.before = Some(slab);
                }
            }
            _ => {}
        }
        None
    }

    /// Takes a slab off the list, and its cells out.
    ///
    /// # Safety
    ///
    /// The slab is listed.
    unsafe fn remove(&mut self, slab: NonNull<Slab>) -> Chain {
        // SAFETY: what is listed is alive.
        let own = unsafe { head(slab) };
        let (before, after, cells) = (own.before.take(), own.after.take(), own.home.take());
        match before {
            // SAFETY: listed, and another.
            Some(before) => unsafe { head(before) }.after = after,
            None => self.0 = after,
        }
        if let Some(after) = after {
            // SAFETY: as above.
            unsafe { head(after) }.before = before;
        }
        cells
    }
}

// By its path, for this file has two names there.
#[cfg(all(test, feature = "loom", not(feature = "shuttle")))]
#[path = "slab/models.rs"]
mod models;
#[cfg(all(test, not(feature = "loom")))]
mod tests;
