//! What the models of loom and of shuttle both use: a root, and counters of what happened and of what was dropped.
//!
//! The counters are the standard library's, which neither explorer sees: they order nothing, and are no point to switch
//! threads at.

use ripcord::{CancelHandle, Context};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Wake, Waker};

/// A root that can be canceled.
pub(crate) fn root() -> (Context, CancelHandle) {
    Context::background().with_cancel()
}

/// Counts how often something happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Count(Arc<AtomicUsize>);

impl Count {
    pub(crate) fn get(&self) -> usize {
        self.0.load(Relaxed)
    }

    pub(crate) fn up(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// A waker that counts.
    pub(crate) fn waker(&self) -> Waker {
        Waker::from(Arc::new(self.clone()))
    }

    /// A thing whose drop counts.
    pub(crate) fn token(&self) -> Token {
        Token(self.clone())
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.up();
    }
}

/// Counts its drop.
#[derive(Clone, Debug)]
pub(crate) struct Token(Count);

impl Drop for Token {
    fn drop(&mut self) {
        self.0.up();
    }
}
