//! M18: a reminder in the timer's queues that is not true any more: its deadline was moved, or its context is gone and
//! the cell serves another. It is looked at under the cell's claim, and asks the deadline itself.

use crate::support::{ALL, both, explore_timed, preemptions};
use ripcord::{Context, Error, loom_support::turn};
use std::time::Duration;

const fn nanos(nanos: u64) -> Duration {
    Duration::from_nanos(nanos)
}

#[test]
fn forward_then_back_as_both_surface() {
    explore_timed("M18 pulled forward, pushed back", preemptions(2, Some(3)), || {
        let (ctx, handle) = Context::background().with_timeout(nanos(9));
        let mut kept = true;
        both(
            || {
                let _ = turn(9);
            },
            || kept = handle.reset_timeout(nanos(3)) && handle.reset_timeout(nanos(20)),
        );
        assert_eq!(ctx.is_done(), !kept, "ended by a reminder that was not true any more");
        let _ = turn(20);
        assert_eq!(ctx.err(), Some(Error::DeadlineExceeded));
    });
}

#[test]
fn put_back_as_it_is_canceled() {
    explore_timed("M18 put back as it is canceled", ALL, || {
        let (ctx, handle) = Context::background().with_timeout(nanos(5));
        assert!(handle.reset_timeout(nanos(9)));
        both(
            || {
                let _ = turn(5);
            },
            || handle.cancel(),
        );
        assert_eq!(ctx.err(), Some(Error::Canceled));
    });
}

#[test]
fn put_back_as_it_goes() {
    explore_timed("M18 put back as it goes", ALL, || {
        let (ctx, handle) = Context::background().with_timeout(nanos(5));
        assert!(handle.reset_timeout(nanos(9)));
        both(
            || {
                let _ = turn(5);
            },
            move || drop((ctx, handle)),
        );
    });
}

#[test]
fn cell_serves_another_context() {
    explore_timed("M18 its cell serves another", preemptions(2, Some(3)), || {
        let first = Context::background().with_timeout(nanos(5));
        let mut second = None;
        both(
            || {
                let _ = turn(5);
            },
            || {
                drop(first);
                second = Some(Context::background().with_timeout(nanos(9)));
            },
        );
        let (second, _handle) = second.unwrap();
        assert!(!second.is_done(), "ended by the reminder of another");
        let _ = turn(9);
        assert!(second.is_done());
    });
}

#[test]
fn disarmed_by_a_reset() {
    explore_timed("M18 disarmed as it surfaces", ALL, || {
        let (ctx, handle) = Context::background().with_timeout(nanos(5));
        let mut kept = false;
        both(
            || {
                let _ = turn(5);
            },
            || kept = handle.reset_timeout(Duration::MAX),
        );
        assert_eq!(ctx.is_done(), !kept);
        assert_eq!(ctx.deadline().is_none(), kept);
    });
}
