//! The two ways a context can end.

use std::fmt;
use std::io;

/// Why a context ended: somebody canceled it, or its deadline passed.
///
/// ```
/// use ripcord::{Context, Error};
///
/// let (ctx, handle) = Context::background().with_cancel();
/// assert_eq!(ctx.err(), None);
/// handle.cancel();
/// assert_eq!(ctx.err(), Some(Error::Canceled));
/// assert_eq!(Error::DeadlineExceeded.to_string(), "context deadline exceeded");
/// ```
#[non_exhaustive]
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub enum Error {
    /// Its own handle, or an ancestor's, was canceled.
    Canceled,
    /// Its own deadline, or an ancestor's, passed.
    DeadlineExceeded,
}

impl Error {
    /// Whether it was a deadline.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self, Error::DeadlineExceeded)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::Canceled => "context canceled",
            Error::DeadlineExceeded => "context deadline exceeded",
        })
    }
}

impl std::error::Error for Error {}

/// `Canceled` becomes [`io::ErrorKind::Interrupted`], `DeadlineExceeded` becomes [`io::ErrorKind::TimedOut`].
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::Canceled => io::ErrorKind::Interrupted,
            Error::DeadlineExceeded => io::ErrorKind::TimedOut,
        };
        io::Error::new(kind, error)
    }
}
