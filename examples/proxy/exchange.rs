//! A request, held until its response body ends.
//!
//! The deadline of a request is about all of it. So its context goes on with the body: when it ends, the body ends
//! there - an error, which makes hyper close the connection or reset the stream, so that the client sees that something
//! is missing - and the upstream is dropped. Neither waits for the client to read: see [`Lease`](crate::pool::Lease) and
//! [`Writing`].

use crate::args::Limits;
use crate::cause::{self, Kind as End, Why};
use crate::counters::Counters;
use crate::headers;
use crate::ledger::Kind;
use crate::pace::Pace;
use crate::pool::{Lease, Reply};
use crate::server::Client;
use crate::timeouts;
use crate::unread::{self, Writing};
use http_body_util::{Either, Full};
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode, Version};
use ripcord::{CancelHandle, Cause, Context, DoneOwned};
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context as Task, Poll, ready};
use std::time::{Duration, Instant};

/// What a client is sent: the upstream's words, or the proxy's own.
pub(crate) type Answer = Either<Held, Full<Bytes>>;

/// The number of a request, as a value of its context.
#[derive(Copy, Clone, Debug)]
pub(crate) struct RequestId(pub(crate) u64);

/// How a request ended: a line of the access log.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) id: u64,
    pub(crate) peer: SocketAddr,
    pub(crate) version: Version,
    /// Method and path.
    pub(crate) request: String,
    /// None: it ended before there was anything to tell the client.
    pub(crate) status: Option<StatusCode>,
    /// Why it did not end well.
    pub(crate) cause: Option<String>,
    pub(crate) kind: End,
    pub(crate) attempts: u32,
    /// Of the response body.
    pub(crate) bytes: u64,
    pub(crate) took: Duration,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ended { id, peer, version, request, status, cause, attempts, bytes, took, .. } = self;
        let status = status.as_ref().map_or("unanswered", StatusCode::as_str);
        write!(
            f,
            "{peer} {version:?} request {id} {request}: {status}, {bytes} bytes in {took:.1?}, {attempts} attempt(s)"
        )?;
        cause.as_ref().map_or(Ok(()), |cause| write!(f, ": {cause}"))
    }
}

/// Who is told how each request ended.
pub(crate) type Journal = Arc<dyn Fn(&Ended) + Send + Sync>;

/// A request under way. Its drop is its end.
pub(crate) struct Exchange {
    pub(crate) ctx: Context,
    handle: CancelHandle,
    /// The client's connection: its idle time begins when its last request has ended.
    connection: Arc<Pace>,
    writing: Arc<Writing>,
    /// What one attempt may take.
    pub(crate) per_try: Duration,
    grpc: bool,
    started: Instant,
    complete: bool,
    pub(crate) ended: Ended,
    counters: Arc<Counters>,
    journal: Journal,
}

impl Exchange {
    pub(crate) fn begin<B>(
        client: &Client,
        limits: &Limits,
        counters: &Arc<Counters>,
        journal: &Journal,
        request: &Request<B>,
    ) -> Exchange {
        // One look at the clock for all that begins here.
        let started = Instant::now();
        client.pace.begin(started);
        let id = counters.requests.fetch_add(1, Relaxed) + 1;
        let asked = timeouts::asked(request.headers());
        let timeout = asked.total.map_or(limits.timeout, |asked| asked.min(limits.timeout));
        let per_try = asked.per_try.map_or(limits.attempt, |asked| asked.min(limits.attempt));
        let parent = client.ledger.enter(&client.ctx, Kind::Request).with_value(RequestId(id));
        let cause = Why::RequestDeadline(timeout);
        let (ctx, handle) = match started.checked_add(timeout) {
            Some(at) => parent.with_deadline_cause(at, cause),
            None => parent.with_timeout_cause(timeout, cause),
        };
        let ended = Ended {
            id,
            peer: client.peer,
            version: request.version(),
            request: format!("{} {}", request.method(), headers::path_of(request.uri())),
            status: None,
            cause: None,
            kind: End::Answered,
            attempts: 0,
            bytes: 0,
            took: Duration::ZERO,
        };
        Exchange {
            ctx,
            handle,
            connection: Arc::clone(&client.pace),
            writing: unread::current(),
            per_try,
            grpc: timeouts::is_grpc(request.headers()),
            started,
            complete: false,
            ended,
            counters: Arc::clone(counters),
            journal: Arc::clone(journal),
        }
    }

    fn ends(&mut self, kind: End, why: String) {
        self.ended.kind = kind;
        self.ended.cause = Some(why);
    }

    /// Answers for the upstream: a context ended.
    pub(crate) fn cut_short(self, cause: &Cause) -> Response<Answer> {
        self.refuse(cause::status(cause), cause::kind(cause), &cause.to_string())
    }

    /// Answers for the upstream. A gRPC client reads trailers, or what stands in their place.
    pub(crate) fn refuse(mut self, status: StatusCode, kind: End, why: &str) -> Response<Answer> {
        self.ends(kind, why.to_owned());
        if self.grpc {
            return self.refuse_grpc(status, why);
        }
        self.ended.status = Some(status);
        let mut response = Response::new(Either::Right(Full::from(format!("{status}: {why}\n"))));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        response
    }

    fn refuse_grpc(mut self, status: StatusCode, why: &str) -> Response<Answer> {
        const DEADLINE_EXCEEDED: u16 = 4;
        const UNIMPLEMENTED: u16 = 12;
        const UNAVAILABLE: u16 = 14;
        let code = match status {
            StatusCode::GATEWAY_TIMEOUT => DEADLINE_EXCEEDED,
            StatusCode::NOT_IMPLEMENTED => UNIMPLEMENTED,
            _ => UNAVAILABLE,
        };
        self.ended.status = Some(StatusCode::OK);
        let mut response = Response::new(Either::Right(Full::default()));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert("grpc-status", HeaderValue::from(code));
        if let Ok(why) = HeaderValue::from_str(&why.replace('%', "%25")) {
            headers.insert("grpc-message", why);
        }
        response
    }

    /// Passes the upstream's answer on.
    pub(crate) fn stream(mut self, response: Response<Reply>, lease: Lease) -> Response<Answer> {
        self.ended.status = Some(response.status());
        let (mut head, body) = response.into_parts();
        head.version = Version::HTTP_11;
        head.extensions.clear();
        let done = self.ctx.clone().into_done();
        self.writing.begin(&self.ctx);
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
            if let Some(cause) = self.ctx.cause() {
                self.ends(cause::kind(&cause), cause.to_string());
            }
        }
        self.writing.end();
        let now = Instant::now();
        self.connection.end(now);
        self.ended.took = now - self.started;
        self.counters.add(&self.ended);
        (self.journal)(&self.ended);
    }
}

/// A response body that is polled only when the client takes more, and that holds its request until it ends.
pub(crate) struct Held {
    body: Reply,
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
        let (kind, why) = match (self.exchange.ctx.cause(), upstream) {
            (Some(cause), _) => (cause::kind(&cause), cause.to_string()),
            (None, Some(error)) => (End::Upstream, format!("the upstream broke off: {}", cause::chain(&error))),
            (None, None) => (End::Other, "the body ended".to_owned()),
        };
        self.exchange.ends(kind, why.clone());
        io::Error::other(why)
    }
}

impl Body for Held {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let held = self.get_mut();
        if held.lease.is_some() && held.exchange.ctx.is_done() {
            return Poll::Ready(Some(Err(held.cut(None))));
        }
        let Poll::Ready(frame) = held.body.poll_frame(task) else {
            // Only who has to wait listens for the end: most bodies come with their heads.
            ready!(Pin::new(&mut held.done).poll(task));
            return Poll::Ready(Some(Err(held.cut(None))));
        };
        let frame = match frame {
            Some(Err(error)) => Some(Err(held.cut(Some(error)))),
            Some(Ok(frame)) => {
                held.exchange.ended.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                Some(Ok(frame))
            }
            // The lease was ended and has let go of the body.
            None if held.exchange.ctx.is_done() && held.lease.is_some() => Some(Err(held.cut(None))),
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
