//! The coarse clock: what the kernel noted at its last tick, for a fifth of what the exact clock costs to read.
//!
//! It answers one question, whether an instant is certainly still to come, and only for instants more than [`SLACK`]
//! away: nearly all deadlines when they are given. For the others the exact clock is read after all.
//!
//! # How far behind it can be
//!
//! Both clocks tell the same time, this one as of the last tick: up to 10 ms ago, depending on how the kernel was built. It
//! stands longer when the processor that keeps the time loses its turn, as a virtual one may to its host; recent kernels
//! have another take over after five ticks, so 50 ms. After a whole machine stood still, its first tick puts it right.
//! [`SLACK`] is ten times the fifty.
//!
//! Should it be further behind all the same, an instant that has just passed is taken for one to come. Nothing is lost: it is
//! armed like any other and fires as late as any other. Only the promise that the context has ended when the call returns
//! is not kept then. And nothing fires early by this clock: the driver does not read it.

use super::Tick;

pub(super) use kernel::{noted, zero};

/// Instants nearer than this are none of the coarse clock's business: half a second.
pub(super) const SLACK: Tick = 500_000_000;

/// Whether a tick is certainly in the future.
#[inline]
pub(super) fn is_ahead(at: Tick) -> bool {
    noted().is_some_and(|noted| at > noted + SLACK)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod kernel {
    use super::super::BIAS;
    use super::Tick;
    use std::mem::MaybeUninit;
    use std::time::{Duration, Instant};

    /// The coarse clock, if there is one. It needs no base of its own: see [`zero`].
    #[inline]
    pub(crate) fn noted() -> Option<Tick> {
        read(libc::CLOCK_MONOTONIC_COARSE).map(|nanos| BIAS + nanos)
    }

    /// The instant at which the kernel's monotonic clock, of which `Instant` is made here, was zero; earlier by the time
    /// between two reads, so that the coarse clock is never ahead of the exact one.
    pub(crate) fn zero() -> Instant {
        // A thread that loses the processor between two reads has another try.
        (0..4).filter_map(|_| look()).min_by_key(|(gap, _)| *gap).map_or_else(Instant::now, |(_, zero)| zero)
    }

    fn look() -> Option<(u64, Instant)> {
        let before = read(libc::CLOCK_MONOTONIC)?;
        let at = Instant::now();
        let after = read(libc::CLOCK_MONOTONIC)?;
        Some((after.saturating_sub(before), at.checked_sub(Duration::from_nanos(after))?))
    }

    /// Nanoseconds of one of the kernel's clocks.
    #[inline]
    fn read(clock: libc::clockid_t) -> Option<u64> {
        let mut time = MaybeUninit::<libc::timespec>::uninit();
        // SAFETY: the time is written where it may be.
        if unsafe { libc::clock_gettime(clock, time.as_mut_ptr()) } != 0 {
            return None;
        }
        // SAFETY: written, as the answer says.
        let time = unsafe { time.assume_init() };
        // Neither is negative. Fits for 292 years after the machine's start.
        Some((time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64))
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod kernel {
    use super::Tick;
    use std::time::Instant;

    /// There is none that we know of.
    #[inline]
    pub(crate) fn noted() -> Option<Tick> {
        None
    }

    /// Ticks count from the first look at the clock.
    pub(crate) fn zero() -> Instant {
        Instant::now()
    }
}
