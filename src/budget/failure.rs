//! How tries fail, and the causes that say so.

use crate::cause::Cause;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// A try, or all of them, came to nothing.
#[derive(Clone, Debug)]
pub enum Failure<E> {
    /// A context ended before the try did: its own ([`AttemptTimeout`]), or the request's.
    Ended(Cause),
    /// The try itself failed.
    Failed(E),
}

impl<E> Failure<E> {
    /// The cause of the end, if it was one.
    pub fn ended(&self) -> Option<&Cause> {
        match self {
            Failure::Ended(cause) => Some(cause),
            Failure::Failed(_) => None,
        }
    }

    /// The try's own error, if it was that.
    pub fn failed(&self) -> Option<&E> {
        match self {
            Failure::Ended(_) => None,
            Failure::Failed(error) => Some(error),
        }
    }
}

impl<E: fmt::Display> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Ended(cause) => cause.fmt(f),
            Failure::Failed(error) => error.fmt(f),
        }
    }
}

impl<E: StdError + 'static> StdError for Failure<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Failure::Ended(cause) => cause.source(),
            Failure::Failed(error) => error.source(),
        }
    }
}

impl<E: Into<Cause>> From<Failure<E>> for Cause {
    fn from(failure: Failure<E>) -> Cause {
        match failure {
            Failure::Ended(cause) => cause,
            Failure::Failed(error) => error.into(),
        }
    }
}

/// The cause of a try that took too long: its limit. See [`Context::attempt`](crate::Context::attempt).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct AttemptTimeout(pub Duration);

impl fmt::Display for AttemptTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the attempt was not finished in {:?}", self.0)
    }
}

impl StdError for AttemptTimeout {}

impl From<AttemptTimeout> for Cause {
    fn from(timeout: AttemptTimeout) -> Cause {
        Cause::new(timeout)
    }
}

/// The cause of a try that lost against another one, see [`Hedge`](super::Hedge).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outrun {
    /// The number of the try that was first, counted from 1.
    pub winner: u32,
    /// The number of the one that has this cause.
    pub loser: u32,
}

impl fmt::Display for Outrun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attempt {} was outrun by attempt {}", self.loser, self.winner)
    }
}

impl StdError for Outrun {}

impl From<Outrun> for Cause {
    fn from(outrun: Outrun) -> Cause {
        Cause::new(outrun)
    }
}
