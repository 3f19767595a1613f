//! The proxy: where in pingora's phases the request's context is asked, and told.

use crate::bounded::hand_out;
use crate::cause::{GONE, Why, client_gone, fault, status};
use crate::record::Log;
use crate::request::{Request, over};
use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, StatusCode, header};
use pingora_core::protocols::{ALPN, Digest};
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorSource, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, Session};
use ripcord::budget::RetryBudget;
use ripcord::http::{Header, Policy};
use ripcord::shutdown::{Shutdown, Stage, Tracker};
use ripcord::{Context, Error as Kind};
use std::fmt;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::time::Duration;

/// What an operator decides.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the contexts are called where they are listed.
    pub name: &'static str,
    /// Asked in turn, one for each try.
    pub upstreams: Vec<SocketAddr>,
    /// Whether they speak HTTP/2, without TLS.
    pub http2: bool,
    /// For the whole request, body included. A client may ask for less.
    pub budget: Duration,
    /// For connecting, writing and the head of the response. Over HTTP/2 it is for connecting only.
    pub per_try: Duration,
    /// With less than this left no try is made.
    pub need: Duration,
    /// At most so many.
    pub tries: u32,
}

/// The proxy.
pub struct Proxy {
    settings: Settings,
    policy: Policy,
    parent: Context,
    requests: Tracker,
    retries: RetryBudget,
    log: Log,
}

impl Proxy {
    /// Its requests are canceled by this shutdown, which waits for them.
    ///
    /// # Panics
    ///
    /// Without an upstream.
    #[must_use]
    pub fn new(settings: Settings, shutdown: &Shutdown, log: Log) -> Proxy {
        assert!(!settings.upstreams.is_empty(), "a proxy to nowhere");
        Proxy {
            policy: Policy::untrusted().budget(settings.budget),
            parent: shutdown.until(Stage::Cancel).with_name(settings.name),
            requests: shutdown.tracker("request"),
            retries: RetryBudget::new(0.2, 10),
            settings,
            log,
        }
    }

    /// Whether another try is allowed, and takes it out of the budget for retries.
    fn again(&self, request: &Request) -> bool {
        request.tries() < self.settings.tries
            && request.context().permits(self.settings.need)
            && self.retries.withdraw()
    }
}

/// Whether pingora takes a response for complete with its head; it does not say so in `upstream_response_filter`.
fn is_whole(method: &Method, response: &ResponseHeader) -> bool {
    let empty = || response.headers.get(header::CONTENT_LENGTH).is_some_and(|length| length.as_bytes() == b"0");
    matches!(response.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) || method == Method::HEAD || empty()
}

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = Request;

    fn new_ctx(&self) -> Request {
        let request = Request::new(&self.parent, self.settings.budget, self.requests.guard(), self.log.clone());
        hand_out(request.context());
        request
    }

    /// The first look at the head. Everything from here on is on the request's time.
    async fn early_request_filter(&self, session: &mut Session, request: &mut Request) -> Result<()> {
        let head = session.req_header();
        let budget = self.policy.read(&head.headers).budget.unwrap_or(self.settings.budget);
        request.grant(format!("{} {}", head.method, head.uri.path()), budget);
        request.check()?;
        self.retries.deposit();
        // For each read and each write: they begin anew with every byte. What ends the request as a whole is its context.
        let left = request.left();
        session.set_read_timeout(Some(left));
        session.set_write_timeout(Some(left));
        Ok(())
    }

    /// Once for each try.
    async fn upstream_peer(&self, _: &mut Session, request: &mut Request) -> Result<Box<HttpPeer>> {
        request.check()?;
        if !request.context().permits(self.settings.need) {
            return Err(request.too_little().await);
        }
        let address = self.settings.upstreams[request.tries() as usize % self.settings.upstreams.len()];
        let whole = request.left();
        let this = request.attempt(self.settings.per_try).context().remaining().unwrap_or(whole);
        let mut peer = HttpPeer::new(address, false, String::new());
        // While it connects pingora looks at nothing else: not at the client, not at us.
        peer.options.connection_timeout = Some(this);
        peer.options.total_connection_timeout = Some(this);
        peer.options.read_timeout = Some(whole);
        peer.options.write_timeout = Some(whole);
        if self.settings.http2 {
            peer.options.set_http_version(2, 2);
            peer.options.max_h2_streams = 100;
        }
        Ok(Box::new(peer))
    }

    fn fail_to_connect(&self, _: &mut Session, _: &HttpPeer, request: &mut Request, mut e: Box<Error>) -> Box<Error> {
        e.set_retry(self.again(request));
        e
    }

    async fn connected_to_upstream(
        &self,
        _: &mut Session,
        _reused: bool,
        peer: &HttpPeer,
        connection: RawFd,
        _: Option<&Digest>,
        request: &mut Request,
    ) -> Result<()> {
        // An HTTP/2 connection is not this request's alone; `Bounded` resets its stream.
        if let (Some(attempt), ALPN::H1) = (request.current(), &peer.options.alpn) {
            attempt.tie(connection);
        }
        request.check()
    }

    /// What remains by now goes along, rounded down: nobody below works longer than we wait.
    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        upstream: &mut RequestHeader,
        request: &mut Request,
    ) -> Result<()> {
        for header in Header::ALL {
            upstream.remove_header(header.name());
        }
        for header in [Header::GrpcTimeout, Header::EnvoyExpected] {
            let Some(left) = header.encode(request.left()) else {
                return Err(request.too_little().await);
            };
            upstream.insert_header(header.name().as_str(), left.as_str())?;
        }
        Ok(())
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        request: &mut Request,
    ) -> Result<()> {
        if response.status.is_informational() && response.status != StatusCode::SWITCHING_PROTOCOLS {
            return request.check();
        }
        if let Some(attempt) = request.current() {
            let whole = is_whole(&session.req_header().method, response);
            if !attempt.head_came() || whole && !attempt.let_go() {
                let cause = attempt.context().cause();
                return Err(over(&cause.unwrap_or(Kind::DeadlineExceeded.into())));
            }
        }
        Ok(())
    }

    /// Tells an end of ours from the origin's: a body without a length ends with its connection, and if we hung that up,
    /// the client must not take what came for the whole.
    ///
    /// What drips is not cut here. The hang-up is pingora's next event, and that error makes it send what it still holds
    /// back; an error from a filter does not, and the client of a short body would be left without even its head.
    fn upstream_response_body_filter(
        &self,
        _: &mut Session,
        _: &mut Option<Bytes>,
        end_of_stream: bool,
        request: &mut Request,
    ) -> Result<Option<Duration>> {
        let goes_on = match request.current() {
            Some(attempt) if attempt.is_tied() => !end_of_stream || attempt.let_go(),
            _ => false,
        };
        if !goes_on {
            request.check()?;
        }
        Ok(None)
    }

    /// An exchange failed. Who hangs up because a try took too long tries again, as after any other failure without a head.
    fn error_while_proxy(
        &self,
        peer: &HttpPeer,
        session: &mut Session,
        e: Box<Error>,
        request: &mut Request,
        reused: bool,
    ) -> Box<Error> {
        let took_too_long = request.attempt_over();
        let mut e = match &took_too_long {
            Some(cause) => over(cause).into_up(),
            None => e.more_context(format!("Peer: {peer}")),
        };
        // A connection that was closed while it rested costs no retry.
        e.retry.decide_reuse(reused);
        let safe = session.req_header().method.is_idempotent()
            && !session.as_ref().retry_buffer_truncated()
            && session.response_written().is_none();
        let upstream = matches!(e.esource(), ErrorSource::Upstream);
        let retry = safe && !request.context().is_done() && (e.retry() || upstream && self.again(request));
        e.set_retry(retry);
        e
    }

    async fn fail_to_proxy(&self, session: &mut Session, e: &Error, request: &mut Request) -> FailToProxy {
        if client_gone(e) {
            request.end(Why::ClientGone);
        } else {
            request.settle().await;
        }
        // Whatever pingora met with: if the context has ended, that is why.
        let code = request.context().cause().map_or_else(|| fault(e), |cause| status(&cause));
        if code != GONE {
            // Does nothing if a head was sent already; an error means that the client has gone now.
            let _ = session.respond_error(code).await;
        }
        FailToProxy { error_code: code, can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, e: Option<&Error>, request: &mut Request) {
        let status = session.response_written().map(|response| response.status.as_u16());
        request.logged(status, session.body_bytes_sent(), e);
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("settings", &self.settings)
            .field("requests", &self.requests)
            .finish_non_exhaustive()
    }
}
