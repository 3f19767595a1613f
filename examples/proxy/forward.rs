//! A request and its attempts.
//!
//! ```text
//! request   |--------------------------------------------- timeout ---|
//! attempt 1 |------------------ attempt timeout ---|
//!                 lost before a response head
//! attempt 2       |------------------ attempt timeout ---|            never past the request's own deadline
//! ```
//!
//! A second attempt is made when sending the request twice can do no harm: nothing of it had been sent (the connect
//! failed, or a pooled connection turned out to be closed), or it is idempotent, has no body, and the connection broke
//! before a response head. An attempt that runs out of time is not repeated: the upstream is there, and slow.

use crate::args::Limits;
use crate::cause::{self, Why};
use crate::exchange::{Answer, Exchange, Journal, RequestId};
use crate::headers::{self, Outgoing};
use crate::ledger::{Kind, Ledger};
use crate::pool::{Lease, Pool, Unanswered};
use crate::server::Client;
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use ripcord::{Cause, Context};
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What all connections share.
pub(crate) struct Proxy {
    /// Host and port.
    upstream: String,
    pub(crate) limits: Limits,
    pub(crate) pool: Arc<Pool>,
    pub(crate) ledger: Arc<Ledger>,
    journal: Journal,
    requests: AtomicU64,
}

/// Why there is no response head.
enum Failure {
    /// A context ended: the attempt's, the request's or one above.
    Ended(Cause),
    /// No connection. The request has not been touched.
    Connect(io::Error, Box<Request<Outgoing>>),
    /// A connection, but it was closed before anything was sent.
    Stale(hyper::Error, Box<Request<Outgoing>>),
    /// Sent, and no answer.
    Lost(hyper::Error),
    /// The client did not send what it had announced.
    Upload,
}

impl Proxy {
    pub(crate) fn new(upstream: String, limits: Limits, ledger: Arc<Ledger>, journal: Journal) -> Arc<Proxy> {
        let pool = Pool::new(Arc::clone(&ledger));
        Arc::new(Proxy { upstream, limits, pool, ledger, journal, requests: AtomicU64::new(1) })
    }

    /// What hyper calls for each request. Dropping the future - hyper does when the client closes - drops the request
    /// and everything below it.
    pub(crate) async fn answer(
        &self,
        client: &Client,
        request: Request<Incoming>,
    ) -> Result<Response<Answer>, Infallible> {
        let id = self.requests.fetch_add(1, Relaxed);
        let what = format!("{} {}", request.method(), request.uri());
        let mut exchange = Exchange::begin(client, &self.limits, id, what, Arc::clone(&self.journal));
        if *request.method() == Method::CONNECT {
            return Ok(exchange.refuse(StatusCode::NOT_IMPLEMENTED, "this proxy does not tunnel"));
        }
        let request = headers::outgoing(request, client.peer.ip(), &self.upstream);
        Ok(match self.forward(&mut exchange, request).await {
            Ok((response, lease)) => exchange.stream(response, lease),
            Err(Failure::Ended(cause)) => exchange.refuse(cause::status(&cause), &cause.to_string()),
            Err(Failure::Connect(error, _)) => exchange
                .refuse(StatusCode::BAD_GATEWAY, &format!("no connection to the upstream: {}", cause::chain(&error))),
            Err(Failure::Upload) => exchange.refuse(StatusCode::BAD_REQUEST, "the body of the request broke off"),
            Err(Failure::Stale(error, _) | Failure::Lost(error)) => {
                exchange.refuse(StatusCode::BAD_GATEWAY, &format!("the upstream broke off: {}", cause::chain(&error)))
            }
        })
    }

    /// One attempt, and another if that can do no harm.
    async fn forward(
        &self,
        exchange: &mut Exchange,
        request: Request<Outgoing>,
    ) -> Result<(Response<Incoming>, Lease), Failure> {
        let spare = headers::repeatable(&request);
        exchange.ended.attempts = 1;
        let again = match self.attempt(&exchange.ctx, request, false).await {
            Err(Failure::Connect(_, request) | Failure::Stale(_, request)) => *request,
            Err(Failure::Lost(error)) => match spare {
                Some(request) if !error.is_parse() => request,
                _ => return Err(Failure::Lost(error)),
            },
            settled => return settled,
        };
        exchange.ended.attempts = 2;
        self.attempt(&exchange.ctx, again, true).await
    }

    /// Gets a response head within the attempt's deadline. The body is the request's affair.
    async fn attempt(
        &self,
        request_ctx: &Context,
        mut request: Request<Outgoing>,
        fresh: bool,
    ) -> Result<(Response<Incoming>, Lease), Failure> {
        let limit = self.limits.attempt;
        let parent = self.ledger.enter(request_ctx, Kind::Attempt);
        let (ctx, _) = parent.with_timeout_cause(limit, Why::AttemptDeadline(limit));
        // The end of a context outranks the errors that it brings about.
        let ended = || ctx.cause().map(Failure::Ended);

        if let Some(RequestId(id)) = ctx.value() {
            request.headers_mut().insert(headers::REQUEST_ID, (*id).into());
        }
        // What has to end with the request is borrowed in its name; the attempt only limits the waiting.
        let mut lease = match ctx.run(self.pool.lend(request_ctx, &self.upstream, fresh)).await {
            Ok(Ok(lease)) => lease,
            Ok(Err(error)) => return Err(ended().unwrap_or(Failure::Connect(error, Box::new(request)))),
            Err(error) => return Err(ended().unwrap_or(Failure::Ended(error.into()))),
        };
        match ctx.run(lease.send(request)).await {
            Ok(Ok(mut response)) => {
                headers::strip(response.headers_mut());
                Ok((response, lease))
            }
            Ok(Err(Unanswered { error, request })) => Err(ended().unwrap_or(match request {
                Some(request) => Failure::Stale(error, Box::new(request)),
                None if error.is_user() => Failure::Upload,
                None => Failure::Lost(error),
            })),
            Err(error) => Err(ended().unwrap_or(Failure::Ended(error.into()))),
        }
    }
}
