//! The end of time, in a process of its own: afterwards its clock can go nowhere.
#![cfg(not(feature = "loom"))]

mod common;

use common::*;
use ripcord::{Context, Error, time};
use std::time::Duration;

#[test]
fn an_advance_beyond_the_end_of_time_fires_everything_and_stays_there() {
    time::pause();
    let before = time::now();
    let (ctx, _handle) = Context::background().with_timeout(Duration::from_secs(86_400 * 365 * 40));
    let (never, _never) = Context::background().with_timeout(Duration::MAX);
    time::advance(Duration::MAX);
    assert_ended(&ctx, Error::DeadlineExceeded, "context deadline exceeded");
    assert_live(&never);
    let end = time::now();
    assert!(end > before);
    // Of 365 days and a quarter.
    let year = Duration::from_secs(31_557_600);
    assert!(end - before > 219 * year, "the end of time is {:?} ahead", end - before);
    time::advance(Duration::MAX);
    assert_eq!(time::now(), end);
    time::resume();
    time::advance(Duration::MAX);
    assert_eq!(time::now(), end);
    assert_live(&never);
}
