//! Around a whole request: what goes on after its context has ended is dropped.
//!
//! Nearly every request ends by itself when its upstream is hung up, and says why. What does not wait for the upstream
//! does not hear of that: a write to a client that does not read, an HTTP/2 upstream (its connection is other
//! requests', too), a filter that takes its time. They get a moment, and then their future is dropped, and the
//! connections, or streams, with it.

use async_trait::async_trait;
use pingora_core::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::v2::server::H2Options;
use pingora_core::server::ShutdownWatch;
use ripcord::Context;
use std::cell::Cell;
use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task_local;

task_local! {
    /// The request's context is made inside of what is to be dropped, by `new_ctx`, which has no arguments.
    static HANDED_OUT: Cell<Option<oneshot::Sender<Context>>>;
}

/// To be called by `new_ctx`. Where nobody is around the request, as in a subrequest, it does nothing.
pub fn hand_out(context: &Context) {
    let sender = HANDED_OUT.try_with(Cell::take).ok().flatten();
    // Nobody takes it: the request is being dropped already.
    let _ = sender.map(|sender| sender.send(context.clone()));
}

/// An application whose requests end when their contexts do, or a little later.
pub struct Bounded<A> {
    inner: Arc<A>,
    linger: Duration,
}

impl<A> Bounded<A> {
    /// Requests have so long to end by themselves: to write a 504, and the log.
    pub fn new(inner: A, linger: Duration) -> Bounded<A> {
        Bounded { inner: Arc::new(inner), linger }
    }
}

/// The end of a request's patience.
async fn too_late(context: oneshot::Receiver<Context>, linger: Duration) {
    match context.await {
        Ok(context) => {
            context.into_done().await;
            // On ripcord's timer, and below nobody.
            let _ = Context::background().sleep(linger).await;
        }
        // The connection ended before a request came.
        Err(_) => pending().await,
    }
}

#[async_trait]
impl<A: HttpServerApp + Send + Sync + 'static> HttpServerApp for Bounded<A> {
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        let (sender, context) = oneshot::channel();
        let request = HANDED_OUT.scope(Cell::new(Some(sender)), self.inner.process_new_http(session, shutdown));
        tokio::select! {
            biased;
            done = request => done,
            () = too_late(context, self.linger) => None,
        }
    }

    fn h2_options(&self) -> Option<H2Options> {
        self.inner.h2_options()
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        self.inner.server_options()
    }

    async fn http_cleanup(&self) {
        self.inner.http_cleanup().await;
    }

    async fn process_custom_session(self: Arc<Self>, stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        self.inner.clone().process_custom_session(stream, shutdown).await
    }
}

impl<A> fmt::Debug for Bounded<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bounded").field("linger", &self.linger).finish_non_exhaustive()
    }
}
