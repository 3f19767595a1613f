//! A foreign parent as its context sees it: something that may end the context, until it is disowned.

/// What [`Foreign::disown`] found.
#[must_use]
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Disowned {
    /// The future is the caller's to drop.
    Yours,
    /// It is dropped already, or will be by whoever polls it; the node is not touched any more.
    Gone,
    /// It is ending the node: free that through the epoch.
    Ending,
}

/// A task, as its node sees it.
pub(crate) trait Foreign: Send + Sync {
    /// The node does not wait for the future any more. No user code runs.
    fn disown(&self) -> Disowned;

    /// Drops the future: user code. Once, after [`Disowned::Yours`].
    fn drop_future(&self);
}
