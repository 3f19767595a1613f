//! A request and its attempts.
//!
//! ```text
//! request   |--------------------------------------------- timeout ---|
//! attempt 1 |------------------ attempt timeout ---|
//!                 lost before a response head
//!                   pause
//! attempt 2           |------------------ attempt timeout ---|        never past the request's own deadline
//! ```
//!
//! A further attempt is made when sending the request twice can do no harm: nothing of it had been sent (the connect
//! failed, or a pooled connection turned out to be closed), or it is idempotent, has no body, and the connection broke
//! before a response head; when the time that is left permits it; and when the retry budget does. An attempt that runs
//! out of time is not repeated: the upstream is there, and slow. Hedging is for that: a second attempt while the first
//! is under way, and the one that answers first wins.

use crate::args::Limits;
use crate::cause::{self, Kind as End};
use crate::counters::Counters;
use crate::exchange::{Answer, Exchange, Journal, RequestId};
use crate::headers::{self, Outgoing};
use crate::ledger::{Kind, Ledger};
use crate::pool::{Lease, Pool, Reply, Unanswered};
use crate::server::Client;
use crate::timeouts;
use crate::upstream::Upstream;
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use ripcord::budget::{self, Backoff, Hedge, RetryBudget};
use ripcord::shutdown::Shutdown;
use ripcord::{Cause, Context};
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Pauses between attempts, and what an attempt needs to have any chance.
const PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
const NEED: Duration = Duration::from_millis(1);

/// What all connections share.
pub(crate) struct Proxy {
    pub(crate) upstream: Upstream,
    pub(crate) limits: Limits,
    pub(crate) pool: Arc<Pool>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) shutdown: Shutdown,
    retries: RetryBudget,
    hedge: Option<Hedge>,
    journal: Journal,
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

type Head = (Response<Reply>, Lease);

impl Proxy {
    pub(crate) fn new(
        upstream: Upstream,
        limits: Limits,
        ledger: Arc<Ledger>,
        shutdown: Shutdown,
        journal: Journal,
    ) -> Arc<Proxy> {
        let counters = Arc::new(Counters::default());
        // Its connections end with the shutdown: nobody holds a guard for them.
        let root = shutdown.until(ripcord::shutdown::Stage::Abort);
        let pool = Pool::new(root, Arc::clone(&ledger), Arc::clone(&counters));
        let retries = RetryBudget::new(limits.retry_ratio, limits.retry_floor);
        let hedge = limits.hedge.map(|after| Hedge::after(after).need(NEED).budget(&retries));
        Arc::new(Proxy { upstream, limits, pool, ledger, counters, shutdown, retries, hedge, journal })
    }

    /// What hyper calls for each request. Dropping the future - hyper does when the client closes, or resets the stream -
    /// drops the request and everything below it.
    pub(crate) async fn answer(
        self: Arc<Self>,
        client: Arc<Client>,
        request: Request<Incoming>,
    ) -> Result<Response<Answer>, Infallible> {
        let mut exchange = Exchange::begin(&client, &self.limits, &self.counters, &self.journal, &request);
        if *request.method() == Method::CONNECT {
            return Ok(exchange.refuse(StatusCode::NOT_IMPLEMENTED, End::Other, "this proxy does not tunnel"));
        }
        let mut request = headers::outgoing(request, client.peer.ip(), &self.upstream.authority);
        if let Some(RequestId(id)) = exchange.ctx.value() {
            request.headers_mut().insert(headers::REQUEST_ID, (*id).into());
        }
        Ok(match self.forward(&mut exchange, request).await {
            Ok((response, lease)) => exchange.stream(response, lease),
            Err(failure) => failure.answer(exchange),
        })
    }

    /// As many attempts as it takes, and can be made.
    async fn forward(&self, exchange: &mut Exchange, request: Request<Outgoing>) -> Result<Head, Failure> {
        let spare = headers::repeatable(&request);
        if let (Some(hedge), Some(spare)) = (&self.hedge, &spare) {
            return self.hedged(hedge, exchange, spare).await;
        }
        self.retries.deposit();
        let mut backoff = Backoff::new(PAUSE, LONGEST_PAUSE);
        let (mut request, mut fresh) = (request, false);
        loop {
            exchange.ended.attempts += 1;
            let (attempt, _) = self.ledger.enter(&exchange.ctx, Kind::Attempt).attempt(exchange.per_try);
            let failure = match self.attempt(&exchange.ctx, &attempt, request, fresh).await {
                Ok(head) => return Ok(head),
                Err(failure) => failure,
            };
            let hopeless = match &failure {
                Failure::Connect(..) | Failure::Stale(..) => false,
                Failure::Lost(error) => spare.is_none() || error.is_parse(),
                Failure::Ended(_) | Failure::Upload => true,
            };
            // A connection that was closed while it rested says nothing about the upstream.
            let stale = matches!(failure, Failure::Stale(..)) && !fresh;
            if hopeless || !stale && !self.again(exchange, &mut backoff).await {
                return Err(failure);
            }
            (request, fresh) = match (failure, &spare) {
                (Failure::Connect(_, request) | Failure::Stale(_, request), _) => (*request, true),
                (failure, spare) => match spare.as_ref().and_then(headers::repeatable) {
                    Some(again) => (again, true),
                    None => return Err(failure),
                },
            };
        }
    }

    /// Whether there may be a further attempt, after a pause.
    async fn again(&self, exchange: &Exchange, backoff: &mut Backoff) -> bool {
        if exchange.ended.attempts >= self.limits.tries {
            return false;
        }
        if !self.retries.withdraw() {
            self.counters.unaffordable.fetch_add(1, Relaxed);
            return false;
        }
        let paused = backoff.pause(&exchange.ctx, NEED).await.is_ok();
        self.counters.retries.fetch_add(u64::from(paused), Relaxed);
        paused
    }

    /// Attempts side by side. The one that loses is dropped, and its connection with it.
    async fn hedged(&self, hedge: &Hedge, exchange: &mut Exchange, spare: &Request<Outgoing>) -> Result<Head, Failure> {
        let ctx = self.ledger.enter(&exchange.ctx, Kind::Attempt);
        let (attempts, whole) = (&mut exchange.ended.attempts, &exchange.ctx);
        let hedge = hedge.clone().per_try(exchange.per_try);
        let head = hedge.run(&ctx, |attempt, number| {
            *attempts = number;
            self.counters.hedges.fetch_add(u64::from(number > 1), Relaxed);
            let request = headers::repeatable(spare).expect("a copy of a repeatable request is one");
            async move { self.attempt(whole, &attempt, request, false).await }
        });
        head.await.map_err(|failure| match failure {
            budget::Failure::Ended(cause) => Failure::Ended(cause),
            budget::Failure::Failed(failure) => failure,
        })
    }

    /// Gets a response head within the attempt's deadline. The body is the request's affair.
    async fn attempt(
        &self,
        whole: &Context,
        ctx: &Context,
        mut request: Request<Outgoing>,
        fresh: bool,
    ) -> Result<Head, Failure> {
        // The end of a context outranks the errors that it brings about.
        let ended = || ctx.cause().map(Failure::Ended);
        timeouts::tell(request.headers_mut(), ctx.remaining());
        // What has to end with the request is borrowed in its name; the attempt only limits the waiting.
        let mut lease = match ctx.run(self.pool.lend(whole, &self.upstream, fresh)).await {
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

impl Failure {
    /// What the client is told.
    fn answer(self, exchange: Exchange) -> Response<Answer> {
        let (status, kind, why) = match self {
            Failure::Ended(cause) => return exchange.cut_short(&cause),
            Failure::Connect(error, _) => (
                StatusCode::BAD_GATEWAY,
                End::Upstream,
                format!("no connection to the upstream: {}", cause::chain(&error)),
            ),
            Failure::Upload => (StatusCode::BAD_REQUEST, End::Other, "the body of the request broke off".to_owned()),
            Failure::Stale(error, _) | Failure::Lost(error) => {
                (StatusCode::BAD_GATEWAY, End::Upstream, format!("the upstream broke off: {}", cause::chain(&error)))
            }
        };
        exchange.refuse(status, kind, &why)
    }
}
