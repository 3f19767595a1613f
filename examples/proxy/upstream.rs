//! The two protocols to the upstream behind one face: sending a request, and a response body that can be let go of.

use crate::headers::{self, Outgoing};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response, Uri};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as Task, Poll};

/// Where requests go.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Upstream {
    /// Host and port.
    pub(crate) authority: String,
    /// HTTP/2 without TLS, by prior knowledge.
    pub(crate) h2: bool,
}

/// The sending half of a connection.
pub(crate) enum Sender {
    H1(http1::SendRequest<Outgoing>),
    H2(http2::SendRequest<Outgoing>),
}

/// A request that got no answer, and the request itself if nothing of it was sent.
pub(crate) struct Unanswered {
    pub(crate) error: hyper::Error,
    pub(crate) request: Option<Request<Outgoing>>,
}

impl Sender {
    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Sender::H1(sender) => sender.is_closed(),
            Sender::H2(sender) => sender.is_closed(),
        }
    }

    /// The response head.
    pub(crate) async fn send(&mut self, request: Request<Outgoing>) -> Result<Response<Incoming>, Unanswered> {
        let failed = match self {
            Sender::H1(sender) => match sender.ready().await {
                Err(error) => return Err(Unanswered { error, request: Some(request) }),
                Ok(()) => sender.try_send_request(headers::as_http1(request)).await,
            },
            Sender::H2(sender) => match sender.ready().await {
                Err(error) => return Err(Unanswered { error, request: Some(request) }),
                Ok(()) => sender.try_send_request(headers::as_http2(request)).await,
            },
        };
        failed.map_err(|mut failed| {
            let request = failed.take_message();
            Unanswered { error: failed.into_error(), request }
        })
    }
}

/// A body that its reader shares with whoever may have to drop it.
pub(crate) type Slot = Arc<Mutex<Seat>>;

#[derive(Default)]
pub(crate) struct Seat {
    body: Option<Incoming>,
    closed: bool,
}

impl Seat {
    /// What comes too late is handed back, to be dropped where no lock is held.
    pub(crate) fn put(&mut self, body: Incoming) -> Option<Incoming> {
        if self.closed { Some(body) } else { self.body.replace(body) }
    }

    pub(crate) fn close(&mut self) -> Option<Incoming> {
        self.closed = true;
        self.body.take()
    }
}

/// A response body. That of HTTP/1 ends with its connection; a stream of HTTP/2 ends only when its body is dropped,
/// which must not wait for a client that does not read.
pub(crate) enum Reply {
    Own(Incoming),
    Shared(Slot),
}

pub(crate) fn lock(slot: &Slot) -> MutexGuard<'_, Seat> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reply {
    /// The next part; none at the end, and when the body was taken away.
    pub(crate) fn poll_frame(&mut self, task: &mut Task<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self {
            Reply::Own(body) => Pin::new(body).poll_frame(task),
            Reply::Shared(slot) => match &mut lock(slot).body {
                Some(body) => Pin::new(body).poll_frame(task),
                None => Poll::Ready(None),
            },
        }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        match self {
            Reply::Own(body) => body.is_end_stream(),
            Reply::Shared(slot) => lock(slot).body.as_ref().is_some_and(Incoming::is_end_stream),
        }
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match self {
            Reply::Own(body) => body.size_hint(),
            Reply::Shared(slot) => lock(slot).body.as_ref().map_or_else(SizeHint::default, Incoming::size_hint),
        }
    }
}

/// The target of a request as HTTP/2 wants it: with scheme and authority.
pub(crate) fn absolute(uri: &Uri, authority: &str) -> Option<Uri> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Uri::builder().scheme("http").authority(authority).path_and_query(path).build().ok()
}
