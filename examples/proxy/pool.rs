//! Connections to the upstream, lent to one request at a time.
//!
//! A connection outlives the requests that use it, so its context hangs below the pool, not below a request. While it
//! is lent, the request's end is tied to it by [`Context::after_func`], and `stop` decides: whoever gets true from it
//! knows that the request has not ended the connection and may put it back. In the pool it has a deadline, and
//! `reset_timeout` decides: true means that the deadline has not passed and no longer will.

use crate::cause::Why;
use crate::headers::Outgoing;
use crate::ledger::{Kind, Ledger};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use ripcord::{AfterFunc, CancelHandle, Context};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;

/// How long a connection is kept for the next request, and how many of them for each upstream.
const KEPT: Duration = Duration::from_secs(30);
const MOST: usize = 64;

pub(crate) struct Pool {
    root: CancelHandle,
    ledger: Arc<Ledger>,
    /// By host and port.
    resting: Mutex<HashMap<String, Vec<Line>>>,
}

/// A connection to an upstream. Its task drops the socket when its context ends.
struct Line {
    upstream: String,
    sender: SendRequest<Outgoing>,
    handle: CancelHandle,
}

/// A connection lent to a request. Dropping it closes the connection; [`give_back`](Lease::give_back) keeps it.
pub(crate) struct Lease {
    pool: Arc<Pool>,
    line: Option<Line>,
    tie: AfterFunc,
}

/// A request that got no answer, and the request itself if nothing of it was sent.
pub(crate) struct Unanswered {
    pub(crate) error: hyper::Error,
    pub(crate) request: Option<Request<Outgoing>>,
}

impl Pool {
    pub(crate) fn new(ledger: Arc<Ledger>) -> Arc<Pool> {
        let (_, root) = ledger.enter(&Context::background(), Kind::Server).with_cancel();
        Arc::new(Pool { root, ledger, resting: Mutex::default() })
    }

    /// A connection for `borrower`: a resting one, or one made for it.
    pub(crate) async fn lend(self: &Arc<Self>, borrower: &Context, upstream: &str, fresh: bool) -> io::Result<Lease> {
        let rested = if fresh { None } else { self.take(upstream) };
        let line = match rested {
            Some(line) => line,
            None => self.connect(upstream).await?,
        };
        let handle = line.handle.clone();
        let tie = borrower.after_func(move || handle.cancel_cause(Why::Abandoned));
        Ok(Lease { pool: Arc::clone(self), line: Some(line), tie })
    }

    /// Ends every connection.
    pub(crate) fn close(&self) {
        self.root.cancel_cause(Why::PoolClosed);
        let dropped = std::mem::take(&mut *self.resting());
        drop(dropped);
    }

    /// The connection used last, if its deadline has not passed and the upstream has not closed it.
    fn take(&self, upstream: &str) -> Option<Line> {
        loop {
            let line = self.resting().get_mut(upstream)?.pop()?;
            if line.handle.reset_timeout(Duration::MAX) && !line.sender.is_closed() {
                return Some(line);
            }
        }
    }

    async fn connect(self: &Arc<Self>, upstream: &str) -> io::Result<Line> {
        let stream = TcpStream::connect(upstream).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let parent = self.ledger.enter(self.root.context(), Kind::Upstream);
        let (ctx, handle) = parent.with_timeout_cause(Duration::MAX, Why::UpstreamIdle(KEPT));
        let pool = Arc::downgrade(self);
        tokio::spawn(async move {
            // Either way the connection is dropped here, and its socket with it.
            let _ = ctx.run(connection).await;
            if let Some(pool) = pool.upgrade() {
                pool.forget_closed();
            }
        });
        Ok(Line { upstream: upstream.to_owned(), sender, handle })
    }

    fn forget_closed(&self) {
        self.resting().retain(|_, lines| {
            lines.retain(|line| !line.sender.is_closed());
            !lines.is_empty()
        });
    }

    fn resting(&self) -> MutexGuard<'_, HashMap<String, Vec<Line>>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// The response head.
    pub(crate) async fn send(&mut self, request: Request<Outgoing>) -> Result<Response<Incoming>, Unanswered> {
        let sender = &mut self.line.as_mut().expect("a lease has its line until it ends").sender;
        if let Err(error) = sender.ready().await {
            return Err(Unanswered { error, request: Some(request) });
        }
        sender.try_send_request(request).await.map_err(|mut failed| {
            let request = failed.take_message();
            Unanswered { error: failed.into_error(), request }
        })
    }

    /// The response has been read to its end: the connection may serve again.
    pub(crate) fn give_back(mut self) {
        let Some(line) = self.line.take() else { return };
        if self.tie.stop() && !line.sender.is_closed() && line.handle.reset_timeout(KEPT) {
            let mut resting = self.pool.resting();
            let lines = resting.entry(line.upstream.clone()).or_default();
            if lines.len() < MOST {
                lines.push(line);
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(line) = self.line.take() {
            self.tie.stop();
            line.handle.cancel_cause(Why::Abandoned);
        }
    }
}
