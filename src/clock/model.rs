//! The source of time in models: a clock that stands still until the model moves it.
//!
//! All threads of a model run on one of the system's, one at a time, so they share it; it is no part of the schedule.

use super::{BIAS, Tick};
use crate::sync::thread;
use std::cell::Cell;
use std::time::Instant;

std::thread_local! {
    static NOW: Cell<Tick> = const { Cell::new(BIAS) };
}

/// The clock, as it stands.
pub(crate) fn now() -> Tick {
    NOW.get()
}

/// So many nanoseconds after the start of a model.
pub(crate) fn at(nanos: u64) -> Tick {
    BIAS + nanos
}

/// Moves the clock. Only while no other thread runs.
pub(crate) fn set(nanos: u64) {
    NOW.set(at(nanos));
}

/// Ticks count from wherever the process began to look.
pub(super) fn zero() -> Instant {
    Instant::now()
}

/// Whether a tick has passed.
pub(super) fn has_passed(at: Tick) -> bool {
    at <= now()
}

/// There is no time: a limit is as good as no limit for the races that models look for.
pub(crate) fn park_until(_: Tick) {
    thread::park();
}
