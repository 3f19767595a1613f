//! One shard: a lock-free inbox, the nursery behind it, and the heap of those that survived the nursery.
//!
//! A deadline is armed by one push onto the inbox. Nearly all are released again within milliseconds, so nobody sorts
//! them at once: registrants look a few over now and then ([`Shard::groom`]), and the driver looks the nursery over
//! when something in it may be due ([`Shard::collect`]).
//!
//! # The way of a cell
//!
//! ```text
//!   inbox --> inflow --> young --> exam --> heap --> a pass's hands
//!    all      at the lock holder's; each step drops the dead; each generation ends when inflow and exam are empty
//! ```
//!
//! A cell enters `young` the first time somebody looks at it and finds it live, and the heap the second time, one
//! generation later. An inbox is a stack and so is `young`: two reversals, so cells enter the heap in arrival order,
//! which for equal timeouts is the order of their keys and costs a heap nothing.
//!
//! # Invariants
//!
//! 1. Every live cell of the shard with key `d` is covered: by the exact lower bound of the place it is in (`young`,
//!    `exam`, heap), or, in `inbox` and `inflow`, by `low` or `inflow_low`; or the thread that armed it has yet to
//!    look at `low` and after that at the driver's `next_wake` (timer-arm).
//! 2. Only the lock's holder takes the inbox, and resets `low` before it does.
//!
//! # Orderings
//!
//! timer-low: an arm pushes, then looks at `low` and lowers it; a taker resets `low`, then takes the inbox. Push and
//! take change one word. Either the push is first, and the cell is taken; or the take is first, then the push has seen
//! it, the look at `low` sees the reset, and the arm lowers it again.

use super::cell::{Chain, Entry, Shelf};
use super::heap::{Heap, Keyed, Untidy};
use super::pool::{self, Store};
use super::slab;
use crate::clock::{NEVER, Tick};
use crate::sync::{AtomicU64, AtomicUsize, ForkLock, MutexGuard, Ordering};
use crossbeam_utils::CachePadded;
use std::ptr::NonNull;
use std::time::Instant;

#[cfg(not(feature = "loom"))]
mod size {
    /// A generation begins when so many cells wait to be looked at, at least and at most.
    pub(super) const LIMIT: (usize, usize) = (256, 65_536);
    /// From here on registrants wait for the lock instead of going on without it.
    pub(super) const PRESSURE: usize = 131_072;
    /// Cells looked at in one go.
    pub(super) const EXAMINE: usize = 256;
    /// Heap items looked at for each one pushed, in each tidying pass, and popped dead beyond what is due.
    pub(super) const SWEEP: (usize, usize, usize) = (2, 16_384, 256);
}

#[cfg(feature = "loom")]
mod size {
    pub(super) const LIMIT: (usize, usize) = (1, 2);
    pub(super) const PRESSURE: usize = 8;
    pub(super) const EXAMINE: usize = 2;
    pub(super) const SWEEP: (usize, usize, usize) = (1, 1, 1);
}

/// A due cell, out of its shard and in a pass's hands.
#[derive(Clone, Copy)]
pub(super) struct Due {
    pub(super) key: Tick,
    pub(super) entry: NonNull<Entry>,
    pub(super) shard: usize,
}

pub(super) struct Shard {
    /// Written by every arm.
    front: CachePadded<Front>,
    /// Written at each grooming.
    books: CachePadded<Books>,
    queue: ForkLock<Queue>,
}

struct Front {
    inbox: Shelf,
    /// No cell in the inbox has a key below this (but see invariant 1).
    low: AtomicU64,
}

struct Books {
    pool: Store,
    /// Cells that wait to be looked at (inbox, inflow and exam), about; wraps below zero.
    waiting: AtomicUsize,
    /// How many of them start a grooming.
    limit: AtomicUsize,
}

pub(super) struct Queue {
    heap: Heap,
    inflow: Chain,
    young: Chain,
    exam: Chain,
    inflow_low: Tick,
    young_low: Tick,
    exam_low: Tick,
    /// Registrants have groomed this shard since the driver last asked.
    groomed: bool,
}

// SAFETY: the chains and the heap own the places of their cells, and cells may be handed from thread to thread.
unsafe impl Send for Queue {}

impl Default for Queue {
    fn default() -> Self {
        Queue {
            heap: Heap::new(),
            inflow: Chain::new(),
            young: Chain::new(),
            exam: Chain::new(),
            inflow_low: NEVER,
            young_low: NEVER,
            exam_low: NEVER,
            groomed: false,
        }
    }
}

/// The key of a live cell; a dead one joins `dead`.
///
/// # Safety
///
/// The caller holds the cell's place, and gives it up if the answer is `None`.
#[inline]
unsafe fn live(entry: NonNull<Entry>, dead: &mut Chain) -> Option<Tick> {
    // SAFETY: the queue side has not let go of it.
    let key = unsafe { entry.as_ref() }.armed();
    if key.is_none() {
        // SAFETY: forwarded.
        unsafe { dead.push(entry) };
    }
    key
}

impl Queue {
    /// Puts a live cell into the heap, and looks at a few others there.
    fn promote(&mut self, item: Keyed, dead: &mut Chain) {
        self.heap.push(item);
        self.sweep(size::SWEEP.0, dead);
    }

    fn sweep(&mut self, budget: usize, dead: &mut Chain) {
        // SAFETY: the heap holds the places of its cells and gives up those that are dead.
        self.heap.sweep(budget, |entry| unsafe { live(entry, dead) }.is_none());
    }

    fn tidy(&mut self, changed: bool, dead: &mut Chain) {
        // SAFETY: as for `sweep`.
        self.heap.tidy(changed, size::SWEEP.1, |entry| unsafe { live(entry, dead) }.is_none());
    }

    fn keep_young(&mut self, entry: NonNull<Entry>, key: Tick) {
        // SAFETY: the caller took it out of its former place.
        unsafe { self.young.push(entry) };
        self.young_low = self.young_low.min(key);
    }

    /// Looks at up to `budget` cells of the current generation; if there are none, begins the next one.
    fn examine(&mut self, shard: &Shard, budget: usize, dead: &mut Chain) {
        self.groomed = true;
        if self.exam.is_empty() && self.inflow.is_empty() {
            self.begin_generation(shard);
        }
        for _ in 0..budget {
            if let Some(entry) = self.exam.pop() {
                // SAFETY: out of `exam`, in our hands.
                if let Some(key) = unsafe { live(entry, dead) } {
                    self.promote((key, entry), dead);
                }
            } else if let Some(entry) = self.inflow.pop() {
                // SAFETY: out of `inflow`, in our hands.
                if let Some(key) = unsafe { live(entry, dead) } {
                    self.keep_young(entry, key);
                }
            } else {
                break;
            }
        }
        if self.exam.is_empty() {
            self.exam_low = NEVER;
            if self.inflow.is_empty() {
                self.inflow_low = NEVER;
                self.end_generation(shard);
            }
        }
    }

    /// What survived the last generation is examined next; what came in meanwhile flows in.
    fn begin_generation(&mut self, shard: &Shard) {
        self.exam = self.young.take();
        self.exam_low = std::mem::replace(&mut self.young_low, NEVER);
        self.flow_in(shard);
        // ORDERING: none, both. Books decide when somebody looks, never what is seen. From now on every counted arm
        // helps to look, until the generation is through.
        shard.books.limit.store(0, Ordering::Relaxed);
        shard.books.waiting.store(0, Ordering::Relaxed);
    }

    /// The next generation may grow in proportion to what lives.
    fn end_generation(&self, shard: &Shard) {
        let limit = (2 * self.young.len()).clamp(size::LIMIT.0, size::LIMIT.1);
        // ORDERING: none. Books, as above.
        shard.books.limit.store(limit, Ordering::Relaxed);
    }

    /// Takes the inbox. `inflow` is empty.
    fn flow_in(&mut self, shard: &Shard) {
        // ORDERING: timer-low: before the take. SeqCst for timer-arm, as everything that touches `low`.
        let low = shard.front.low.swap(NEVER, Ordering::SeqCst);
        self.inflow = shard.front.inbox.take();
        self.inflow_low = low;
    }

    /// The earliest key that anything here may have.
    fn bound(&self, shard: &Shard) -> Tick {
        // ORDERING: timer-arm (the read of "publish the wake-up, then look again").
        let low = shard.front.low.load(Ordering::SeqCst);
        low.min(self.nursery_low()).min(self.heap.peek().map_or(NEVER, |item| item.0))
    }

    fn nursery_low(&self) -> Tick {
        self.inflow_low.min(self.young_low).min(self.exam_low)
    }

    /// Looks at everything in the nursery: one generation older, the dead out, the due into `take`.
    fn walk(&mut self, shard: &Shard, now: Tick, dead: &mut Chain, take: &mut impl FnMut(Keyed)) {
        let mut old = [self.exam.take(), self.young.take()];
        (self.exam_low, self.young_low) = (NEVER, NEVER);
        for chain in &mut old {
            while let Some(entry) = chain.pop() {
                // SAFETY: out of its list, in our hands.
                match unsafe { live(entry, dead) } {
                    Some(key) if key <= now => take((key, entry)),
                    Some(key) => self.promote((key, entry), dead),
                    None => {}
                }
            }
        }
        self.walk_inflow(now, dead, take);
        self.flow_in(shard);
        self.walk_inflow(now, dead, take);
        // ORDERING: none. Books; nothing waits any more.
        shard.books.waiting.store(0, Ordering::Relaxed);
        self.end_generation(shard);
    }

    fn walk_inflow(&mut self, now: Tick, dead: &mut Chain, take: &mut impl FnMut(Keyed)) {
        while let Some(entry) = self.inflow.pop() {
            // SAFETY: out of `inflow`, in our hands.
            match unsafe { live(entry, dead) } {
                Some(key) if key <= now => take((key, entry)),
                Some(key) => self.keep_young(entry, key),
                None => {}
            }
        }
        self.inflow_low = NEVER;
    }

    /// Takes what is due out of the heap, and some of the dead at its top.
    fn surface(&mut self, now: Tick, dead: &mut Chain, take: &mut impl FnMut(Keyed)) {
        let mut spare = size::SWEEP.2;
        while let Some((key, entry)) = self.heap.peek() {
            // SAFETY: cells in the heap are not recycled but by us.
            let armed = unsafe { entry.as_ref() }.armed().is_some();
            if key > now {
                if armed || spare == 0 {
                    break;
                }
                spare -= 1;
            }
            self.heap.pop();
            if armed {
                take((key, entry));
            } else {
                // SAFETY: out of the heap, in our hands, and dead.
                unsafe { dead.push(entry) };
            }
        }
    }

    fn idle(&self, shard: &Shard) -> bool {
        self.inflow.is_empty() && self.young.is_empty() && self.exam.is_empty() && shard.front.inbox.is_empty()
    }
}

impl Shard {
    pub(super) fn new(index: usize) -> Self {
        let front = Front { inbox: Shelf::new(), low: AtomicU64::new(NEVER) };
        // ORDERING: none. For the model, see `sync::model`.
        front.low.store(NEVER, Ordering::SeqCst);
        Shard {
            front: CachePadded::new(front),
            books: CachePadded::new(Books {
                pool: pool::of(index),
                waiting: AtomicUsize::new(0),
                limit: AtomicUsize::new(size::LIMIT.0),
            }),
            queue: ForkLock::new(),
        }
    }

    pub(super) fn pool(&self) -> &Store {
        &self.books.pool
    }

    /// Queues a cell under `key`: one CAS, and a look at the bound.
    ///
    /// # Safety
    ///
    /// The cell was dressed with `key`, is in no queue, and the caller gives up its place.
    #[inline]
    pub(super) unsafe fn push(&self, entry: NonNull<Entry>, key: Tick) {
        // SAFETY: forwarded.
        unsafe { self.front.inbox.push(entry) };
        // ORDERING: timer-low: after the push. SeqCst for timer-arm: a bound found low was low before the second look,
        // or that look was before our look at `next_wake`.
        if key < self.front.low.load(Ordering::SeqCst) {
            // ORDERING: timer-arm (the write the driver's second look sees).
            self.front.low.fetch_min(key, Ordering::SeqCst);
        }
    }

    /// `counted` more cells were armed here; looks a few over if it is time to. Does not wait for others who look,
    /// unless so many cells have piled up that their lock's holder must have lost the processor.
    #[cold]
    pub(super) fn groom(&self, counted: usize) {
        // ORDERING: none, both. Books decide when somebody looks, never what is seen.
        let waiting = self.books.waiting.fetch_add(counted, Ordering::Relaxed) + counted;
        if waiting <= self.books.limit.load(Ordering::Relaxed) {
            return;
        }
        let (queue, budget) = if waiting < size::PRESSURE {
            (self.queue.try_lock(), size::EXAMINE)
        } else {
            (Some(self.queue.lock()), 4 * size::EXAMINE)
        };
        if let Some(mut queue) = queue {
            let mut dead = Chain::new();
            queue.examine(self, budget, &mut dead);
            drop(queue);
            // SAFETY: `dead` are cells both sides have let go of.
            unsafe { self.books.pool.keep(dead) };
        }
    }

    /// One look of a pass: what is due goes into `due`; returns the earliest key of the rest, or something earlier.
    /// `tidy`: looks the nursery over even if nothing in it can be due, unless registrants do.
    pub(super) fn collect(&self, index: usize, now: Tick, tidy: bool, due: &mut Vec<Due>) -> Tick {
        let mut dead = Chain::new();
        let mut take = |(key, entry)| due.push(Due { key, entry, shard: index });
        let mut queue = self.queue.lock();
        let groomed = tidy && std::mem::replace(&mut queue.groomed, false);
        let changed = tidy && (groomed || !queue.idle(self));
        // ORDERING: timer-arm. Not the deciding look: a bound lowered after it is for the second look, or for who lowers.
        if (tidy && !groomed) || queue.nursery_low().min(self.front.low.load(Ordering::SeqCst)) <= now {
            queue.walk(self, now, &mut dead, &mut take);
        }
        queue.surface(now, &mut dead, &mut take);
        if tidy {
            queue.tidy(changed, &mut dead);
        }
        let bound = queue.bound(self);
        drop(queue);
        // SAFETY: `dead` are cells both sides have let go of.
        unsafe { self.books.pool.give(dead) };
        bound
    }

    /// The earliest key here, or something earlier; and whether the dead are to be looked for.
    pub(super) fn look(&self) -> (Tick, Untidy) {
        let queue = self.queue.lock();
        let nursery = if queue.idle(self) { Untidy::No } else { Untidy::Somewhat };
        (queue.bound(self), nursery.max(queue.heap.untidy()))
    }

    /// Puts a cell back that a pass had in its hands, under its new key.
    ///
    /// # Safety
    ///
    /// The cell's place is the caller's, who gives it up.
    pub(super) unsafe fn put_back(&self, key: Tick, entry: NonNull<Entry>) {
        let mut dead = Chain::new();
        self.queue.lock().promote((key, entry), &mut dead);
        // SAFETY: `dead` are cells both sides have let go of.
        unsafe { self.books.pool.give(dead) };
    }

    /// What is queued here, held by a thread that is about to fork.
    pub(super) fn hold(&self, until: Instant) -> Option<MutexGuard<'_, Queue>> {
        self.queue.lock_until(until)
    }

    /// Run by the only thread of a forked child. True: cells were lost.
    pub(super) fn after_fork(&self) -> bool {
        self.queue.after_fork()
    }

    /// Cells queued here, and how many of them are live. Looks at every one.
    #[cfg(any(test, feature = "loom", feature = "fuzz"))]
    pub(super) fn census(&self) -> (usize, usize) {
        let (mut all, mut live) = (0, 0);
        let mut count = |entry: &Entry| {
            all += 1;
            live += usize::from(entry.armed().is_some());
        };
        let queue = self.queue.lock();
        for chain in [&queue.exam, &queue.young, &queue.inflow] {
            chain.each(&mut count);
        }
        // SAFETY: who takes the inbox holds the lock.
        unsafe { self.front.inbox.each(&mut count) };
        for (_, entry) in queue.heap.iter() {
            // SAFETY: cells in the heap are not recycled but by the lock's holder.
            count(unsafe { entry.as_ref() });
        }
        (all, live)
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        let mut queue = std::mem::take(&mut *self.queue.lock());
        let inbox = self.front.inbox.take();
        let mut rest = Chain::new();
        while let Some((_, entry)) = queue.heap.pop() {
            // SAFETY: out of the heap.
            unsafe { rest.push(entry) };
        }
        for chain in [inbox, queue.inflow, queue.young, queue.exam, rest] {
            // SAFETY: an engine is dropped when no target holds a cell of it any more.
            unsafe { slab::take_back(chain) };
        }
        self.books.pool.clear();
    }
}
