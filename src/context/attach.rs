//! For bridges: something that hangs onto a context and hears of its end.

use super::Context;
use crate::node::Thing;
use std::task::Waker;

/// What [`Context::attached`] found.
pub(crate) enum Attached<'a> {
    /// It can never end: nothing is attached.
    Endless,
    /// It has ended.
    Ended,
    /// It is live, or was a moment ago.
    Live(&'a Thing),
}

impl Context {
    /// The thing attached to the nearest context that can end. On the first use it is made, with the waker that is woken by
    /// the end; dropped with the last handle.
    pub(crate) fn attached(&self, make: impl FnOnce() -> (Thing, Waker)) -> Attached<'_> {
        let Some(node) = self.scope() else { return Attached::Endless };
        if node.is_done() {
            return Attached::Ended;
        }
        node.attached(make).map_or(Attached::Ended, Attached::Live)
    }
}
