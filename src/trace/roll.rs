//! The list of all nodes, for `inspect`: sharded, each shard a vector behind a lock.
//!
//! # Who may look
//!
//! A listed node may be looked at by whoever holds the lock of its shard: a node is struck out, under that lock, before
//! it leaves its place in the tree, so what is above it is there as well. Nothing is canceled, woken or called under a
//! lock, and canceling takes none.
//!
//! # Nobody is overlooked
//!
//! A shard is read from the end, a few entries at a time. Striking out puts the last entry into the gap: it moves towards
//! the front, where the reader has not been yet, or where it was going to be met again. So a node that is listed all the
//! while is met at least once.
//!
//! # Forks
//!
//! Whoever forks holds all shards, so that a child finds them in order. One whose lock could not be had is lost to the child, which
//! begins an empty one: nodes that were listed there are in no list, and their places name entries that are others', or none.

use crate::sync::{AtomicU64, ForkLock, MutexGuard, Ordering, shard_count, thread_index};
use crossbeam_utils::CachePadded;
use std::ops::ControlFlow;
use std::ptr::{self, NonNull};
use std::sync::LazyLock;

/// Entries looked at under one hold of a lock.
const STRIDE: usize = 32;
/// A shard's vector is not made smaller than this.
const LEAST: usize = 64;
/// Not in the list.
const NOWHERE: u64 = u64::MAX;
/// Numbers that a shard has at a time.
const NUMBERS: u64 = 64;
/// Bits of a place that say where in the shard; the rest says which shard.
const INDEX: u32 = 56;

/// Where in the list a node is, and its number. Both change under the lock of the shard only.
pub(crate) struct Place {
    at: AtomicU64,
    number: AtomicU64,
}

#[derive(Default)]
struct Shard {
    /// The number given out last.
    number: u64,
    listed: Vec<Listed>,
}

struct Listed {
    node: NonNull<()>,
    place: NonNull<Place>,
}

// SAFETY: what is listed may be looked at from any thread that holds the lock.
unsafe impl Send for Listed {}

struct Roll {
    shards: Box<[ForkLock<Shard>]>,
    /// Numbers that shards have taken, given out or not.
    taken: CachePadded<AtomicU64>,
}

static ROLL: LazyLock<Roll> = LazyLock::new(|| {
    #[cfg(not(feature = "loom"))]
    // First: from here on a fork waits until it is made.
    forks::watch();
    Roll { shards: (0..shard_count()).map(|_| ForkLock::new()).collect(), taken: CachePadded::new(AtomicU64::new(0)) }
});

fn lock(shard: usize) -> MutexGuard<'static, Shard> {
    ROLL.shards[shard].lock()
}

impl Shard {
    /// A number that no other node has. Those of a shard that was lost are not given out again: its nodes may still be
    /// somebody's parents.
    #[inline]
    fn number(&mut self) -> u64 {
        if self.number % NUMBERS == 0 {
            // ORDERING: none. A ticket; nothing is published with it.
            self.number = ROLL.taken.fetch_add(NUMBERS, Ordering::Relaxed);
        }
        self.number += 1;
        self.number
    }
}

impl Place {
    pub(crate) fn new() -> Place {
        Place { at: AtomicU64::new(NOWHERE), number: AtomicU64::new(0) }
    }

    /// The number of a node: fixed before anything is derived from it.
    pub(crate) fn number(&self) -> u64 {
        // ORDERING: Relaxed. Whoever may look has it from under the lock, or from the node that was derived.
        self.number.load(Ordering::Relaxed)
    }

    /// Strikes the node out of the list; idempotent.
    pub(super) fn strike_out(&self) {
        // ORDERING: Relaxed. It is listed before its constructor returns, and struck out by the last who has it.
        let at = self.at.load(Ordering::Relaxed);
        if at == NOWHERE {
            return;
        }
        let mut shard = lock((at >> INDEX) as usize);
        // ORDERING: none, both, under the lock: it may have moved within its shard.
        let at = self.at.load(Ordering::Relaxed);
        self.at.store(NOWHERE, Ordering::Relaxed);
        let index = (at & ((1 << INDEX) - 1)) as usize;
        // Not if its shard was lost by a fork.
        if !shard.listed.get(index).is_some_and(|listed| ptr::eq(listed.place.as_ptr(), self)) {
            return;
        }
        shard.listed.swap_remove(index);
        if let Some(moved) = shard.listed.get(index) {
            // SAFETY: it is listed, so it is there; its place changes under this lock only.
            // ORDERING: none, under the lock.
            unsafe { moved.place.as_ref() }.at.store(at, Ordering::Relaxed);
        }
        let (len, room) = (shard.listed.len(), shard.listed.capacity());
        if room > LEAST && len < room / 4 {
            shard.listed.shrink_to(LEAST.max(2 * len));
        }
    }
}

/// Lists a node. Its place is part of it.
///
/// # Safety
///
/// The node has been made, and is struck out before it leaves its place in the tree.
pub(crate) unsafe fn list(node: NonNull<()>, place: NonNull<Place>) {
    let which = thread_index() & (ROLL.shards.len() - 1);
    let mut shard = lock(which);
    let number = shard.number();
    let at = (which as u64) << INDEX | shard.listed.len() as u64;
    // SAFETY: forwarded.
    let own = unsafe { place.as_ref() };
    // ORDERING: none, under the lock.
    own.number.store(number, Ordering::Relaxed);
    own.at.store(at, Ordering::Relaxed);
    shard.listed.push(Listed { node, place });
}

/// Looks at every listed node, some of them more than once, until `look` says that it was enough. A node that is listed or struck
/// out meanwhile may be left out.
///
/// `look` runs under a lock that whoever makes or drops a context may wait for: it copies, and runs no user code.
pub(crate) fn each(mut look: impl FnMut(NonNull<()>) -> ControlFlow<()>) {
    for which in 0..ROLL.shards.len() {
        let mut below = usize::MAX;
        while below > 0 {
            let shard = lock(which);
            let from = below.min(shard.listed.len());
            below = from.saturating_sub(STRIDE);
            if shard.listed[below..from].iter().rev().try_for_each(|listed| look(listed.node)).is_break() {
                return;
            }
        }
    }
}

/// How many nodes are listed.
pub(crate) fn len() -> usize {
    (0..ROLL.shards.len()).map(|which| lock(which).listed.len()).sum()
}

/// Models do not fork.
#[cfg(not(feature = "loom"))]
mod forks {
    use super::{ROLL, Shard};
    use crate::sync::{ForkLock, Held, MutexGuard, Turn, hold_at_forks};

    struct Shards(Vec<Option<MutexGuard<'static, Shard>>>);

    pub(super) fn watch() {
        hold_at_forks(Turn::List, |until| {
            Box::new(Shards(ROLL.shards.iter().map(|shard| shard.lock_until(until)).collect()))
        });
    }

    impl Held for Shards {
        fn in_child(self: Box<Self>) {
            drop(self.0);
            for shard in &ROLL.shards {
                ForkLock::after_fork(shard);
            }
        }
    }
}
