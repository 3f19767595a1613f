//! Connections to upstreams, lent to requests.
//!
//! A connection belongs to the pool, because it outlives the request that opened it. While it is lent, two ties hold:
//! the lease closes it when it is dropped, and the end of the borrower closes it from outside - a lease may sit where
//! nobody looks at it, behind a client that does not read.
//!
//! # Who is first
//!
//! The lease comes back while the deadline of its request passes, or the pool takes a connection out while its idle
//! deadline passes. Neither needs a lock. The tie is a function on the borrower's end, and `stop` decides: whoever gets
//! true from it knows that the request has not ended the connection and may put it back. In the pool it has a deadline,
//! and `reset_timeout` decides: true means that the deadline has not passed and no longer will.
//!
//! # HTTP/2
//!
//! One connection carries many requests, so it is not lent but shared, and what the end of a borrower closes is its
//! stream: the body is taken out of its slot and dropped.

use crate::cause::Why;
use crate::clock::Clock;
use crate::counters::Counters;
use crate::headers::Outgoing;
use crate::ledger::{Kind, Ledger};
use crate::pace::{Pace, Times};
use crate::upstream::{Sender, Slot, Upstream, lock};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use ripcord::{AfterFunc, CancelHandle, Context};
use std::collections::HashMap;
use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

pub(crate) use crate::upstream::{Reply, Unanswered};

/// How long a connection is kept for the next request, and how many of them for each upstream.
const KEPT: Duration = Duration::from_secs(30);
const MOST: usize = 64;
/// How often a shared connection is asked whether anybody is there, and how long it may take to say so.
const PING: Duration = Duration::from_secs(10);
const PONG: Duration = Duration::from_secs(5);

pub(crate) struct Pool {
    root: Context,
    ledger: Arc<Ledger>,
    counters: Arc<Counters>,
    /// By host and port.
    resting: Mutex<HashMap<String, Vec<Line>>>,
    shared: Mutex<HashMap<String, SharedLine>>,
}

/// A connection to an upstream. Its task drops the socket when its context ends.
pub(crate) struct Line {
    upstream: String,
    sender: Sender,
    handle: CancelHandle,
}

/// An HTTP/2 connection, and its deadline, which is none while anybody uses it.
#[derive(Clone)]
struct SharedLine {
    sender: http2::SendRequest<Outgoing>,
    pace: Arc<Pace>,
}

/// A connection lent to a request. Dropping it closes the connection, or the stream; [`give_back`](Lease::give_back)
/// keeps it.
pub(crate) enum Lease {
    Own { pool: Arc<Pool>, line: Option<Line>, tie: AfterFunc },
    Shared { sender: Sender, pace: Arc<Pace>, slot: Slot, tie: AfterFunc },
}

impl Pool {
    /// Its connections end with `root` at the latest.
    pub(crate) fn new(root: &Context, ledger: Arc<Ledger>, counters: Arc<Counters>) -> Arc<Pool> {
        let root = ledger.enter(root, Kind::Server);
        Arc::new(Pool { root, ledger, counters, resting: Mutex::default(), shared: Mutex::default() })
    }

    /// A connection for `borrower`: a resting one, or one made for it.
    pub(crate) async fn lend(self: &Arc<Self>, borrower: &Context, to: &Upstream, fresh: bool) -> io::Result<Lease> {
        if to.h2 {
            return self.share(borrower, to).await;
        }
        let rested = if fresh { None } else { self.take(&to.authority) };
        let line = match rested {
            Some(line) => line,
            None => self.connect(&to.authority).await?,
        };
        let handle = line.handle.clone();
        let tie = borrower.after_func(move || handle.cancel_cause(Why::Abandoned));
        Ok(Lease::Own { pool: Arc::clone(self), line: Some(line), tie })
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

    async fn dial(&self, upstream: &str) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(upstream).await?;
        stream.set_nodelay(true)?;
        self.counters.upstream_connections.fetch_add(1, Relaxed);
        Ok(stream)
    }

    async fn connect(self: &Arc<Self>, upstream: &str) -> io::Result<Line> {
        let stream = self.dial(upstream).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let parent = self.ledger.enter(&self.root, Kind::Upstream);
        let (ctx, handle) = parent.with_timeout_cause(Duration::MAX, Why::UpstreamIdle(KEPT));
        let pool = Arc::downgrade(self);
        tokio::spawn(async move {
            // Either way the connection is dropped here, and its socket with it.
            let _ = ctx.run(connection).await;
            if let Some(pool) = pool.upgrade() {
                pool.forget_closed();
            }
        });
        Ok(Line { upstream: upstream.to_owned(), sender: Sender::H1(sender), handle })
    }

    /// A stream of the connection that there is, or of a new one. Those who come at once may open one each; the last stays.
    async fn share(self: &Arc<Self>, borrower: &Context, to: &Upstream) -> io::Result<Lease> {
        let open = self.sharing().get(&to.authority).filter(|line| !line.sender.is_closed()).cloned();
        let line = match open.filter(|line| line.pace.begin(Instant::now()) || over(&line.pace)) {
            Some(line) => line,
            None => self.connect_shared(&to.authority).await?,
        };
        let slot = Slot::default();
        let tie = borrower.after_func({
            let slot = Arc::clone(&slot);
            move || drop(lock(&slot).close())
        });
        Ok(Lease::Shared { sender: Sender::H2(line.sender), pace: line.pace, slot, tie })
    }

    /// A new connection, already in use.
    async fn connect_shared(self: &Arc<Self>, upstream: &str) -> io::Result<SharedLine> {
        let stream = self.dial(upstream).await?;
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.timer(Clock).keep_alive_interval(PING).keep_alive_timeout(PONG);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let parent = self.ledger.enter(&self.root, Kind::Upstream);
        let (ctx, handle) = parent.with_timeout_cause(Duration::MAX, Why::UpstreamIdle(KEPT));
        let pace = Pace::new(handle, Times { idle: KEPT, head: KEPT, busy: Duration::MAX });
        pace.begin(Instant::now());
        let pool = Arc::downgrade(self);
        tokio::spawn(async move {
            let _ = ctx.run(connection).await;
            if let Some(pool) = pool.upgrade() {
                pool.forget_closed();
            }
        });
        let line = SharedLine { sender, pace };
        self.sharing().insert(upstream.to_owned(), line.clone());
        Ok(line)
    }

    fn forget_closed(&self) {
        self.resting().retain(|_, lines| {
            lines.retain(|line| !line.sender.is_closed());
            !lines.is_empty()
        });
        self.sharing().retain(|_, line| !line.sender.is_closed());
    }

    /// How many connections wait for a request, and how many are shared.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        (self.resting().values().map(Vec::len).sum(), self.sharing().len())
    }

    fn resting(&self) -> MutexGuard<'_, HashMap<String, Vec<Line>>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sharing(&self) -> MutexGuard<'_, HashMap<String, SharedLine>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Undoes a beginning that came too late.
fn over(pace: &Pace) -> bool {
    pace.end(Instant::now());
    false
}

impl Lease {
    /// The response head, and its body tied to this lease.
    pub(crate) async fn send(&mut self, request: Request<Outgoing>) -> Result<Response<Reply>, Unanswered> {
        match self {
            Lease::Own { line, .. } => {
                let line = line.as_mut().expect("a lease has its line until it ends");
                Ok(line.sender.send(request).await?.map(Reply::Own))
            }
            Lease::Shared { sender, slot, .. } => {
                let response = sender.send(request).await?;
                let tied = |body: Incoming| {
                    let late = lock(slot).put(body);
                    drop(late);
                    Reply::Shared(Arc::clone(slot))
                };
                Ok(response.map(tied))
            }
        }
    }

    /// The response has been read to its end: the connection may serve again.
    pub(crate) fn give_back(mut self) {
        let Lease::Own { pool, line, tie } = &mut self else { return };
        let Some(line) = line.take() else { return };
        if tie.stop() && !line.sender.is_closed() && line.handle.reset_timeout(KEPT) {
            let mut resting = pool.resting();
            let lines = resting.entry(line.upstream.clone()).or_default();
            if lines.len() < MOST {
                lines.push(line);
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        match self {
            Lease::Own { line, tie, .. } => {
                if let Some(line) = line.take() {
                    tie.stop();
                    line.handle.cancel_cause(Why::Abandoned);
                }
            }
            Lease::Shared { pace, slot, tie, .. } => {
                tie.stop();
                drop(lock(slot).close());
                pace.end(Instant::now());
            }
        }
    }
}
