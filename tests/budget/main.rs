//! Budgets: the time of tries, pauses and hedges, and retries as a share of requests.
#![cfg(not(feature = "loom"))]

#[path = "../common/mod.rs"]
mod common;
mod hedges;
mod retries;
mod time;

use ripcord::Cause;
use ripcord::budget::Failure;
use std::fmt::Debug;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(3600);

/// What a failure says, told as a cause.
fn text<T: Debug>(result: Result<T, Failure<&'static str>>) -> String {
    Cause::from(result.unwrap_err()).to_string()
}
