//! The source of time: the system's clock, which nobody stops.

use super::{Tick, coarse, tick_of};
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

pub(super) use coarse::zero;

/// Whether a tick has passed. The exact clock is not read for one that is far enough ahead.
#[inline]
pub(super) fn has_passed(at: Tick) -> bool {
    !coarse::is_ahead(at) && has_just_passed(at)
}

/// Apart, so that who need not ask has no registers to save for it.
#[cold]
#[inline(never)]
fn has_just_passed(at: Tick) -> bool {
    at <= now()
}

/// Parks this thread until then, or until somebody unparks it; may return earlier, as parking may.
pub(crate) fn park_until(until: Tick) {
    thread::park_timeout(std::time::Duration::from_nanos(until.saturating_sub(now())));
}
