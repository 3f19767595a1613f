//! A request, held until its response body ends.
//!
//! The deadline of a request is about all of it. So its context goes on with the body: when it ends, the body ends
//! there - an error, which makes hyper close the connection, so that the client sees that something is missing - and
//! the upstream is dropped. The latter does not wait for the client to read: see [`Lease`](crate::pool::Lease).

use crate::args::Limits;
use crate::cause::{self, Why};
use crate::ledger::Kind;
use crate::pool::Lease;
use crate::server::Client;
use http_body_util::{Either, Full};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode, Version};
use ripcord::{CancelHandle, Context, DoneOwned};
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll, ready};
use std::time::{Duration, Instant};

/// What a client is sent: the upstream's words, or the proxy's own.
pub(crate) type Answer = Either<Held, Full<Bytes>>;

/// The number of a request, as a value of its context.
#[derive(Copy, Clone, Debug)]
pub(crate) struct RequestId(pub(crate) u64);

/// How a request ended.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) id: u64,
    /// Method and path.
    pub(crate) request: String,
    /// None: it ended before there was anything to tell the client.
    pub(crate) status: Option<StatusCode>,
    /// Why it did not end well.
    pub(crate) cause: Option<String>,
    pub(crate) attempts: usize,
    pub(crate) took: Duration,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status.as_ref().map_or("unanswered", StatusCode::as_str);
        let Ended { id, request, attempts, took, .. } = self;
        write!(f, "request {id}, {request}: {status} after {took:.1?} and {attempts} attempt(s)")
    }
}

/// Who is told how each request ended.
pub(crate) type Journal = Arc<dyn Fn(&Ended) + Send + Sync>;

/// A request under way. Its drop is its end.
pub(crate) struct Exchange {
    pub(crate) ctx: Context,
    handle: CancelHandle,
    /// The client's connection: its deadline for the next request starts when this one has ended.
    connection: CancelHandle,
    idle: Duration,
    started: Instant,
    complete: bool,
    pub(crate) ended: Ended,
    journal: Journal,
}

impl Exchange {
    pub(crate) fn begin(client: &Client, limits: &Limits, id: u64, request: String, journal: Journal) -> Exchange {
        let parent = client.ledger.enter(&client.ctx, Kind::Request).with_value(RequestId(id));
        let (ctx, handle) = parent.with_timeout_cause(limits.timeout, Why::RequestDeadline(limits.timeout));
        // Idle is a client that neither asks nor reads its answer: beyond the end of this request.
        client.idle.reset_timeout(limits.timeout.saturating_add(limits.idle));
        let ended = Ended { id, request, status: None, cause: None, attempts: 0, took: Duration::ZERO };
        Exchange {
            ctx,
            handle,
            connection: client.idle.clone(),
            idle: limits.idle,
            started: Instant::now(),
            complete: false,
            ended,
            journal,
        }
    }

    /// Answers for the upstream.
    pub(crate) fn refuse(mut self, status: StatusCode, why: &str) -> Response<Answer> {
        self.ended.status = Some(status);
        self.ended.cause = Some(why.to_owned());
        let mut response = Response::new(Either::Right(Full::from(format!("{status}: {why}\n"))));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        response
    }

    /// Passes the upstream's answer on.
    pub(crate) fn stream(mut self, response: Response<Incoming>, lease: Lease) -> Response<Answer> {
        self.ended.status = Some(response.status());
        let (mut head, body) = response.into_parts();
        head.version = Version::HTTP_11;
        head.extensions.clear();
        let done = self.ctx.clone().into_done();
        let mut held = Held { body, done, exchange: self, lease: Some(lease) };
        if held.body.is_end_stream() {
            held.complete();
        }
        Response::from_parts(head, Either::Left(held))
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.complete && self.ended.cause.is_none() {
            // Dropped half way by hyper, which drops what it was asked to do when it finds the client gone. If the
            // context has ended for another reason by now, that one stands.
            self.handle.cancel_cause(Why::ClientGone);
            self.ended.cause = self.ctx.cause().map(|cause| cause.to_string());
        }
        self.connection.reset_timeout(self.idle);
        self.ended.took = self.started.elapsed();
        (self.journal)(&self.ended);
    }
}

/// A response body that is polled only when the client takes more, and that holds its request until it ends.
pub(crate) struct Held {
    body: Incoming,
    done: DoneOwned,
    exchange: Exchange,
    /// None once the body has ended, either way.
    lease: Option<Lease>,
}

impl Held {
    fn complete(&mut self) {
        if let Some(lease) = self.lease.take() {
            self.exchange.complete = true;
            lease.give_back();
        }
    }

    /// Ends the body here.
    fn cut(&mut self, upstream: Option<hyper::Error>) -> io::Error {
        self.lease = None;
        let why = match (self.exchange.ctx.cause(), upstream) {
            (Some(cause), _) => cause.to_string(),
            (None, Some(error)) => format!("the upstream broke off: {}", cause::chain(&error)),
            (None, None) => "the body ended".to_owned(),
        };
        self.exchange.ended.cause = Some(why.clone());
        io::Error::other(why)
    }
}

impl Body for Held {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let held = self.get_mut();
        if held.lease.is_some() && Pin::new(&mut held.done).poll(task).is_ready() {
            return Poll::Ready(Some(Err(held.cut(None))));
        }
        let frame = match ready!(Pin::new(&mut held.body).poll_frame(task)) {
            Some(Err(error)) => Some(Err(held.cut(Some(error)))),
            Some(Ok(frame)) => Some(Ok(frame)),
            None => None,
        };
        if frame.is_none() || held.body.is_end_stream() {
            held.complete();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
