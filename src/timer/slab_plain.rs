//! Cells one by one, each from the allocator: for models, which see what becomes of each, and for tools that watch the
//! allocator.

use super::cell::{Chain, Entry};
use std::ptr::NonNull;
use std::time::Instant;

pub(super) fn fetch() -> (NonNull<Entry>, Chain) {
    (NonNull::from(Box::leak(Box::new(Entry::free()))), Chain::new())
}

/// # Safety
///
/// Both sides have let go of the cells, and the caller has them to himself.
pub(super) unsafe fn take_back(mut chain: Chain) {
    while let Some(entry) = chain.pop() {
        // SAFETY: forwarded.
        unsafe { entry.as_ref() }.see_last_touch();
        // SAFETY: it came from a box; forwarded.
        drop(unsafe { Box::from_raw(entry.as_ptr()) });
    }
}

/// There is nothing to hold.
pub(super) type Held = ();

pub(super) fn hold(_: Instant) -> Held {}

pub(super) fn after_fork() {}
