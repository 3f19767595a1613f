//! The tower layers, speaking gRPC.

use crate::bridge::http::Malformed;
use crate::bridge::tower::{Answer, BoxError, ContextLayer, DeadlineLayer};
use crate::cause::Cause;
use crate::context::Context;
use crate::error::Error;
use ::http::{HeaderMap, Response};
use ::tonic::{Code, Status};
use std::sync::Arc;

/// Ends told as gRPC statuses: `grpc-status` in a response without a body, or in the trailers of a body that has begun; on
/// the client, errors that tonic takes for what they are.
///
/// tonic arms timers of its own from the same `grpc-timeout`, on both sides, and calls their expiry `CANCELLED`. So these
/// answers are [prompt](Answer::is_prompt): whoever polls after the deadline gets `DEADLINE_EXCEEDED`, whichever timer it
/// was that woke him.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug, Default)]
pub struct Grpc;

impl Answer for Grpc {
    fn response(&self, cause: &Cause) -> Response<()> {
        Status::from(cause.error()).into_http()
    }

    fn trailers(&self, cause: &Cause) -> Option<HeaderMap> {
        let mut trailers = HeaderMap::new();
        // Fails for messages that no header can carry; these two can be.
        Status::from(cause.error()).add_header(&mut trailers).ok()?;
        Some(trailers)
    }

    /// `INVALID_ARGUMENT`, naming the header.
    fn refusal(&self, malformed: &Malformed) -> Response<()> {
        Status::invalid_argument(malformed.to_string()).into_http()
    }

    fn error(&self, cause: Cause) -> BoxError {
        Box::new(Status::from(cause))
    }

    fn is_prompt(&self) -> bool {
        true
    }

    fn failure(&self, error: BoxError, overdue: bool) -> BoxError {
        if !overdue {
            return error;
        }
        // tonic's own timer, set from the header that was written here.
        match Status::try_from_error(error) {
            Ok(status) if status.code() == Code::Cancelled => {
                let mut ours = Status::from(Error::DeadlineExceeded);
                ours.set_source(Arc::new(status));
                Box::new(ours)
            }
            Ok(status) => Box::new(status),
            Err(error) => error,
        }
    }
}

/// The server's layer: [`ContextLayer`] with answers in gRPC.
///
/// ```
/// use ripcord::Context;
/// use ripcord::http::{Header, Policy};
/// use std::time::Duration;
///
/// let (server, shutdown) = Context::background().with_cancel();
/// let layer = ripcord::tonic::context_layer(server)
///     .policy(Policy::untrusted().headers(&[Header::GrpcTimeout]).budget(Duration::from_secs(30)));
/// // tonic::transport::Server::builder().layer(layer)
/// # drop((layer, shutdown));
/// ```
#[must_use]
pub fn context_layer(root: Context) -> ContextLayer<Grpc> {
    ContextLayer::new(root).answer(Grpc)
}

/// The client's layer: [`DeadlineLayer`] with errors in gRPC, around a `tonic::transport::Channel`.
#[must_use]
pub fn deadline_layer() -> DeadlineLayer<Grpc> {
    DeadlineLayer::new().answer(Grpc)
}
