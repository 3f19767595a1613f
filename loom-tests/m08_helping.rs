//! M8: cancels at two heights. A node is propagated when everything below it has ended, so a cancel that finds it ended
//! only goes down itself, through nodes that somebody else has marked.

#[cfg(not(crossbeam_loom))]
use crate::support::Count;
use crate::support::{both, explore, preemptions, root, three};
use ripcord::loom_support;

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

/// What the upper says at the origin goes for the lower.
#[test]
fn below_as_above_is_through() {
    explore("M8 below as above is through", preemptions(3, None), || {
        let (top, upper) = root();
        let (middle, lower) = top.with_cancel();
        let (bottom, _own) = middle.with_cancel();
        both(
            // By a thread that has not seen the bottom yet: after it has let others go on, loom shows it nothing old that it has seen.
            move || {
                // As the middle has been marked, and before it looks up.
                loom_support::linger(0b11);
                lower.cancel();
                assert!(bottom.is_done(), "the lower returned before the end");
            },
            || upper.cancel(),
        );
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
