//! Why things end. Each context is told when it is made, or by whoever ends it; a client reads it in the answer.

use hyper::StatusCode;
use ripcord::{Cause, Error};
use std::fmt;
use std::time::Duration;

/// The ends this proxy knows. A type of its own, so that a [`Cause`] can be asked for it again by `downcast_ref`.
#[derive(Debug)]
pub(crate) enum Why {
    /// The server was asked to stop, by this signal.
    Signal(&'static str),
    /// It was asked to stop, and what was in flight had this long to finish.
    GraceOver {
        asked: String,
        grace: Duration,
    },
    ClientGone,
    ClientIdle(Duration),
    RequestDeadline(Duration),
    AttemptDeadline(Duration),
    UpstreamIdle(Duration),
    /// The request that had borrowed an upstream connection ended before its response did.
    Abandoned,
    /// The last client has gone, and with it the use of an upstream connection.
    PoolClosed,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Signal(name) => write!(f, "{name}"),
            Why::GraceOver { asked, grace } => write!(f, "going down ({asked}), the grace of {grace:?} is over"),
            Why::ClientGone => write!(f, "the client has gone"),
            Why::ClientIdle(time) => write!(f, "no request for {time:?}"),
            Why::RequestDeadline(time) => write!(f, "the request was not finished in {time:?}"),
            Why::AttemptDeadline(time) => write!(f, "the upstream did not answer in {time:?}"),
            Why::UpstreamIdle(time) => write!(f, "no use for {time:?}"),
            Why::Abandoned => write!(f, "the exchange was given up"),
            Why::PoolClosed => write!(f, "the pool was closed"),
        }
    }
}

impl std::error::Error for Why {}

impl From<Why> for Cause {
    fn from(why: Why) -> Cause {
        Cause::new(why)
    }
}

/// An error and what lies behind it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}

/// What a client is told when a context ended its request. 499 is never sent: nobody is there to read it.
pub(crate) fn status(cause: &Cause) -> StatusCode {
    match (cause.error(), cause.downcast_ref()) {
        (Error::DeadlineExceeded, _) => StatusCode::GATEWAY_TIMEOUT,
        (_, Some(Why::ClientGone)) => StatusCode::from_u16(499).expect("a status has three digits"),
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}
