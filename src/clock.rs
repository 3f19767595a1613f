//! Instants as 63-bit ticks of one nanosecond.
//!
//! A tick is one word, so a deadline can be moved by one atomic operation. [`BIAS`] leaves 73 years on either side of
//! the first look at the clock; what lies beyond saturates, at the far end to [`NEVER`].

use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Nanoseconds since the epoch of this process, plus [`BIAS`]; bit 63 is free for flags.
pub(crate) type Tick = u64;

/// Later than every instant: no deadline.
pub(crate) const NEVER: Tick = (1 << 63) - 1;

const BIAS: u64 = 1 << 61;

static BASE: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The clock, read now.
#[inline]
pub(crate) fn now() -> Tick {
    tick_of(Instant::now())
}

/// The tick of an instant: exact within 73 years of the first look at the clock, saturated beyond.
#[inline]
pub(crate) fn tick_of(at: Instant) -> Tick {
    let base = *BASE;
    if at >= base {
        nanos(at.duration_since(base)).checked_add(BIAS).map_or(NEVER, |tick| tick.min(NEVER))
    } else {
        BIAS.saturating_sub(nanos(base.duration_since(at)))
    }
}

/// Whole nanoseconds, saturated at 584 years.
#[inline]
fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(duration.subsec_nanos()))
}

/// The instant of a tick; `None` for [`NEVER`].
#[inline]
pub(crate) fn instant_of(tick: Tick) -> Option<Instant> {
    if tick >= NEVER {
        return None;
    }
    if tick >= BIAS {
        BASE.checked_add(Duration::from_nanos(tick - BIAS))
    } else {
        BASE.checked_sub(Duration::from_nanos(BIAS - tick))
    }
}

/// `now + after`, saturating to [`NEVER`].
#[inline]
pub(crate) fn tick_after(after: Duration) -> Tick {
    now().saturating_add(nanos(after)).min(NEVER)
}

/// Whether an instant has passed.
#[inline]
pub(crate) fn has_passed(at: Instant) -> bool {
    at <= Instant::now()
}
