//! Books of the contexts: how many the proxy has made, and how many are still there.
//!
//! Whoever derives a context derives it from [`Ledger::enter`], which hands down a value. A value lives as long as any
//! context that can see it, so its drop says that the context is really gone - not that some wrapper of it is.

use ripcord::Context;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

#[derive(Copy, Clone, Debug)]
pub(crate) enum Kind {
    Server,
    Connection,
    Watch,
    Drain,
    Request,
    Attempt,
    Upstream,
}

const NAMES: [&str; 7] = ["server", "connection", "client watch", "drain watch", "request", "attempt", "upstream"];

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    created: [AtomicUsize; NAMES.len()],
    gone: [AtomicUsize; NAMES.len()],
}

/// The value: private, so nothing else can be found under its type.
struct Entry {
    ledger: Arc<Ledger>,
    kind: Kind,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.ledger.gone[self.kind as usize].fetch_add(1, Relaxed);
    }
}

impl Ledger {
    /// The context to derive one of this kind from.
    pub(crate) fn enter(self: &Arc<Self>, parent: &Context, kind: Kind) -> Context {
        self.created[kind as usize].fetch_add(1, Relaxed);
        parent.with_value(Entry { ledger: Arc::clone(self), kind })
    }

    pub(crate) fn created(&self) -> usize {
        self.created.iter().map(|count| count.load(Relaxed)).sum()
    }

    pub(crate) fn alive(&self) -> usize {
        // The ends first: what is made in between then counts as alive.
        let gone: usize = self.gone.iter().map(|count| count.load(Relaxed)).sum();
        self.created() - gone
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, name) in NAMES.iter().enumerate() {
            let gone = self.gone[kind].load(Relaxed);
            let created = self.created[kind].load(Relaxed);
            writeln!(f, "  {name:<14}{created:>8} created {:>6} left alive", created - gone)?;
        }
        write!(f, "  {:<14}{:>8} created {:>6} left alive", "contexts", self.created(), self.alive())
    }
}
