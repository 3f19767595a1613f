//! M2: two cancels of one context at once. Each helps: when either returns, everything registered before has ended.

use crate::support::{Count, both, explore, preemptions, root, waits_beside};
#[cfg(not(crossbeam_loom))]
use crate::support::{said, three};

// Too large over the real collector's own steps.
#[cfg(not(crossbeam_loom))]
#[test]
fn both_return_after_the_end() {
    explore("M2 both return after the end", preemptions(2, Some(3)), || {
        let (top, one) = root();
        let other = one.clone();
        let (middle, _own) = top.with_cancel();
        let (bottom, _own) = middle.with_cancel();
        let below = bottom.clone();
        both(
            move || {
                one.cancel_cause("one");
                assert!(below.is_done(), "returned before the end");
            },
            || {
                other.cancel_cause("other");
                assert!(bottom.is_done(), "returned before the end");
            },
        );
        let words = said(&bottom);
        assert!(words.is_some() && words == said(&top), "one cause for all");
    });
}

#[test]
fn both_return_after_the_end_beside_a_waiter() {
    explore("M2 both return after the end, beside a waiter", preemptions(2, Some(3)), || {
        let (top, one) = root();
        let other = one.clone();
        let (child, _own) = top.with_cancel();
        let _waiter = waits_beside(&top);
        let below = child.clone();
        both(
            move || {
                one.cancel();
                assert!(below.is_done(), "returned before the end");
            },
            || {
                other.cancel();
                assert!(child.is_done(), "returned before the end");
            },
        );
    });
}

#[test]
fn a_second_cancel_of_a_leaf() {
    explore("M2 a second cancel of a leaf", preemptions(3, Some(5)), || {
        let (ctx, one) = root();
        let other = one.clone();
        let calls = Count::default();
        drop(ctx.after_func(calls.call()));
        both(move || one.cancel(), move || other.cancel());
        assert_eq!(calls.get(), 1);
    });
}

// Too large over the real collector's own steps.
#[cfg(not(crossbeam_loom))]
#[test]
fn the_first_slot_is_left_between_two_cancels() {
    explore("M2 the first slot is left between two cancels", preemptions(2, Some(3)), || {
        let (top, one) = root();
        let other = one.clone();
        let first = top.with_cancel();
        let (behind, _own) = top.with_cancel();
        let seen = behind.clone();
        three(
            move || {
                one.cancel();
                assert!(seen.is_done(), "returned before the end");
            },
            move || drop(first),
            || {
                other.cancel();
                assert!(behind.is_done(), "returned before the end");
            },
        );
    });
}
