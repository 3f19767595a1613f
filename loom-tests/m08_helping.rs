//! M8: cancels at two heights. A node is propagated when everything below it has ended, so a cancel that finds it ended
//! only goes down itself, through nodes that somebody else has marked.

#[cfg(not(crossbeam_loom))]
use crate::support::{Count, both};
use crate::support::{explore, preemptions, root, three};

// Too large over the real collector's own steps.
#[cfg(not(crossbeam_loom))]
#[test]
fn above_and_below() {
    explore("M8 above and below", preemptions(2, Some(3)), || {
        let (top, upper) = root();
        let (middle, lower) = top.with_cancel();
        let (bottom, _own) = middle.with_cancel();
        let calls = Count::default();
        drop(bottom.after_func(calls.call()));
        let below = bottom.clone();
        both(
            move || {
                upper.cancel();
                assert!(below.is_done(), "the upper returned before the end");
            },
            || {
                lower.cancel();
                assert!(bottom.is_done(), "the lower returned before the end");
            },
        );
        assert_eq!(calls.get(), 1);
    });
}

#[test]
fn above_and_below_while_the_leaf_goes() {
    explore("M8 above and below, and the leaf goes", preemptions(2, Some(3)), || {
        let (top, upper) = root();
        let (middle, lower) = top.with_cancel();
        let leaf = middle.with_cancel();
        three(move || upper.cancel(), move || lower.cancel(), move || drop(leaf));
        assert!(middle.is_done());
    });
}
