//! Ends as statuses, and back.

use crate::cause::Cause;
use crate::context::Context;
use crate::error::Error;
use ::tonic::{Code, Status};
use std::sync::Arc;

/// [`Error::Canceled`] is `CANCELLED`, [`Error::DeadlineExceeded`] is `DEADLINE_EXCEEDED`; the message is the error's.
impl From<Error> for Status {
    fn from(error: Error) -> Status {
        let code = match error {
            Error::Canceled => Code::Cancelled,
            Error::DeadlineExceeded => Code::DeadlineExceeded,
        };
        Status::new(code, error.to_string())
    }
}

/// The status of the cause's [kind](Cause::error). The cause itself is the status's source: for the log here, never on the
/// wire.
impl From<Cause> for Status {
    fn from(cause: Cause) -> Status {
        let mut status = Status::from(cause.error());
        status.set_source(Arc::new(cause));
        status
    }
}

/// How a context ended, as a status; `None` while it is live. Its source is the [`Cause`].
///
/// ```
/// use ripcord::Context;
/// use ripcord::tonic::{error_of, status_of};
/// use std::time::Duration;
/// use tonic::Code;
///
/// let (ctx, _handle) = Context::background().with_timeout_cause(Duration::ZERO, "the report's half second is over");
/// let status = status_of(&ctx).unwrap();
/// assert_eq!(status.code(), Code::DeadlineExceeded);
/// assert_eq!(status.message(), "context deadline exceeded");
/// assert_eq!(std::error::Error::source(&status).unwrap().to_string(), "the report's half second is over");
///
/// assert_eq!(error_of(&status), ctx.err());
/// ```
#[must_use]
pub fn status_of(ctx: &Context) -> Option<Status> {
    ctx.cause().map(Status::from)
}

/// The other way round: `CANCELLED` and `DEADLINE_EXCEEDED` are ends, everything else is not.
#[must_use]
pub fn error_of(status: &Status) -> Option<Error> {
    match status.code() {
        Code::Cancelled => Some(Error::Canceled),
        Code::DeadlineExceeded => Some(Error::DeadlineExceeded),
        _ => None,
    }
}
