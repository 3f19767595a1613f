//! Accepting, draining, and the life of a client connection.
//!
//! A server goes down in stages, and each is a context of [`Shutdown`]: until `Stop` the health check says yes, until
//! `Drain` there are new connections and new requests, until `Cancel` what is in flight may finish, then it is answered
//! 503, and until `Abort` that may be written.

use crate::cause::Why;
use crate::forward::Proxy;
use crate::hangup;
use crate::ledger::{Kind, Ledger};
use crate::pace::{Pace, Paced, Times};
use crate::socket::Shared;
use crate::unread::{self, Streams};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use ripcord::Context;
use ripcord::shutdown::{Guard, Report, Shutdown, Stage};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

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
    pub(crate) pace: Arc<Pace>,
    pub(crate) peer: SocketAddr,
    pub(crate) ledger: Arc<Ledger>,
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
    /// Serves until the shutdown begins, and then until it is over. `accepting` keeps it going until then.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener, accepting: Guard) -> Report {
        let shutdown = &self.shutdown;
        let connections = shutdown.tracker("connection");
        let until = shutdown.until(Stage::Drain);
        while let Ok(accepted) = until.run(listener.accept()).await {
            match accepted {
                Ok((stream, peer)) => {
                    self.counters.connections.fetch_add(1, Relaxed);
                    tokio::spawn(unread::task(Arc::clone(&self).connection(connections.guard(), stream, peer)));
                }
                Err(_) => drop(until.sleep(BREATH).await),
            }
        }
        drop(listener);
        drop(accepting);
        shutdown.join().await
    }

    /// The life of a client connection. Everything it owns is dropped when this returns.
    async fn connection(self: Arc<Self>, guard: Guard, stream: TcpStream, peer: SocketAddr) {
        // Dropped last: who waits for it finds nothing left.
        let _guard = guard;
        let (ledger, limits) = (&self.ledger, &self.limits);
        let _ = stream.set_nodelay(true);
        let stream = Arc::new(stream);

        let parent = ledger.enter(self.shutdown.until(Stage::Cancel), Kind::Connection);
        let silent = Why::ClientSilent { idle: limits.idle, head: limits.head };
        let (idle_ctx, idle) = parent.with_timeout_cause(limits.idle, silent);
        // Idle is a client that neither asks nor reads its answer: beyond the end of its requests.
        let busy = limits.timeout.saturating_add(limits.idle);
        let pace = Pace::new(idle, Times { idle: limits.idle, head: limits.head, busy });
        // The hang-up is a foreign parent: polled where the socket's event arrives, and everything below has ended
        // before any task has been scheduled.
        let gone = hangup::hung_up(Arc::clone(&stream));
        let (ctx, watch) = ledger.enter(&idle_ctx, Kind::Watch).with_cancel_on(gone);
        // The watch holds on to the socket: it must not outlive this function, not even in a context kept by mistake.
        let _watch = watch.drop_guard();

        let client = Arc::new(Client { ctx: ctx.clone(), pace: Arc::clone(&pace), peer, ledger: Arc::clone(ledger) });
        let proxy = Arc::clone(&self);
        // Requests of HTTP/2 are tasks of their own.
        let service = service_fn(move |request| Arc::clone(&proxy).answer(Arc::clone(&client), request));
        let io = TokioIo::new(Paced { io: Shared(stream), pace, writing: unread::current() });
        let builder = auto::Builder::new(Streams);
        let mut connection = pin!(builder.serve_connection(io, service));

        // Undisturbed, until something above or around ends.
        let (undisturbed, _) = ledger.enter(&ctx, Kind::Drain).with_cancel_from(self.shutdown.until(Stage::Drain));
        if undisturbed.run(connection.as_mut()).await.is_ok() {
            return;
        }
        // Draining: hyper closes once what is in flight has been answered, and at once if there is nothing.
        connection.as_mut().graceful_shutdown();
        if ctx.run(connection.as_mut()).await.is_ok() {
            return;
        }
        // Ended. Its requests have ended with it, and have their answers ready or soon; unless nobody is there to hear them.
        let deaf = |why: &Why| matches!(why, Why::ClientGone | Why::ClientSilent { .. });
        if !ctx.cause().is_some_and(|cause| cause.downcast_ref().is_some_and(deaf)) {
            let (last_words, _) =
                ledger.enter(self.shutdown.until(Stage::Abort), Kind::Connection).with_timeout(LAST_WORDS);
            let _ = last_words.run(connection).await;
        }
    }

    /// The shutdown of a proxy: what its listener's balancer needs to notice, what requests are given to finish, and what
    /// it takes to answer those that were not.
    pub(crate) fn staged(server: &Context, notice: Duration, grace: Duration) -> Shutdown {
        let millis = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        let budget = notice.saturating_add(grace).saturating_add(LAST_WORDS);
        Shutdown::new(server, budget).shares(millis(notice), millis(grace), millis(LAST_WORDS))
    }
}
