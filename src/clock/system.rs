//! The source of time: the system's clock, which nobody stops.

use super::{Tick, tick_of};
use crate::sync::thread;
use std::time::Instant;

/// The clock, read now.
#[inline]
pub(crate) fn now() -> Tick {
    tick_of(Instant::now())
}

/// The clock, if it runs: it does.
#[inline]
pub(crate) fn running() -> Option<Tick> {
    Some(now())
}

/// Whether an instant has passed.
#[inline]
pub(crate) fn has_passed(at: Instant) -> bool {
    at <= Instant::now()
}

/// Parks this thread until then, or until somebody unparks it; may return earlier, as parking may.
pub(crate) fn park_until(until: Tick) {
    thread::park_timeout(std::time::Duration::from_nanos(until.saturating_sub(now())));
}
