//! pingora's server, going down in ripcord's stages.
//!
//! On a SIGTERM pingora closes its listeners and the idle connections, sleeps for `grace_period_seconds`, however soon the
//! last request is done, and then drops what is left, unheard. Here the stages say when: pingora is told at the drain,
//! requests are canceled, with a cause, at the cancel, and who waits for the [`Shutdown`] goes when the last of them has
//! its answer. pingora's own sleep is left to sleep on.

use crate::bounded::Bounded;
use async_trait::async_trait;
use pingora_core::apps::HttpServerOptions;
use pingora_core::listeners::TcpSocketOptions;
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{RunArgs, Server, ShutdownSignal, ShutdownSignalWatch};
use pingora_core::services::listening::Service;
use pingora_proxy::{ProxyHttp, http_proxy};
use ripcord::shutdown::{Shutdown, Stage};
use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

/// What pingora waits for instead of its signals.
#[derive(Debug)]
struct Drain(Shutdown);

#[async_trait]
impl ShutdownSignalWatch for Drain {
    async fn recv(&self) -> ShutdownSignal {
        self.0.until(Stage::Drain).done().await;
        ShutdownSignal::GracefulTerminate
    }
}

/// Where and how to serve.
#[derive(Debug)]
pub struct Front {
    /// The address.
    pub listen: SocketAddr,
    /// The listener's options.
    pub socket: TcpSocketOptions,
    /// Whether a client may speak HTTP/2 without TLS, too.
    pub h2c: bool,
    /// Requests whose contexts have ended have so long to say so.
    pub linger: Duration,
    /// At least the shutdown's: pingora keeps its runtime for so many seconds after the drain.
    pub grace: Duration,
}

impl Front {
    /// Serves on a thread of its own until the shutdown drains. Wait for the shutdown, and leave the process: the thread
    /// itself sleeps for the whole grace.
    ///
    /// # Errors
    ///
    /// There is no thread to be had.
    pub fn serve<P>(self, proxy: P, shutdown: &Shutdown) -> io::Result<()>
    where
        P: ProxyHttp + Send + Sync + 'static,
        P::CTX: Send + Sync,
    {
        let conf = ServerConf {
            threads: 2,
            // At its end pingora drops everything, so no fraction of a second less.
            grace_period_seconds: Some(self.grace.as_secs() + 1),
            graceful_shutdown_timeout_seconds: Some(0),
            ..ServerConf::default()
        };
        let mut server = Server::new_with_opt_and_conf(None, conf);
        server.bootstrap();
        let mut app = http_proxy(&server.configuration, proxy);
        let mut options = HttpServerOptions::default();
        options.h2c = self.h2c;
        app.server_options = Some(options);
        let mut service = Service::new("proxy".into(), Bounded::new(app, self.linger));
        service.add_tcp_with_settings(&self.listen.to_string(), self.socket);
        server.add_service(service);
        let drain = Drain(shutdown.clone());
        let run = move || server.run(RunArgs { shutdown_signal: Box::new(drain) });
        thread::Builder::new().name("pingora".into()).spawn(run).map(drop)
    }
}
