//! M21: the cause that a deadline was given. Whoever decides to fire reads it, whoever takes the context apart takes it:
//! never both at once, and in the end it is given back once.

#[cfg(not(crossbeam_loom))]
use crate::support::three;
use crate::support::{ALL, Dropped, Token, both, explore_timed, preemptions, said};
use ripcord::{CancelHandle, Cause, Context, Error, loom_support::turn};
use std::time::Duration;

/// A cause that tells of its drop.
#[derive(Debug)]
struct Budget(#[allow(dead_code, reason = "held for its drop")] Token);

impl std::fmt::Display for Budget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no budget left")
    }
}

impl std::error::Error for Budget {}

fn budget(dropped: &Dropped) -> (Context, CancelHandle) {
    Context::background().with_timeout_cause(Duration::from_nanos(5), Cause::new(Budget(dropped.token())))
}

fn fire() {
    let _ = turn(5);
}

#[test]
fn fires_as_it_is_canceled_and_goes() {
    explore_timed("M21 fires, is canceled, goes", preemptions(4, None), || {
        let dropped = Dropped::default();
        let (ctx, handle) = budget(&dropped);
        both(fire, move || {
            handle.cancel();
            match ctx.err() {
                Some(Error::DeadlineExceeded) => assert_eq!(said(&ctx).as_deref(), Some("no budget left")),
                other => assert_eq!(other, Some(Error::Canceled)),
            }
            drop((ctx, handle));
        });
        assert_eq!(dropped.get(), 1, "given back once");
    });
}

#[test]
fn fires_as_it_goes() {
    explore_timed("M21 fires as it goes", ALL, || {
        let dropped = Dropped::default();
        let held = budget(&dropped);
        both(fire, move || drop(held));
        assert_eq!(dropped.get(), 1, "given back once");
    });
}

/// What is below is walked, so the driver has a bit to set in the word that the owner takes the cause out of.
#[test]
fn fires_as_it_goes_and_had_a_child() {
    explore_timed("M21 fires as it goes, had a child", preemptions(4, None), || {
        let dropped = Dropped::default();
        let held = budget(&dropped);
        drop(held.0.with_cancel());
        both(fire, move || drop(held));
        assert_eq!(dropped.get(), 1, "given back once");
    });
}

/// The owner takes the cause, and leaves the node to the canceler that has the reminder in hand.
#[test]
fn goes_as_its_parent_ends() {
    explore_timed("M21 goes as its parent ends", ALL, || {
        let dropped = Dropped::default();
        let (parent, handle) = Context::background().with_cancel();
        let held = parent.with_timeout_cause(Duration::from_nanos(5), Cause::new(Budget(dropped.token())));
        both(move || drop(held), move || handle.cancel());
        assert_eq!(dropped.get(), 1, "given back once");
    });
}

// Too large over the real collector's own steps.
#[cfg(not(crossbeam_loom))]
#[test]
fn fires_as_its_parent_ends_and_it_goes() {
    explore_timed("M21 fires, its parent ends, it goes", preemptions(2, Some(3)), || {
        let dropped = Dropped::default();
        let (parent, handle) = Context::background().with_cancel();
        let held = parent.with_timeout_cause(Duration::from_nanos(5), Cause::new(Budget(dropped.token())));
        three(fire, move || drop(held), move || handle.cancel());
        assert_eq!(dropped.get(), 1, "given back once");
    });
}

#[test]
fn relay_fires_as_its_child_goes() {
    explore_timed("M21 relay fires as its child goes", preemptions(3, Some(4)), || {
        let dropped = Dropped::default();
        let parent = budget(&dropped);
        let child = parent.0.with_cancel();
        drop(parent);
        both(fire, move || {
            if let Some(words) = said(&child.0) {
                assert_eq!(words, "no budget left");
            }
            drop(child);
        });
        assert_eq!(dropped.get(), 1, "given back once");
    });
}

#[test]
fn moved_to_the_past_as_it_fires() {
    explore_timed("M21 moved to the past as it fires", ALL, || {
        let dropped = Dropped::default();
        let (ctx, handle) = budget(&dropped);
        both(fire, || {
            let _ = handle.reset_timeout(Duration::ZERO);
            assert_eq!(said(&ctx).as_deref(), Some("no budget left"));
        });
        drop((ctx, handle));
        assert_eq!(dropped.get(), 1, "given back once");
    });
}
