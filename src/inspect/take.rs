//! Taking a snapshot: lines are copied from the list, and everything else is done when it has been left.

use super::order;
use super::snapshot::{Inspected, Snapshot};
use crate::clock;
use crate::node;
use std::ops::ControlFlow;
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
    let mut is_full = false;
    node::each_line(|read| {
        is_full = lines.len() == most;
        if is_full {
            return ControlFlow::Break(());
        }
        lines.push(read());
        ControlFlow::Continue(())
    });
    // A line that was met twice is told as it was first.
    lines.sort_by_key(|line| line.number);
    lines.dedup_by_key(|line| line.number);
    let left_out = if is_full { count().saturating_sub(lines.len()) } else { 0 };
    let now = clock::now();
    let contexts = lines.into_iter().map(|line| Inspected::of(line, now)).collect();
    Snapshot { taken, contexts: order::as_tree(contexts), left_out }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use crate::context::Context;
    use crate::node;
    use std::ops::ControlFlow;

    /// Else a bounded snapshot would take time proportional to all contexts.
    #[test]
    fn who_has_enough_is_shown_no_more() {
        let (root, _handle) = Context::background().with_cancel();
        let _children: Vec<_> = (0..1_000).map(|_| root.with_cancel()).collect();
        let mut shown = 0;
        node::each_line(|_| {
            shown += 1;
            if shown < 10 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        assert_eq!(shown, 10);
    }
}
