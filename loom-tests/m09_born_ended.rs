//! M9: whoever sees a context ended sees everything that led to it, derives ended children, and gets the same answers
//! from everybody for ever.

use crate::support::{ALL, both, explore, noted, preemptions, root, said};
use ripcord::{Context, Error};

#[test]
fn child_of_an_ended_parent() {
    explore("M9 child of a parent seen ended", preemptions(4, None), || {
        let (parent, handle) = root();
        both(
            move || handle.cancel_cause("gone"),
            || {
                let ended = parent.is_done();
                let (child, _own) = parent.with_cancel();
                if ended {
                    assert!(child.is_done(), "born live below an ended parent");
                    assert_eq!(said(&child).as_deref(), Some("gone"));
                }
                if child.is_done() {
                    assert_eq!(parent.err(), Some(Error::Canceled), "the child ended before its parent");
                    assert_eq!(said(&child), said(&parent));
                }
            },
        );
    });
}

#[test]
fn the_end_shows_what_was_before() {
    explore("M9 the end shows what was before", ALL, || {
        let (parent, handle) = root();
        let (child, _own) = parent.with_cancel();
        let (note, cancel) = noted(handle);
        both(cancel, || {
            if child.is_done() {
                assert_eq!(note.read(), 7);
                assert!(parent.is_done(), "the child ended before its parent");
            }
        });
    });
}

/// The one that is ended itself: no fence comes between its end and what was before.
#[test]
fn the_own_end_shows_what_was_before() {
    explore("M9 the own end shows what was before", ALL, || {
        let (ctx, handle) = root();
        let (note, cancel) = noted(handle);
        both(cancel, || {
            if ctx.is_done() {
                assert_eq!(note.read(), 7);
            }
        });
    });
}

/// A child is derived as its parent ends, when so many siblings have come and gone.
fn birth_shows_what_was_before(name: &str, siblings: usize) {
    explore(name, ALL, move || {
        let (parent, handle) = root();
        (0..siblings).for_each(|_| drop(parent.with_cancel()));
        let (note, cancel) = noted(handle);
        both(cancel, || {
            let (child, _own) = parent.with_cancel();
            if child.is_done() {
                assert_eq!(note.read(), 7);
            }
        });
    });
}

#[test]
fn a_child_born_ended_shows_what_was_before() {
    birth_shows_what_was_before("M9 birth shows what was before", 0);
}

#[test]
fn a_child_born_ended_at_a_used_slot_shows_what_was_before() {
    birth_shows_what_was_before("M9 birth at a used slot shows it", 1);
}

#[test]
fn cause_is_there_when_the_end_is() {
    explore("M9 cause is there when the end is", ALL, || {
        let (parent, handle) = root();
        let (child, _own) = parent.with_cancel();
        both(
            move || handle.cancel_cause("gone"),
            || {
                let error = child.err();
                let words = said(&child);
                if error.is_some() {
                    assert_eq!(words.as_deref(), Some("gone"), "an error without its cause");
                }
                if words.is_some() {
                    assert_eq!(words.as_deref(), Some("gone"));
                    assert_eq!(child.err(), Some(Error::Canceled), "a cause without its error");
                    assert_eq!(said(&parent), words);
                }
            },
        );
        assert_eq!(said(&child).as_deref(), Some("gone"));
    });
}

#[test]
fn birth_the_long_way_shows_what_was_before() {
    explore("M9 birth the long way shows it", preemptions(2, Some(3)), || {
        let (parent, handle) = root();
        let (note, cancel) = noted(handle);
        both(cancel, || {
            // A merge: nothing but the state is looked at.
            let (child, _own) = parent.with_cancel_from(&Context::background());
            if child.is_done() {
                assert_eq!(note.read(), 7);
            }
        });
    });
}
