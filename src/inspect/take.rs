//! Taking a snapshot: lines are copied from the list, and everything else is done when it has been left.

use super::order;
use super::snapshot::{Inspected, Snapshot};
use crate::clock;
use crate::node;
use std::time::SystemTime;

/// How many contexts there are that can end: those that have, and relays, with them.
///
/// Takes the lock of each shard of the list for a moment.
#[must_use]
pub fn count() -> usize {
    node::count_listed()
}

/// All contexts that can end, as they are now. Values and roots are not among them.
///
/// Time and memory proportional to their number: see [`snapshot_at_most`] for a bound. Contexts go on being made, ended and
/// dropped meanwhile, and canceling does not wait for it.
#[must_use]
pub fn snapshot() -> Snapshot {
    snapshot_at_most(usize::MAX)
}

/// A [`snapshot`] of at most so many contexts; which ones is left open if there are more.
#[must_use]
pub fn snapshot_at_most(most: usize) -> Snapshot {
    let taken = SystemTime::now();
    let mut lines = Vec::with_capacity(count().min(most));
    let mut left_out = 0;
    node::each_line(|read| {
        if lines.len() < most {
            lines.push(read());
        } else {
            left_out += 1;
        }
    });
    // A line that was met twice is told as it was first.
    lines.sort_by_key(|line| line.number);
    lines.dedup_by_key(|line| line.number);
    let now = clock::now();
    let contexts = lines.into_iter().map(|line| Inspected::of(line, now)).collect();
    Snapshot { taken, contexts: order::as_tree(contexts), left_out }
}
