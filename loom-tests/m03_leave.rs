//! M3: somebody leaves while the owner is canceled. The canceler tags in place and never takes the list away, so who
//! leaves finds out by its own slot whether it is being looked at; a claim decides who calls a function.

use crate::support::{ALL, Count, Dropped, both, counted, explore, preemptions, root, three, waits_beside};
use std::pin::pin;
use std::task::{Context as Task, Poll};

#[test]
fn child_leaves() {
    explore("M3 child leaves", ALL, || {
        let (parent, handle) = root();
        let child = parent.with_cancel();
        both(move || handle.cancel(), move || drop(child));
        assert!(parent.is_done());
    });
}

/// A node that had a child, and has none any more: the short way out, with a slot that was used.
#[test]
fn child_that_had_one_leaves() {
    explore("M3 child that had one leaves", ALL, || {
        let (parent, handle) = root();
        let child = parent.with_cancel();
        drop(child.0.with_cancel());
        both(move || handle.cancel(), move || drop(child));
        assert!(parent.is_done());
    });
}

/// The same as the last who waits leaves, on another thread than the last handle.
#[test]
fn parent_leaves_as_its_child_does() {
    explore("M3 parent leaves as its child does", ALL, || {
        let (root, _handle) = root();
        let (parent, _) = root.with_cancel();
        let (child, _) = parent.with_cancel();
        both(move || drop(parent), move || drop(child));
        assert!(!root.is_done());
    });
}

#[test]
fn ended_child_leaves_with_its_cause() {
    explore("M3 ended child leaves with its cause", preemptions(4, None), || {
        let (parent, handle) = root();
        let (child, own) = parent.with_cancel();
        // No leaf: those are propagated as they end.
        drop(child.with_cancel());
        let dropped = Dropped::default();
        let cause = ripcord::Cause::new(Told(dropped.token()));
        let kept = cause.clone();
        both(
            move || handle.cancel(),
            move || {
                own.cancel_cause(cause);
                drop((child, own));
            },
        );
        drop(parent);
        assert_eq!(dropped.get(), 0, "the context gave up a share that was not its own");
        drop(kept);
        assert_eq!(dropped.get(), 1, "the context kept its share");
    });
}

/// An error that tells of its drop.
struct Told(#[allow(dead_code, reason = "held for its drop")] crate::support::Token);

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Told")
    }
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("told")
    }
}

impl std::error::Error for Told {}

#[test]
fn function_is_stopped_or_called() {
    explore("M3 function is stopped or called", ALL, || {
        let (ctx, handle) = root();
        let (after, calls, dropped) = counted(&ctx);
        let seen = calls.clone();
        both(
            move || handle.cancel(),
            move || {
                let stopped = after.stop();
                if stopped {
                    assert_eq!(seen.get(), 0, "stopped, yet it ran");
                }
                assert!(!after.stop(), "stopped twice");
                drop(after);
                if stopped {
                    assert_eq!(seen.get(), 0, "stopped, yet it ran");
                } else {
                    seen.up();
                }
            },
        );
        // Called once, or stopped once: the loser of `stop` counted itself.
        assert!(matches!(calls.get(), 0 | 2), "called {} times", calls.get());
        assert_eq!(dropped.get(), 1, "the function is dropped once, run or not");
    });
}

#[test]
fn waiter_leaves() {
    waits_and_leaves("M3 waiter leaves", false);
}

#[test]
fn waiter_beside_another_leaves() {
    waits_and_leaves("M3 waiter beside another leaves", true);
}

fn waits_and_leaves(name: &str, beside: bool) {
    explore(name, ALL, move || {
        let (ctx, handle) = root();
        let _other = beside.then(|| waits_beside(&ctx));
        let wakes = Count::default();
        let waker = wakes.waker();
        both(move || handle.cancel(), {
            let ctx = &ctx;
            move || {
                let done = pin!(ctx.done());
                let _ = done.poll(&mut Task::from_waker(&waker)).map(|error| assert_eq!(Some(error), ctx.err()));
            }
        });
        assert!(wakes.get() <= 1, "woken more than once");
        let mut done = pin!(ctx.done());
        assert!(matches!(done.as_mut().poll(&mut Task::from_waker(std::task::Waker::noop())), Poll::Ready(_)));
    });
}

#[test]
fn two_children_leave() {
    explore("M3 two children leave", preemptions(3, Some(4)), || {
        let (parent, handle) = root();
        let (one, other) = (parent.with_cancel(), parent.with_cancel());
        three(move || drop(one), move || handle.cancel(), move || drop(other));
        drop(parent);
    });
}
