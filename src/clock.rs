//! Instants as 63-bit ticks of one nanosecond.
//!
//! A tick is one word, so a deadline can be moved by one atomic operation. [`BIAS`] leaves 73 years before [`BASE`],
//! and 219 after it; what lies beyond saturates, at the far end to [`NEVER`].

// Cheaper, where a rough answer will do. A clock that is moved by hand is beyond it.
#[cfg(not(any(feature = "test-util", feature = "loom")))]
mod coarse;
// What time it is.
#[cfg_attr(all(feature = "test-util", not(feature = "loom")), path = "clock/settable.rs")]
#[cfg_attr(not(any(feature = "test-util", feature = "loom")), path = "clock/system.rs")]
#[cfg_attr(feature = "loom", path = "clock/model.rs")]
mod source;

#[cfg(not(feature = "loom"))]
pub(crate) use source::running;
#[cfg(all(feature = "test-util", not(feature = "loom")))]
pub(crate) use source::{aim, reach, start, stop};
#[cfg(feature = "loom")]
pub(crate) use source::{at, set};
use source::{has_passed, zero};
pub(crate) use source::{now, park_until};

use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Nanoseconds since [`BASE`], plus [`BIAS`]; bit 63 is free for flags.
pub(crate) type Tick = u64;

/// Later than every instant: no deadline.
pub(crate) const NEVER: Tick = (1 << 63) - 1;

const BIAS: u64 = 1 << 61;

/// Where ticks count from: the first look at the clock, or the clock's own zero if the [source](source::zero) knows it.
static BASE: LazyLock<Instant> = LazyLock::new(zero);

/// The tick of an instant: exact from 73 years before the base to 219 after it, saturated beyond.
#[inline]
pub(crate) fn tick_of(at: Instant) -> Tick {
    /// Whole seconds that surely fit.
    const FITS: u64 = (NEVER - BIAS) / 1_000_000_000;
    match at.checked_duration_since(*BASE) {
        Some(since) if since.as_secs() < FITS => {
            BIAS + since.as_secs() * 1_000_000_000 + u64::from(since.subsec_nanos())
        }
        Some(since) => tick_at_the_end(since),
        None => tick_before_base(at),
    }
}

#[cold]
fn tick_at_the_end(since: Duration) -> Tick {
    nanos(since).saturating_add(BIAS).min(NEVER)
}

#[cold]
fn tick_before_base(at: Instant) -> Tick {
    BIAS.saturating_sub(nanos(BASE.duration_since(at)))
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

/// A deadline as it was asked for.
#[derive(Copy, Clone, Debug)]
pub(crate) struct When {
    pub(crate) tick: Tick,
    /// It had passed when it was asked for.
    pub(crate) past: bool,
}

impl When {
    pub(crate) const NEVER: When = When { tick: NEVER, past: false };

    #[inline]
    pub(crate) fn at(at: Instant) -> When {
        let tick = tick_of(at);
        When { tick, past: has_passed(tick) }
    }

    /// So long from now, saturating to [`NEVER`]. The clock is read once.
    #[inline]
    pub(crate) fn after(after: Duration) -> When {
        When { tick: now().saturating_add(nanos(after)).min(NEVER), past: after.is_zero() }
    }
}

#[cfg(all(test, not(any(feature = "test-util", feature = "loom"))))]
mod tests;
