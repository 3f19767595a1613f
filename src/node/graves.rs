//! The memory of a falling chain: it goes to the epoch in batches, under few pins.
//!
//! A step that takes a node apart may pin, and retire memory. A chain of many steps keeps one pin for as many, and one parcel
//! for all that is retired under it; then it lets the collector have a turn and pins anew, lest all memory wait for the end.
//! The last batch asks for no turn: that takes a look at every thread that ever pinned, which a short chain is not worth.

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
            if let Some(pin) = self.close() {
                pin.collect();
            }
            self.pin = Some(reclaim::pin());
        }
        self.steps += 1;
    }

    /// Retires a node. All that a batch retires goes this way: the collector paces itself by pins, and takes few pieces for each.
    ///
    /// # Safety
    ///
    /// As for [`Guard::retire`].
    #[inline(always)]
    pub(super) unsafe fn take(&mut self, node: *mut ()) {
        if self.dead.len() < self.dead.capacity() {
            self.dead.push(node);
        } else {
            // SAFETY: forwarded.
            unsafe { self.take_first(node) };
        }
    }

    /// The first of a batch, or one of the few before.
    ///
    /// # Safety
    ///
    /// As for `take`.
    #[inline(never)]
    unsafe fn take_first(&mut self, node: *mut ()) {
        if self.pin.is_some() {
            self.dead.reserve_exact(PINNED);
            self.dead.push(node);
        } else {
            // SAFETY: forwarded.
            unsafe { reclaim::pin().retire(node, self.free) };
        }
    }

    /// Retires the batch; the pin it was under, if there was one.
    fn close(&mut self) -> Option<Guard> {
        let pin = self.pin.take()?;
        if !self.dead.is_empty() {
            // SAFETY: promised to `take`, and still so.
            unsafe { pin.retire_all(mem::take(&mut self.dead), self.free) };
        }
        Some(pin)
    }
}

impl Drop for Graves {
    fn drop(&mut self) {
        drop(self.close());
    }
}
