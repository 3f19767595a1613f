//! Who has something to tell in hand.
//!
//! What a pass has marked is on the stack of whoever tells it, where a forked child does not find it, unless it is the child's own
//! stack. So they are counted: all of them by the engine, and those of a thread by the thread.

use std::cell::Cell;
// No part of any protocol: one thread reads the sum, in a child where it is alone. The models need not see it.
use std::sync::atomic::{AtomicUsize, Ordering};

std::thread_local! {
    static OWN: Cell<usize> = const { Cell::new(0) };
}

/// How many they are.
#[derive(Default)]
pub(super) struct Tellers(AtomicUsize);

/// One of them.
pub(super) struct Telling<'a>(&'a Tellers);

impl Tellers {
    pub(super) fn one_more(&self) -> Telling<'_> {
        OWN.set(OWN.get() + 1);
        // ORDERING: none, here and below. A count.
        self.0.fetch_add(1, Ordering::Relaxed);
        Telling(self)
    }

    /// Run by the only thread of a forked child. True: other threads were telling.
    pub(super) fn forked(&self) -> bool {
        self.0.swap(OWN.get(), Ordering::Relaxed) != OWN.get()
    }
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
        OWN.set(OWN.get() - 1);
    }
}
