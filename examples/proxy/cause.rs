//! Why things end. Each context is told when it is made, or by whoever ends it; a client reads it in the answer.

use hyper::StatusCode;
use ripcord::shutdown::Overdue;
use ripcord::{Cause, Error};
use std::fmt;
use std::time::Duration;

/// The ends this proxy knows. A type of its own, so that a [`Cause`] can be asked for it again by `downcast_ref`.
#[derive(Debug)]
pub(crate) enum Why {
    /// The server was asked to stop, by this signal.
    Signal(&'static str),
    ClientGone,
    /// No complete request: idle for this long, or so long in the middle of a head.
    ClientSilent {
        idle: Duration,
        head: Duration,
    },
    RequestDeadline(Duration),
    UpstreamIdle(Duration),
    /// The request that had borrowed an upstream connection ended before its response did.
    Abandoned,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Signal(name) => write!(f, "{name}"),
            Why::ClientGone => write!(f, "the client has gone"),
            Why::ClientSilent { idle, head } => {
                write!(f, "no request for {idle:?}, or a head not complete in {head:?}")
            }
            Why::RequestDeadline(time) => write!(f, "the request was not finished in {time:?}"),
            Why::UpstreamIdle(time) => write!(f, "no use for {time:?}"),
            Why::Abandoned => write!(f, "the exchange was given up"),
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

/// What a request came to, for the counters.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Answered,
    Deadline,
    ClientGone,
    Shutdown,
    Upstream,
    Other,
}

pub(crate) const KINDS: [(Kind, &str); 6] = [
    (Kind::Answered, "answered"),
    (Kind::Deadline, "deadline"),
    (Kind::ClientGone, "client_gone"),
    (Kind::Shutdown, "shutdown"),
    (Kind::Upstream, "upstream"),
    (Kind::Other, "other"),
];

pub(crate) fn kind(cause: &Cause) -> Kind {
    match (cause.error(), cause.downcast_ref()) {
        (Error::DeadlineExceeded, _) => Kind::Deadline,
        (_, Some(Why::ClientGone)) => Kind::ClientGone,
        (_, Some(Why::Signal(_))) => Kind::Shutdown,
        _ if cause.downcast_ref::<Overdue>().is_some() => Kind::Shutdown,
        _ => Kind::Other,
    }
}

/// What a client is told when a context ended its request. 499 is never sent: nobody is there to read it.
pub(crate) fn status(cause: &Cause) -> StatusCode {
    match kind(cause) {
        Kind::Deadline => StatusCode::GATEWAY_TIMEOUT,
        Kind::ClientGone => StatusCode::from_u16(499).expect("a status has three digits"),
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}
