//! Desks: where every thread registers in a corner of its own, once an owner is crowded.
//!
//! Which corner is a thread's own is the same at all owners, and says its number at first. With more threads than desks some share
//! one; whoever meets another there goes to the next, for good. So those that run at the same time soon have one each, whichever
//! they are. The idea is that of `Striped64` in Java's `java.util.concurrent.atomic`, by Doug Lea.

use super::crowd::TALLIES;
use super::shard::Shard;
use super::slot::Slot;
use crate::sync::{self, thread_local};
use std::cell::Cell;
use std::ptr::NonNull;

thread_local! {
    // How often the thread has gone to the next desk.
    static MOVES: Cell<usize> = const { Cell::new(0) };
}

/// Slots beside the shard of a desk: together they fill two cache lines.
#[cfg(not(feature = "loom"))]
const DESK: usize = 13;
#[cfg(feature = "loom")]
const DESK: usize = 1;

/// One thread's own corner of a crowded owner.
#[repr(C, align(128))]
pub(super) struct Desk {
    pub(super) shard: Shard,
    pub(super) slots: [Slot; DESK],
}

impl Desk {
    pub(super) fn new() -> Desk {
        Desk { shard: Shard::new(), slots: std::array::from_fn(|_| Slot::new()) }
    }
}

/// The desks behind a table word, if it is past counting.
pub(super) fn desks(word: *mut ()) -> Option<NonNull<Desk>> {
    if word.addr() < TALLIES { None } else { NonNull::new(word.cast()) }
}

/// The number of the calling thread's desk.
#[inline]
pub(super) fn own() -> usize {
    let moves = MOVES.try_with(Cell::get).unwrap_or(0);
    sync::thread_index().wrapping_add(moves) % sync::shard_count()
}

/// The thread has met another one at its desk.
#[cold]
pub(super) fn move_on() {
    // A thread that is ending, and has lost its count, stays where it is.
    let _ = MOVES.try_with(|moves| moves.set(moves.get().wrapping_add(1)));
}

/// One of the desks.
///
/// # Safety
///
/// The index is one of a desk, and the table lives for `'a`.
pub(super) unsafe fn desk<'a>(desks: NonNull<Desk>, index: usize) -> &'a Desk {
    // SAFETY: forwarded.
    let desk = unsafe { desks.add(index) };
    // SAFETY: forwarded.
    unsafe { desk.as_ref() }
}
