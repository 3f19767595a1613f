//! M6: a seat changes hands. Words go from free to an entry and back by their owner only, so a late compare-and-swap
//! never takes what belongs to a later sitter.

use crate::support::{ALL, both, explore, preemptions, root, three};

#[test]
fn seat_is_taken_again_during_a_cancel() {
    explore("M6 seat is taken again during a cancel", preemptions(4, None), || {
        let (parent, handle) = root();
        let first = parent.with_cancel();
        let ours = parent.clone();
        both(
            move || handle.cancel(),
            move || {
                drop(first);
                let (second, _own) = ours.with_cancel();
                drop(ours);
                drop(second);
            },
        );
        assert!(parent.is_done());
    });
}

#[test]
fn one_leaves_another_comes() {
    explore("M6 one leaves, another comes", ALL, || {
        let (parent, handle) = root();
        let first = parent.with_cancel();
        let mut second = None;
        both(move || drop(first), || second = Some(parent.with_cancel()));
        handle.cancel();
        assert!(second.unwrap().0.is_done(), "sits where it was found");
    });
}

#[test]
fn one_leaves_two_come() {
    explore("M6 one leaves, two come", ALL, || {
        let (parent, handle) = root();
        let first = parent.with_cancel();
        let ours = parent.clone();
        let mut second = None;
        three(
            move || drop(first),
            move || {
                let (third, _own) = ours.with_cancel();
                assert!(!third.is_done());
            },
            || second = Some(parent.with_cancel()),
        );
        handle.cancel();
        assert!(second.unwrap().0.is_done());
    });
}
