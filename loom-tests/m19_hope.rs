//! M19: a function waits on a relay for an end that can no longer come. The mark above and the count below are two
//! words, each written before the other is read, with a fence between: at least one side drops the function.

use crate::support::{ALL, Count, Dropped, both, counted, explore, explore_timed, preemptions, root, three};
use ripcord::{Context, loom_support::turn};
use std::time::Duration;

/// A function on `ctx` that tells if it is called, or dropped.
fn hopeful(ctx: &Context) -> (Count, Dropped) {
    let (after, calls, dropped) = counted(ctx);
    drop(after);
    (calls, dropped)
}

#[test]
fn two_relays_let_go() {
    explore("M19 parent and child go, a function waits", preemptions(4, Some(6)), || {
        let parent = root();
        let child = parent.0.with_cancel();
        let (calls, dropped) = hopeful(&child.0);
        both(move || drop(parent), move || drop(child));
        assert_eq!((calls.get(), dropped.get()), (0, 1), "dropped unrun, once");
    });
}

#[test]
fn three_relays_let_go() {
    explore("M19 three generations go, a function waits", preemptions(3, Some(5)), || {
        let top = root();
        let middle = top.0.with_cancel();
        let bottom = middle.0.with_cancel();
        let (calls, dropped) = hopeful(&bottom.0);
        drop(middle);
        both(move || drop(top), move || drop(bottom));
        assert_eq!((calls.get(), dropped.get()), (0, 1), "dropped unrun, once");
    });
}

/// Whoever goes down into the relay must see who sits there, though the last handle was another thread's.
#[test]
fn function_comes_with_a_handle_that_is_not_the_last() {
    explore("M19 function comes, its handle goes first", preemptions(2, Some(3)), || {
        let parent = root();
        let (child, handle) = parent.0.with_cancel();
        let coming = loom::thread::spawn(move || {
            let counts = hopeful(&child);
            drop(child);
            counts
        });
        let last = loom::thread::spawn(move || drop(handle));
        drop(parent);
        let (calls, dropped) = coming.join().unwrap();
        last.join().unwrap();
        assert_eq!((calls.get(), dropped.get()), (0, 1), "dropped unrun, once");
    });
}

/// A relay with a deadline is not hopeless, whoever set it, and whichever handle went last.
#[test]
fn deadline_comes_with_a_handle_that_is_not_the_last() {
    explore_timed("M19 deadline comes, its handle goes first", preemptions(3, Some(4)), || {
        let parent = root();
        let (child, handle) = parent.0.with_cancel();
        let (calls, dropped) = hopeful(&child);
        three(
            move || {
                assert!(handle.reset_timeout(Duration::from_nanos(5)));
                drop(handle);
            },
            move || drop(child),
            || drop(parent),
        );
        assert_eq!((calls.get(), dropped.get()), (0, 0), "its time is to come");
        let _ = turn(5);
        assert_eq!((calls.get(), dropped.get()), (1, 1));
    });
}

#[test]
fn merged_relay_loses_both() {
    explore("M19 both parents of a merge go", ALL, || {
        let (left, right) = (root(), root());
        let merged = left.0.with_cancel_from(&right.0);
        let (calls, dropped) = hopeful(&merged.0);
        drop(merged);
        both(move || drop(left), move || drop(right));
        assert_eq!((calls.get(), dropped.get()), (0, 1), "dropped unrun, once");
    });
}

#[test]
fn ended_while_it_loses_hope() {
    explore("M19 canceled or hopeless", ALL, || {
        let (parent, handle) = root();
        let child = parent.with_cancel();
        let (calls, dropped) = hopeful(&child.0);
        drop(child);
        both(
            move || {
                handle.cancel();
                drop(handle);
            },
            move || drop(parent),
        );
        assert_eq!((calls.get(), dropped.get()), (1, 1), "the end came");
    });
}
