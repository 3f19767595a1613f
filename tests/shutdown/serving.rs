//! A connection through the stages.

use crate::common::block_on;
use ripcord::shutdown::Stage;
use ripcord::{Context, Error, Shutdown};
use std::cell::Cell;
use std::future::{pending, poll_fn, ready};
use std::task::Poll;
use std::time::Duration;

fn shutdown() -> Shutdown {
    Shutdown::new(&Context::background(), Duration::from_secs(3600))
}

#[test]
fn undisturbed_it_runs_to_its_end() {
    let shutdown = shutdown();
    let served = shutdown.serve(shutdown.guard("connection"), ready(7), |_| panic!("nothing drains"));
    assert_eq!(block_on(served), Ok(7));
    assert_eq!(shutdown.report().left, []);
}

#[test]
fn a_busy_one_is_asked_once_and_may_finish() {
    let shutdown = shutdown();
    let (asked, polls) = (Cell::new(0), Cell::new(0));
    // Goes on for a while after it was asked.
    let busy = poll_fn(|cx| {
        cx.waker().wake_by_ref();
        polls.set(polls.get() + 1);
        if polls.get() == 3 {
            shutdown.begin("SIGTERM");
        }
        if asked.get() > 0 && polls.get() > 10 { Poll::Ready("done") } else { Poll::Pending }
    });
    let served = shutdown.serve(shutdown.guard("connection"), busy, |_| asked.set(asked.get() + 1));
    assert_eq!(block_on(served), Ok("done"));
    assert_eq!(asked.get(), 1);
    assert!(shutdown.report().is_clean());
}

#[test]
fn a_cancel_does_not_cut_it_the_abort_does() {
    let shutdown = shutdown();
    let served = shutdown.serve(shutdown.guard("connection"), pending::<()>(), |_| {});
    let mut served = std::pin::pin!(served);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    shutdown.begin("one");
    assert!(served.as_mut().poll(&mut cx).is_pending());
    shutdown.advance("two");
    assert!(shutdown.until(Stage::Cancel).is_done());
    assert!(served.as_mut().poll(&mut cx).is_pending());
    shutdown.advance("three");
    assert_eq!(served.as_mut().poll(&mut cx), Poll::Ready(Err(Error::Canceled)));
    assert_eq!(shutdown.wait().left.len(), 1, "still there when the abort came");
}
