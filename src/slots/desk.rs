//! Desks: where every thread registers in a corner of its own, once an owner is crowded.

use super::crowd::TALLIES;
use super::shard::Shard;
use super::slot::Slot;
use std::ptr::NonNull;

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
