//! M13: a merged context sits in two lists, and ends once, by whichever parent comes first.

use crate::support::{ALL, Count, both, explore, preemptions, root, said};

#[test]
fn both_parents_end() {
    explore("M13 both parents end", preemptions(3, Some(4)), || {
        let (left, one) = root();
        let (right, other) = root();
        let (merged, _own) = left.with_cancel_from(&right);
        let calls = Count::default();
        drop(merged.after_func(calls.call()));
        both(move || one.cancel_cause("left"), move || other.cancel_cause("right"));
        let words = said(&merged).expect("both have ended");
        assert!(words == "left" || words == "right");
        assert_eq!(calls.get(), 1, "told once");
    });
}

#[test]
fn merged_while_the_other_ends() {
    explore("M13 merged while the other ends", ALL, || {
        let (left, _keep) = root();
        let (right, other) = root();
        let theirs = right.clone();
        let ((), (merged, _own)) = both(move || other.cancel_cause("right"), || left.with_cancel_from(&theirs));
        assert_eq!(said(&merged).as_deref(), Some("right"), "ended at birth, or reached");
        assert!(!left.is_done());
    });
}

#[test]
fn merged_goes_while_both_end() {
    explore("M13 merged goes while a parent ends", ALL, || {
        let (left, one) = root();
        let (right, _other) = root();
        let merged = left.with_cancel_from(&right);
        both(move || one.cancel(), move || drop(merged));
        assert!(!right.is_done());
    });
}
