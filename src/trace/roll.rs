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

use crate::sync::{AtomicU64, Mutex, MutexGuard, Ordering, shard_count, thread_index};
use crossbeam_utils::CachePadded;
use std::ptr::NonNull;
use std::sync::{LazyLock, PoisonError};

/// Entries looked at under one hold of a lock.
const STRIDE: usize = 32;
/// A shard's vector is not made smaller than this.
const LEAST: usize = 64;
/// Not in the list.
const NOWHERE: u64 = u64::MAX;
/// Bits of a place that say where in the shard; the rest says which shard.
const INDEX: u32 = 56;

/// Where in the list a node is, and its number. Both change under the lock of the shard only.
pub(crate) struct Place {
    at: AtomicU64,
    number: AtomicU64,
}

#[derive(Default)]
struct Shard {
    /// Nodes that were ever listed here.
    count: u64,
    listed: Vec<Listed>,
}

struct Listed {
    node: NonNull<()>,
    place: NonNull<Place>,
}

// SAFETY: what is listed may be looked at from any thread that holds the lock.
unsafe impl Send for Listed {}

static SHARDS: LazyLock<Box<[CachePadded<Mutex<Shard>>]>> =
    LazyLock::new(|| (0..shard_count()).map(|_| CachePadded::default()).collect());

fn lock(shard: usize) -> MutexGuard<'static, Shard> {
    SHARDS[shard].lock().unwrap_or_else(PoisonError::into_inner)
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
        // ORDERING: none, under the lock: it may have moved within its shard.
        let at = self.at.swap(NOWHERE, Ordering::Relaxed);
        let index = (at & ((1 << INDEX) - 1)) as usize;
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
    let which = thread_index() & (SHARDS.len() - 1);
    let mut shard = lock(which);
    shard.count += 1;
    let number = shard.count * SHARDS.len() as u64 + which as u64;
    let at = (which as u64) << INDEX | shard.listed.len() as u64;
    // SAFETY: forwarded.
    let own = unsafe { place.as_ref() };
    // ORDERING: none, under the lock.
    own.number.store(number, Ordering::Relaxed);
    own.at.store(at, Ordering::Relaxed);
    shard.listed.push(Listed { node, place });
}

/// Looks at every listed node, some of them more than once. A node that is listed or struck out meanwhile may be left out.
///
/// `look` runs under a lock that whoever makes or drops a context may wait for: it copies, and runs no user code.
pub(crate) fn each(mut look: impl FnMut(NonNull<()>)) {
    for which in 0..SHARDS.len() {
        let mut below = usize::MAX;
        while below > 0 {
            let shard = lock(which);
            let from = below.min(shard.listed.len());
            below = from.saturating_sub(STRIDE);
            shard.listed[below..from].iter().rev().for_each(|listed| look(listed.node));
        }
    }
}

/// How many nodes are listed.
pub(crate) fn len() -> usize {
    (0..SHARDS.len()).map(|which| lock(which).listed.len()).sum()
}
