//! Accepting, draining, and the life of a client connection.
//!
//! A server goes down in three stages, and each is a context: the first signal ends `server` (no more connections, no
//! more requests on the ones there are), the grace ends `work` (what is still running is answered 503), and a last
//! moment is given to write that.

use crate::cause::Why;
use crate::forward::Proxy;
use crate::hangup::{self, Shared};
use crate::ledger::{Kind, Ledger};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use ripcord::{CancelHandle, Context};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// What it takes to write an answer that is ready, to a client that reads.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long to wait before accepting again when that failed (no more descriptors, most likely).
const BREATH: Duration = Duration::from_millis(10);
/// Connections that may wait to be accepted. Beyond it a client's first packet is dropped, and it tries again a second
/// later: more than its deadline may allow.
const BACKLOG: u32 = 1024;

/// What a request needs to know of the connection it came by.
pub(crate) struct Client {
    /// Ends with the connection.
    pub(crate) ctx: Context,
    /// Its idle deadline.
    pub(crate) idle: CancelHandle,
    pub(crate) peer: SocketAddr,
    pub(crate) ledger: Arc<Ledger>,
}

/// How a server went down.
pub(crate) struct Drained {
    asked: String,
    took: Duration,
    /// Connections that were still busy when the grace was over.
    pub(crate) cut: usize,
}

impl fmt::Display for Drained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: down in {:.1?}, {} connection(s) cut off", self.asked, self.took, self.cut)
    }
}

/// Listens, with room for a burst.
pub(crate) fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A port that was in use a moment ago is no obstacle to a restart.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

impl Proxy {
    /// Serves until `server` ends, and then until everything has finished or the grace is over.
    pub(crate) async fn serve(self: Arc<Self>, server: &Context, listener: TcpListener) -> Drained {
        let mut connections = JoinSet::new();
        // Keeps the server's values, not its end.
        let (work, stop) = self.ledger.enter(&server.without_cancel(), Kind::Server).with_cancel();

        while let Ok(accepted) = server.run(listener.accept()).await {
            match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(Arc::clone(&self).connection(server.clone(), work.clone(), stream, peer));
                }
                Err(_) => hangup::pause(server, BREATH).await,
            }
            while connections.try_join_next().is_some() {}
        }
        drop(listener);

        let started = Instant::now();
        let asked = server.cause().map(|cause| cause.to_string()).unwrap_or_default();
        let grace = self.limits.grace;
        let (patience, _) = self.ledger.enter(&work, Kind::Server).with_timeout(grace);
        let _ = patience.run(all(&mut connections)).await;
        let cut = connections.len();
        stop.cancel_cause(Why::GraceOver { asked: asked.clone(), grace });
        all(&mut connections).await;
        self.pool.close();
        Drained { asked, took: started.elapsed(), cut }
    }

    /// The life of a client connection. Everything it owns is dropped when this returns.
    async fn connection(self: Arc<Self>, server: Context, work: Context, stream: TcpStream, peer: SocketAddr) {
        let (ledger, idle_for) = (&self.ledger, self.limits.idle);
        let _ = stream.set_nodelay(true);
        let stream = Arc::new(stream);

        let (idle_ctx, idle) =
            ledger.enter(&work, Kind::Connection).with_timeout_cause(idle_for, Why::ClientIdle(idle_for));
        // The hang-up is a foreign parent: polled where the socket's event arrives, and everything below has ended
        // before any task has been scheduled.
        let gone = hangup::hung_up(Arc::clone(&stream));
        let (ctx, watch) = ledger.enter(&idle_ctx, Kind::Watch).with_cancel_on(gone);
        // The watch holds on to the socket: it must not outlive this function, not even in a context kept by mistake.
        let _watch = watch.drop_guard();

        let client = Client { ctx: ctx.clone(), idle, peer, ledger: Arc::clone(ledger) };
        let service = service_fn(|request| self.answer(&client, request));
        let mut connection = pin!(http1::Builder::new().serve_connection(TokioIo::new(Shared(stream)), service));

        // Undisturbed, until something above or around ends.
        let (undisturbed, _) = ledger.enter(&ctx, Kind::Drain).with_cancel_from(&server);
        if undisturbed.run(connection.as_mut()).await.is_ok() {
            return;
        }
        // Draining: hyper closes once the request in flight has been answered, and at once if there is none.
        connection.as_mut().graceful_shutdown();
        if ctx.run(connection.as_mut()).await.is_ok() {
            return;
        }
        // Ended. A request in flight has ended with it and has its answer ready, if anybody is there to hear it.
        let gone = ctx.cause().is_some_and(|cause| matches!(cause.downcast_ref(), Some(Why::ClientGone)));
        if !gone {
            let (last_words, _) = ledger.enter(&ctx.without_cancel(), Kind::Connection).with_timeout(LAST_WORDS);
            let _ = last_words.run(connection).await;
        }
    }
}

/// Until every connection has come to its end.
async fn all(connections: &mut JoinSet<()>) {
    while connections.join_next().await.is_some() {}
}
