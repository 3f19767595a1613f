//! Why requests end before their answer does, and what the client is told.

use pingora_core::{Error, ErrorSource, ErrorType};
use ripcord::{Cause, Error as Kind};
use std::fmt;

/// The ends that this proxy brings about. A type of its own, so that a [`Cause`] can be asked for it by `downcast_ref`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The whole request has a deadline, body included.
    TimeUp,
    /// What remains of it is not worth a try.
    TooLittle,
    /// The client closed or reset its connection, or its stream.
    ClientGone,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Why::TimeUp => "the request's time is up",
            Why::TooLittle => "too little of the request's time is left",
            Why::ClientGone => "the client has gone",
        })
    }
}

impl std::error::Error for Why {}

impl From<Why> for Cause {
    fn from(why: Why) -> Cause {
        Cause::new(why)
    }
}

/// Nobody is there to read an answer.
pub const GONE: u16 = 499;

/// The status for a request whose context ended so.
#[must_use]
pub fn status(cause: &Cause) -> u16 {
    match (cause.error(), cause.downcast_ref()) {
        (_, Some(Why::ClientGone)) => GONE,
        (_, Some(Why::TooLittle)) | (Kind::DeadlineExceeded, _) => 504,
        // Whatever else ends it comes from above: the server goes down.
        _ => 503,
    }
}

/// The status for a request that failed while its context lived. pingora has this in the default of `fail_to_proxy`,
/// which cannot be called by who replaces it; a try that took too long is a 504 here.
pub(crate) fn fault(error: &Error) -> u16 {
    match (error.etype(), error.esource()) {
        (ErrorType::HTTPStatus(code), _) => *code,
        (ErrorType::ConnectTimedout | ErrorType::ReadTimedout | ErrorType::WriteTimedout, ErrorSource::Upstream) => 504,
        (_, ErrorSource::Upstream) => 502,
        (_, ErrorSource::Downstream) => 400,
        _ => 500,
    }
}

/// Whether this is how pingora says that the client went. It reads the client's connection while it waits for the
/// upstream, so this comes at once, except while it connects or writes.
pub(crate) fn client_gone(error: &Error) -> bool {
    use ErrorType::{ConnectionClosed, H2Error, ReadError, WriteError};
    matches!(error.esource(), ErrorSource::Downstream)
        && matches!(error.etype(), ConnectionClosed | H2Error | ReadError | WriteError)
}
