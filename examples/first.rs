//! Timeouts, values and causes, in plain threads.
//!
//! ```text
//! cargo run --example first
//! ```

use ripcord::{Cause, Context, Error};
use std::thread;
use std::time::{Duration, Instant};

/// A value is found by its type; a type of one's own cannot be found by anybody else.
#[derive(Debug, PartialEq)]
struct User(&'static str);

#[derive(Debug)]
struct Overload {
    queue: usize,
}

impl std::fmt::Display for Overload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} jobs are waiting", self.queue)
    }
}

impl std::error::Error for Overload {}

/// Works in small steps for as long as it may, and says why it stopped.
fn work(ctx: &Context) -> Result<u32, Cause> {
    for step in 1.. {
        if ctx.wait_timeout(Duration::from_millis(5)).is_some() {
            return Err(ctx.cause().expect("an ended context has a cause"));
        }
        if step == 1000 {
            return Ok(step);
        }
    }
    unreachable!("the loop returns")
}

fn main() {
    let root = Context::background().with_value(User("ada"));

    // A deadline with a cause: what is reported when it passes.
    let started = Instant::now();
    let (ctx, _handle) = root.with_timeout_cause(Duration::from_millis(50), "the answer came too late");
    let cause = work(&ctx).expect_err("1000 steps take five seconds");
    println!("timeout: {:?}, because {cause}, after {:?}", ctx.err(), started.elapsed());
    assert_eq!(ctx.err(), Some(Error::DeadlineExceeded));
    assert_eq!(cause.to_string(), "the answer came too late");
    assert!(started.elapsed() >= Duration::from_millis(50), "a deadline is never early");

    // A cancelation with a cause, from another thread: everything below ends with it, and finds the very error.
    let (ctx, handle) = root.with_cancel();
    let (child, _handle) = ctx.with_timeout(Duration::from_secs(60));
    let worker = thread::spawn(move || (work(&child), child));
    handle.cancel_cause(Cause::new(Overload { queue: 12 }));
    let (result, child) = worker.join().expect("the worker does not panic");
    let cause = result.expect_err("it was canceled");
    println!("cancel:  {:?}, because {cause}", child.err());
    assert_eq!(child.err(), Some(Error::Canceled));
    assert_eq!(cause.downcast_ref::<Overload>().map(|overload| overload.queue), Some(12));

    // The first end counts, for ever.
    handle.cancel_cause("too late to matter");
    assert_eq!(ctx.cause().map(|cause| cause.to_string()), Some("12 jobs are waiting".to_owned()));

    // Values are seen from anywhere below; without_cancel keeps them and nothing else.
    let after = child.without_cancel();
    println!("value:   {:?} works for {:?}", after.err(), after.value::<User>());
    assert_eq!(after.value::<User>(), Some(&User("ada")));
    assert_eq!((after.err(), after.deadline()), (None, None));
    assert_eq!(after.value::<u32>(), None);

    // Nobody may wait longer than the whole has left.
    let (whole, handle) = root.with_timeout(Duration::from_secs(30));
    let (part, _handle) = whole.with_timeout(Duration::from_secs(3600));
    println!("budget:  {:?} of an hour", part.remaining().map(|left| left.as_secs()));
    assert_eq!(part.deadline(), whole.deadline());

    // A deadline can be moved until it has passed.
    assert!(handle.reset_timeout(Duration::ZERO), "moved into the past: ends at once");
    assert!(!handle.reset_timeout(Duration::from_secs(1)), "nothing to move any more");
    assert_eq!(part.err(), Some(Error::DeadlineExceeded));
    println!("moved:   {:?}", part.err());
}
