//! M5: a context without handles stays as a relay for what is below it; canceled from above, taken apart from below.

use crate::support::{ALL, both, explore, preemptions, root, three};

#[test]
fn relay_passes_the_end_on() {
    explore("M5 relay passes the end on", ALL, || {
        let (top, handle) = root();
        let middle = top.with_cancel();
        let (bottom, _own) = middle.0.with_cancel();
        both(move || handle.cancel(), move || drop(middle));
        assert!(bottom.is_done(), "the cancel has returned");
        assert_eq!(bottom.err(), top.err());
    });
}

#[test]
fn relay_is_taken_apart_below_a_canceler() {
    explore("M5 relay is taken apart below a canceler", preemptions(4, None), || {
        let (top, handle) = root();
        let middle = top.with_cancel();
        let bottom = middle.0.with_cancel();
        drop(middle);
        both(move || handle.cancel(), move || drop(bottom));
        assert!(top.is_done());
    });
}

#[test]
fn chain_of_relays_is_taken_apart_below_a_canceler() {
    explore("M5 chain of relays is taken apart", preemptions(3, Some(4)), || {
        let (top, handle) = root();
        let upper = top.with_cancel();
        let lower = upper.0.with_cancel();
        let bottom = lower.0.with_cancel();
        drop(upper);
        drop(lower);
        both(move || handle.cancel(), move || drop(bottom));
        assert!(top.is_done());
    });
}

#[test]
fn ended_relay_leaves_a_parent_that_goes_later() {
    explore("M5 ended relay leaves before its parent", ALL, || {
        let (top, handle) = root();
        let middle = top.with_cancel();
        let (bottom, other) = (middle.0.with_cancel(), top.with_cancel());
        handle.cancel();
        drop(middle);
        drop(bottom);
        both(move || drop(other), move || drop((top, handle)));
    });
}

#[test]
fn everybody_goes_during_the_walk() {
    explore("M5 everybody goes during the walk", preemptions(2, Some(3)), || {
        let (top, handle) = root();
        let middle = top.with_cancel();
        let bottom = middle.0.with_cancel();
        three(move || handle.cancel(), move || drop(bottom), move || drop(middle));
        drop(top);
    });
}

#[test]
fn relay_canceled_by_its_own_handle() {
    explore("M5 cause of a relay outlives it", preemptions(3, Some(4)), || {
        let (top, handle) = root();
        let (middle, own) = top.with_cancel();
        let (bottom, _own) = middle.with_cancel();
        both(
            move || handle.cancel_cause("top"),
            move || {
                own.cancel_cause("middle");
                drop((middle, own));
            },
        );
        let said = crate::support::said(&bottom).unwrap();
        assert!(said == "top" || said == "middle", "{said}");
    });
}
