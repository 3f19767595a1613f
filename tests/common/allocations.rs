//! Counts what a thread asks of the allocator: for binaries that say what an operation costs. Per thread, so tests running
//! beside each other do not disturb the count.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

/// The allocator; each binary that counts installs one.
#[derive(Debug)]
pub(crate) struct Counting;

thread_local! {
    /// How often this thread has asked so far.
    pub(crate) static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every request goes to the system allocator unchanged; counting touches two cells without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        BYTES.set(BYTES.get() + layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

/// Allocations and bytes that `f` asks for on this thread; what it gives back is dropped after the count.
pub(crate) fn allocations<R>(f: impl FnOnce() -> R) -> (usize, usize) {
    let before = (ALLOCATIONS.get(), BYTES.get());
    let kept = f();
    let after = (ALLOCATIONS.get(), BYTES.get());
    drop(black_box(kept));
    (after.0 - before.0, after.1 - before.1)
}

/// The allocations alone.
pub(crate) fn count<R>(f: impl FnOnce() -> R) -> usize {
    allocations(f).0
}
