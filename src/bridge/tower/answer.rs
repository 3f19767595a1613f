//! How an end is told to whoever is on the other side.

use crate::bridge::http::Malformed;
use crate::cause::Cause;
use crate::error::Error;
use ::http::{HeaderMap, Response, StatusCode};
use std::error::Error as StdError;
use std::fmt;

/// Any error, as tower's services pass them on.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// How an end is told to the other side: what a protocol knows and the layers do not.
///
/// A function from a cause to a response is one, too, with the defaults for everything else:
///
/// ```
/// use http::{Response, StatusCode};
/// use ripcord::tower::ContextLayer;
/// use ripcord::{Cause, Context};
///
/// let layer = ContextLayer::new(Context::background()).answer(|cause: &Cause| {
///     let status = if cause.error().is_timeout() { StatusCode::GATEWAY_TIMEOUT } else { StatusCode::SERVICE_UNAVAILABLE };
///     let mut response = Response::new(());
///     *response.status_mut() = status;
///     response.headers_mut().insert("retry-after", 1.into());
///     response
/// });
/// # drop(layer);
/// ```
pub trait Answer {
    /// Server: the response to a request whose context ended before the handler answered. It has no body.
    fn response(&self, cause: &Cause) -> Response<()>;

    /// Server: the trailers that end a body whose context has ended, where trailers can say so. Without, the body ends
    /// with [`error`](Answer::error), and the connection or stream is reset: the client sees that it was cut short.
    fn trailers(&self, cause: &Cause) -> Option<HeaderMap> {
        let _ = cause;
        None
    }

    /// Server: the response to a request with a malformed header, under a policy that
    /// [refuses](crate::http::Policy::refuse_malformed) those. 400 by default.
    fn refusal(&self, malformed: &Malformed) -> Response<()> {
        let _ = malformed;
        status(StatusCode::BAD_REQUEST)
    }

    /// Both: the error that ends a call or a body. By default it is the [`Cause`] itself, to be found by
    /// `error.downcast_ref::<Cause>()`.
    fn error(&self, cause: Cause) -> BoxError {
        Box::new(cause)
    }

    /// Both: whether the layers look at the clock whenever they are polled, instead of waiting for the timer (late by its
    /// [window](crate::Config::timer_window)). For protocols whose libraries arm a timer of their own from the same header,
    /// and would say something else if theirs came first. False by default.
    fn is_prompt(&self) -> bool {
        false
    }

    /// Client: an error of the service below, or of its body, on its way up. `overdue` says that the time which was
    /// written into the call's headers has passed. Unchanged by default.
    fn failure(&self, error: BoxError, overdue: bool) -> BoxError {
        let _ = overdue;
        error
    }
}

/// HTTP without anything on top: 504 after a deadline, 503 after a cancelation, 400 for a malformed header; a body that has
/// begun is cut short.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug, Default)]
pub struct Plain;

impl Answer for Plain {
    fn response(&self, cause: &Cause) -> Response<()> {
        status(match cause.error() {
            Error::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
            Error::Canceled => StatusCode::SERVICE_UNAVAILABLE,
        })
    }
}

impl<F: Fn(&Cause) -> Response<()>> Answer for F {
    fn response(&self, cause: &Cause) -> Response<()> {
        self(cause)
    }
}

fn status(status: StatusCode) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = status;
    response
}

/// The cause of a request's end whose response was dropped before it was through: mostly because the client is gone.
///
/// ```
/// use ripcord::{Cause, Context};
/// use ripcord::tower::Gone;
///
/// fn line(request: &Context) -> &'static str {
///     match request.cause() {
///         Some(cause) if cause.downcast_ref::<Gone>().is_some() => "499 client gone",
///         Some(cause) if cause.error().is_timeout() => "504",
///         _ => "..",
///     }
/// }
/// # let (ctx, handle) = Context::background().with_cancel();
/// # handle.cancel_cause(Cause::new(Gone));
/// # assert_eq!(line(&ctx), "499 client gone");
/// ```
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub struct Gone;

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the response was dropped before its end")
    }
}

impl StdError for Gone {}
