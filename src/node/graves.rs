//! The memory of a falling chain: it goes to the epoch in batches, under few pins.
//!
//! A step that takes a node apart may pin, and retire memory. A chain of many steps keeps one pin for as many, and one parcel
//! for all that is retired under it; then it lets the collector have a turn and pins anew, lest all memory wait for the end.

use crate::sync::reclaim::{self, Guard};
use std::mem;

/// So many steps are done under one pin, after the first few.
const PINNED: usize = if cfg!(feature = "loom") { 2 } else { 64 };
const FEW: usize = if cfg!(feature = "loom") { 1 } else { 8 };

pub(super) struct Graves {
    free: unsafe fn(*mut ()),
    steps: usize,
    pin: Option<Guard>,
    dead: Vec<*mut ()>,
}

impl Graves {
    /// For what is freed by `free`.
    pub(super) fn new(free: unsafe fn(*mut ())) -> Graves {
        Graves { free, steps: 0, pin: None, dead: Vec::new() }
    }

    /// One step more is to be done.
    #[inline]
    pub(super) fn step(&mut self) {
        if self.steps % PINNED == FEW {
            self.close();
            self.pin = Some(reclaim::pin());
            self.dead.reserve_exact(PINNED);
        }
        self.steps += 1;
    }

    /// Retires a node.
    ///
    /// # Safety
    ///
    /// As for [`Guard::retire`].
    #[inline]
    pub(super) unsafe fn take(&mut self, node: *mut ()) {
        if self.pin.is_some() {
            self.dead.push(node);
        } else {
            // SAFETY: forwarded.
            unsafe { reclaim::pin().retire(node, self.free) };
        }
    }

    fn close(&mut self) {
        let Some(pin) = self.pin.take() else { return };
        // SAFETY: promised to `take`, and still so.
        unsafe { pin.retire_all(mem::take(&mut self.dead), self.free) };
        pin.collect();
    }
}

impl Drop for Graves {
    fn drop(&mut self) {
        self.close();
    }
}
