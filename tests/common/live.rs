//! Counts the live bytes of the whole process: an allocator for binaries that ask what is left.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};

/// The allocator; each binary that counts installs one.
#[derive(Debug)]
pub(crate) struct Live {
    bytes: AtomicIsize,
    most: AtomicIsize,
}

impl Live {
    pub(crate) const fn new() -> Live {
        Live { bytes: AtomicIsize::new(0), most: AtomicIsize::new(0) }
    }

    /// Bytes that were asked for and not given back.
    pub(crate) fn bytes(&self) -> isize {
        self.bytes.load(Relaxed)
    }

    /// The most there ever were since the last `forget_most`.
    pub(crate) fn most(&self) -> isize {
        self.most.load(Relaxed)
    }

    pub(crate) fn forget_most(&self) {
        self.most.store(self.bytes(), Relaxed);
    }
}

// SAFETY: every request goes to the system allocator unchanged; counting is atomic arithmetic.
unsafe impl GlobalAlloc for Live {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = self.bytes.fetch_add(layout.size() as isize, Relaxed) + layout.size() as isize;
        if now > self.most.load(Relaxed) {
            self.most.fetch_max(now, Relaxed);
        }
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        self.bytes.fetch_sub(layout.size() as isize, Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}
