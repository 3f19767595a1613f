//! What a pass holds between collecting and marking.

use super::shard::Due;

/// What a pass holds: cells that are in no queue.
#[derive(Default)]
pub(super) struct Hands {
    pub(super) due: Vec<Due>,
    /// How many of `due` are dealt with.
    pub(super) done: usize,
}

// SAFETY: cells may be handed from thread to thread; the hands hold their places.
unsafe impl Send for Hands {}
