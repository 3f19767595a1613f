//! What tests and example play with: an origin with faults, a client that sees bytes, and proxies on ports of their own.

pub mod client;
pub mod origin;
pub mod plain;
pub mod world;

use std::thread;
use std::time::Duration;

/// Longer than any machine needs: what hangs is found by this.
pub const AGES: Duration = Duration::from_secs(60);

/// For a test of what is under way when its time is up. `None` says that the time was up before it was: then nothing is
/// learned, and it is tried again with twice the time.
///
/// # Panics
///
/// If it never is.
#[track_caller]
pub fn in_time<R>(first: Duration, mut attempt: impl FnMut(Duration) -> Option<R>) -> R {
    let mut times = std::iter::successors(Some(first), |time| (*time < AGES).then(|| *time * 2));
    times.find_map(&mut attempt).expect("not under way in time, however much there was")
}

/// Waits for what others do in their own time.
///
/// # Panics
///
/// If it does not come.
#[track_caller]
pub fn eventually(what: &str, mut happens: impl FnMut() -> bool) {
    for _ in 0..AGES.as_millis() {
        if happens() {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("still waiting for: {what}");
}
