//! A 4-ary heap of (key, cell): the deadlines that lived long enough to be worth ordering.
//!
//! Four children share a cache line, so a pop touches half the lines a binary heap would. Cells released while they
//! are in here are found when they surface, or by [`Heap::sweep`], which looks at a few more with every push: so the
//! dead cannot outnumber the living for long, and there is never a pass over everything at once.

use super::cell::Entry;
use crate::clock::Tick;
use std::ptr::NonNull;

const ARITY: usize = 4;

pub(super) type Keyed = (Tick, NonNull<Entry>);

/// The share of the dead that is worth going after at once: one in so many.
const MANY: usize = 4;

pub(super) struct Heap {
    items: Vec<Keyed>,
    /// Where the sweep goes on.
    cursor: usize,
    /// So many are still to be looked at in this round.
    unswept: usize,
    /// Many were dead where we looked last.
    many: bool,
}

/// Whether the dead are still to be looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Untidy {
    No,
    Somewhat,
    /// There were many where we looked last.
    Very,
}

impl Heap {
    pub(super) const fn new() -> Self {
        Heap { items: Vec::new(), cursor: 0, unswept: 0, many: false }
    }

    #[cfg(all(test, not(feature = "loom")))]
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<Keyed> {
        self.items.first().copied()
    }

    #[inline]
    pub(super) fn push(&mut self, item: Keyed) {
        if self.items.len() == self.items.capacity() {
            // By a quarter: to double sixteen megabytes for one more costs more than the million deadlines are worth.
            self.items.reserve_exact((self.items.len() / 4).max(64));
        }
        self.items.push(item);
        self.rise(self.items.len() - 1);
    }

    pub(super) fn pop(&mut self) -> Option<Keyed> {
        if self.items.is_empty() { None } else { Some(self.remove(0)) }
    }

    /// Looks at up to `budget` items, going round and round; those that `dead` names are removed. How many they were.
    pub(super) fn sweep(&mut self, budget: usize, mut dead: impl FnMut(NonNull<Entry>) -> bool) -> usize {
        let mut removed = 0;
        for _ in 0..budget.min(self.items.len()) {
            if self.cursor >= self.items.len() {
                self.cursor = 0;
            }
            let Some(&(_, entry)) = self.items.get(self.cursor) else { break };
            if dead(entry) {
                self.remove(self.cursor);
                removed += 1;
            } else {
                self.cursor += 1;
            }
        }
        removed
    }

    /// Sweeps a part of the heap: of a new round if it is `changed`, or of one that is not over. A round is over when all
    /// have been looked at, and nowhere many were dead.
    pub(super) fn tidy(&mut self, changed: bool, budget: usize, dead: impl FnMut(NonNull<Entry>) -> bool) {
        let looked = budget.min(self.items.len());
        let removed = self.sweep(budget, dead);
        self.many = removed > 0 && removed >= looked / MANY;
        self.unswept =
            if changed || self.many { self.items.len() } else { self.unswept }.saturating_sub(looked - removed);
        self.shrink();
    }

    /// Whether there is more to tidy.
    pub(super) fn untidy(&self) -> Untidy {
        match (self.unswept.min(self.items.len()), self.many) {
            (0, _) => Untidy::No,
            (_, false) => Untidy::Somewhat,
            (_, true) => Untidy::Very,
        }
    }

    /// Gives memory back after a peak.
    fn shrink(&mut self) {
        let len = self.items.len();
        if self.items.capacity() > 1024 && len < self.items.capacity() / 4 {
            self.items.shrink_to(len * 2);
        }
    }

    #[cfg(any(test, feature = "loom", feature = "fuzz"))]
    pub(super) fn iter(&self) -> impl Iterator<Item = Keyed> + '_ {
        self.items.iter().copied()
    }

    /// Takes the item at `at` out; the last one fills the hole and finds its place.
    fn remove(&mut self, at: usize) -> Keyed {
        let gone = self.items.swap_remove(at);
        if at < self.items.len() {
            if self.items[at].0 < gone.0 {
                self.rise(at);
            } else {
                self.sink(at);
            }
        }
        gone
    }

    #[inline]
    fn rise(&mut self, mut at: usize) {
        let item = self.items[at];
        while at > 0 {
            let parent = (at - 1) / ARITY;
            if self.items[parent].0 <= item.0 {
                break;
            }
            self.items[at] = self.items[parent];
            at = parent;
        }
        self.items[at] = item;
    }

    fn sink(&mut self, mut at: usize) {
        let item = self.items[at];
        while let Some((least, child)) = self.least_below(at).filter(|(_, child)| child.0 < item.0) {
            self.items[at] = child;
            at = least;
        }
        self.items[at] = item;
    }

    /// The child with the least key, and where it is.
    #[inline]
    fn least_below(&self, at: usize) -> Option<(usize, Keyed)> {
        let first = at * ARITY + 1;
        let less = |a: (usize, Keyed), b: (usize, Keyed)| if b.1.0 < a.1.0 { b } else { a };
        match *self.items.get(first..)? {
            // Two by two, so that one comparison need not wait for the other.
            [a, b, c, d, ..] => Some(less(less((first, a), (first + 1, b)), less((first + 2, c), (first + 3, d)))),
            ref few => few.iter().enumerate().map(|(offset, child)| (first + offset, *child)).reduce(less),
        }
    }
}
