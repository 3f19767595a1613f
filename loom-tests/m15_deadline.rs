//! M15: a deadline fires while its context is canceled, moved, dropped, or gets a child. One compare-and-swap on the
//! deadline decides between a move and the end, one on the state what ended it, and the cell's word who frees what.
//!
//! The driver is a thread that makes one pass; its clock is an argument.

use crate::support::{ALL, Count, both, explore_timed, preemptions, root, said, three, waits_beside};
use ripcord::{
    CancelHandle, Context, Error,
    loom_support::{set_clock, turn},
};
use std::time::Duration;

/// A context that ends so many nanoseconds after the start.
fn armed(nanos: u64) -> (Context, CancelHandle) {
    Context::background().with_timeout(Duration::from_nanos(nanos))
}

fn reset(handle: &CancelHandle, nanos: u64) -> bool {
    handle.reset_timeout(Duration::from_nanos(nanos))
}

fn fire(nanos: u64) {
    let _ = turn(nanos);
}

#[test]
fn fired_or_canceled() {
    explore_timed("M15 fired or canceled", preemptions(4, None), || {
        let (ctx, handle) = armed(5);
        let calls = Count::default();
        drop(ctx.after_func(calls.call()));
        both(
            || fire(5),
            || {
                handle.cancel_cause("gone");
                assert!(ctx.is_done(), "the cancel has returned");
            },
        );
        match ctx.err() {
            Some(Error::Canceled) => assert_eq!(said(&ctx).as_deref(), Some("gone")),
            Some(Error::DeadlineExceeded) => assert_eq!(said(&ctx), Some(Error::DeadlineExceeded.to_string())),
            other => panic!("{other:?}"),
        }
        assert_eq!(calls.get(), 1);
    });
}

#[test]
fn fired_as_it_goes() {
    explore_timed("M15 fired as it goes", ALL, || {
        let held = armed(5);
        both(|| fire(5), move || drop(held));
    });
}

#[test]
fn fired_as_the_leaf_goes() {
    explore_timed("M15 fired as the leaf goes", ALL, || {
        let (parent, _handle) = root();
        let held = parent.with_timeout(Duration::from_nanos(5));
        both(|| fire(5), move || drop(held));
        assert!(!parent.is_done());
    });
}

/// The same for a node that had a child, and has none any more.
#[test]
fn fired_as_one_that_had_a_child_goes() {
    explore_timed("M15 fired as one that had a child goes", ALL, || {
        let (parent, _handle) = root();
        let held = parent.with_timeout(Duration::from_nanos(5));
        drop(held.0.with_cancel());
        both(|| fire(5), move || drop(held));
        assert!(!parent.is_done());
    });
}

/// The driver finds who waits in the word, who goes.
#[test]
fn fired_as_the_waiter_goes() {
    explore_timed("M15 fired as the waiter goes", ALL, || {
        let (ctx, _handle) = armed(5);
        let waiter = waits_beside(&ctx);
        both(|| fire(5), move || drop(waiter));
        assert!(ctx.is_done());
    });
}

#[test]
fn fired_as_the_leaf_and_its_parent_go() {
    explore_timed("M15 fired as leaf and parent go", preemptions(2, Some(3)), || {
        let parent = root();
        let held = parent.0.with_timeout(Duration::from_nanos(5));
        three(|| fire(5), move || drop(held), move || drop(parent));
    });
}

// Too large over the real collector's own steps.
#[cfg(not(crossbeam_loom))]
#[test]
fn fired_as_the_parent_ends_and_the_leaf_goes() {
    explore_timed("M15 fired, the parent ends, the leaf goes", preemptions(2, Some(3)), || {
        let (parent, handle) = root();
        let held = parent.with_timeout(Duration::from_nanos(5));
        three(|| fire(5), move || drop(held), move || handle.cancel());
        assert!(parent.is_done());
    });
}

/// The driver has the reminder in hand, and comes when the parent, whose end the leaf has inherited, is gone.
#[test]
fn fired_as_all_go_from_the_leaf_up() {
    explore_timed("M15 fired as all go from the leaf up", preemptions(3, None), || {
        let (parent, handle) = root();
        let held = parent.with_timeout(Duration::from_nanos(5));
        both(
            || fire(5),
            move || {
                handle.cancel();
                drop(held);
                drop((parent, handle));
            },
        );
    });
}

#[test]
fn born_as_the_parent_ends() {
    explore_timed("M15 born as its parent ends", ALL, || {
        let (parent, handle) = root();
        let mut held = None;
        both(move || handle.cancel(), || held = Some(parent.with_timeout(Duration::from_nanos(5))));
        let (ctx, _own) = held.unwrap();
        assert_eq!(ctx.err(), Some(Error::Canceled), "born ended, or reached");
    });
}

#[test]
fn fired_or_pushed_back() {
    explore_timed("M15 fired or pushed back", ALL, || {
        let (ctx, handle) = armed(5);
        let mut pushed = false;
        both(
            || fire(5),
            || {
                pushed = reset(&handle, 9);
                assert!(pushed || ctx.is_done(), "refused, and live");
            },
        );
        assert_eq!(ctx.is_done(), !pushed, "one of the two");
        fire(9);
        assert_eq!(ctx.err(), Some(Error::DeadlineExceeded));
    });
}

#[test]
fn fired_or_pulled_forward() {
    explore_timed("M15 fired or pulled forward", preemptions(2, Some(3)), || {
        let (ctx, handle) = armed(9);
        both(
            || fire(9),
            || {
                let pulled = reset(&handle, 5);
                assert!(pulled || ctx.is_done(), "refused, and live");
            },
        );
        // What was armed while the pass was under way is found by the next.
        fire(5);
        assert_eq!(ctx.err(), Some(Error::DeadlineExceeded));
    });
}

#[test]
fn pulled_forward_and_dropped_as_it_fires() {
    explore_timed("M15 pulled forward and dropped as it fires", preemptions(3, Some(4)), || {
        let (ctx, handle) = armed(9);
        both(
            || fire(9),
            move || {
                let _ = reset(&handle, 5);
                drop((ctx, handle));
            },
        );
    });
}

fn moved_or_canceled((ctx, handle): (Context, CancelHandle)) {
    let other = handle.clone();
    both(
        move || other.cancel(),
        || {
            let _ = reset(&handle, 5);
        },
    );
    // No cell of an ended context stays queued: `stop_timers` would find it.
    assert_eq!(ctx.err(), Some(Error::Canceled));
}

#[test]
fn pulled_forward_or_canceled() {
    explore_timed("M15 pulled forward or canceled", ALL, || {
        moved_or_canceled(armed(9));
    });
}

#[test]
fn first_armed_as_it_is_canceled() {
    explore_timed("M15 first armed as it is canceled", ALL, || {
        // A canceler that finds no reminder leaves none to find: who arms looks again.
        moved_or_canceled(root());
    });
}

#[test]
fn pulled_forward_canceled_fired_gone() {
    explore_timed("M15 pulled forward, canceled, fired, gone", preemptions(1, Some(2)), || {
        let (ctx, handle) = armed(9);
        let other = handle.clone();
        three(
            || fire(9),
            move || {
                other.cancel();
                drop(other);
            },
            move || {
                let _ = reset(&handle, 5);
                drop((ctx, handle));
            },
        );
    });
}

#[test]
fn moved_both_ways() {
    explore_timed("M15 moved both ways", ALL, || {
        let (ctx, handle) = armed(9);
        let other = handle.clone();
        both(move || assert!(reset(&other, 20)), || assert!(reset(&handle, 5)));
        let left = ctx.remaining().expect("it has a deadline").as_nanos();
        assert!(left == 5 || left == 20);
        fire(9);
        assert_eq!(ctx.is_done(), left == 5, "by its deadline, not by a reminder");
        fire(20);
        assert!(ctx.is_done());
    });
}

#[test]
fn pulled_forward_twice() {
    explore_timed("M15 pulled forward twice", preemptions(2, Some(3)), || {
        let (ctx, handle) = armed(20);
        let other = handle.clone();
        both(move || assert!(reset(&other, 9)), || assert!(reset(&handle, 5)));
        let left = ctx.remaining().expect("it has a deadline").as_nanos();
        fire(left as u64);
        assert!(ctx.is_done(), "no reminder came in time");
    });
}

#[test]
fn moved_to_the_past_as_it_fires() {
    explore_timed("M15 moved to the past as it fires", ALL, || {
        let (ctx, handle) = armed(5);
        both(
            || fire(5),
            || {
                let by_us = reset(&handle, 0);
                assert_eq!(ctx.err(), Some(Error::DeadlineExceeded), "it ends before the move returns");
                let _ = by_us;
            },
        );
    });
}

#[test]
fn child_comes_as_the_parent_fires() {
    explore_timed("M15 child comes as its parent fires", ALL, || {
        let (parent, _handle) = armed(5);
        let mut child = None;
        both(|| fire(5), || child = Some(parent.with_cancel()));
        assert_eq!(child.map(|(child, _)| child.err()), Some(Some(Error::DeadlineExceeded)), "born ended, or reached");
    });
}

#[test]
fn born_late_as_the_parent_fires() {
    explore_timed("M15 born late as its parent fires", preemptions(3, Some(4)), || {
        let (parent, _handle) = armed(5);
        set_clock(6);
        let mut child = None;
        both(|| fire(6), || child = Some(parent.with_timeout(Duration::ZERO)));
        let (child, _own) = child.unwrap();
        assert_eq!(parent.err(), Some(Error::DeadlineExceeded), "the earlier of two past deadlines came first");
        assert_eq!(child.err(), Some(Error::DeadlineExceeded));
    });
}

#[test]
fn relay_fires_as_its_child_goes() {
    explore_timed("M15 relay fires as its child goes", preemptions(3, Some(4)), || {
        let parent = armed(5);
        let child = parent.0.with_cancel();
        drop(parent);
        both(|| fire(5), move || drop(child));
    });
}

#[test]
fn both_deadlines_fire_as_the_child_goes() {
    explore_timed("M15 parent and child fire, the child goes", preemptions(2, Some(3)), || {
        let (parent, _handle) = armed(5);
        let child = parent.with_timeout(Duration::from_nanos(4));
        both(|| fire(5), move || drop(child));
        assert!(parent.is_done());
    });
}
