//! The stages of a shutdown, and how one budget is shared out among them.

use crate::cause::Cause;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// What a shutdown comes to, in this order. See [the table](super#stages).
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Nothing new comes in: listeners close, or the health check says no.
    Stop,
    /// What is idle closes at once; what is at work may finish.
    Drain,
    /// Work is told to end, and why; it may still clean up and answer.
    Cancel,
    /// Whatever still runs is dropped; nobody waits any longer.
    Abort,
}

impl Stage {
    /// All of them, in order.
    pub const ALL: [Stage; 4] = [Stage::Stop, Stage::Drain, Stage::Cancel, Stage::Abort];

    /// The one after this; `None` after the last.
    #[must_use]
    pub fn next(self) -> Option<Stage> {
        Stage::ALL.get(self as usize + 1).copied()
    }

    /// A short lower-case name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Stage::Stop => "stop",
            Stage::Drain => "drain",
            Stage::Cancel => "cancel",
            Stage::Abort => "abort",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The cause of a stage that came because the time of the one before was over.
///
/// Displays the reason of the shutdown and the time; [`source`](StdError::source) and [`reason`](Overdue::reason) give the
/// reason itself.
#[derive(Clone, Debug)]
pub struct Overdue {
    pub(super) stage: Stage,
    pub(super) after: Duration,
    pub(super) reason: Cause,
}

impl Overdue {
    /// Why there is a shutdown: what was given to [`begin`](super::Shutdown::begin).
    #[must_use]
    pub fn reason(&self) -> &Cause {
        &self.reason
    }

    /// The stage that came.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// How long after the beginning of the shutdown it was to come.
    #[must_use]
    pub fn after(&self) -> Duration {
        self.after
    }
}

impl fmt::Display for Overdue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "going down ({}), not finished within {:.1?}", self.reason, self.after)
    }
}

impl StdError for Overdue {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.reason)
    }
}

/// One budget, and what part of it each stage but the last may take.
#[derive(Copy, Clone, Debug)]
pub(super) struct Plan {
    pub(super) budget: Duration,
    pub(super) shares: [u32; 3],
}

impl Plan {
    /// How long a stage may take before the next one comes.
    pub(super) fn time_of(&self, stage: Stage) -> Duration {
        let Some(&share) = self.shares.get(stage as usize) else { return Duration::ZERO };
        let all: u128 = self.shares.iter().map(|&share| u128::from(share)).sum();
        // At most 2^94 * 2^32.
        let nanos = self.budget.as_nanos() * u128::from(share) / all.max(1);
        Duration::new((nanos / 1_000_000_000) as u64, (nanos % 1_000_000_000) as u32)
    }
}
