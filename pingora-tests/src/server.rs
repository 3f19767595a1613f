//! pingora's server, going down in ripcord's stages.
//!
//! On a SIGTERM pingora closes its listeners and the idle connections, sleeps for `grace_period_seconds`, however soon the
//! last request is done, and then drops what is left, unheard. Here the stages say when: pingora is told at the drain,
//! requests are canceled, with a cause, at the cancel, and who waits for the [`Shutdown`] goes when the last of them has
//! its answer. pingora's own sleep is left to sleep on.

use crate::bounded::Bounded;
use async_trait::async_trait;
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

/// Serves on a thread of its own until the shutdown drains; requests that ended have `linger` to say so. Wait for the
/// shutdown, and leave the process: the thread sleeps for the shutdown's `budget`, in whole seconds, before it returns.
///
/// # Errors
///
/// There is no thread to be had.
pub fn serve<P>(
    proxy: P,
    listen: SocketAddr,
    socket: TcpSocketOptions,
    linger: Duration,
    shutdown: &Shutdown,
    budget: Duration,
) -> io::Result<()>
where
    P: ProxyHttp + Send + Sync + 'static,
    P::CTX: Send + Sync,
{
    let conf = ServerConf {
        threads: 2,
        // No shorter than ours: at its end pingora drops everything.
        grace_period_seconds: Some(budget.as_secs() + 1),
        graceful_shutdown_timeout_seconds: Some(0),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let app = Bounded::new(http_proxy(&server.configuration, proxy), linger);
    let mut service = Service::new("proxy".into(), app);
    service.add_tcp_with_settings(&listen.to_string(), socket);
    server.add_service(service);
    let drain = Drain(shutdown.clone());
    let run = move || server.run(RunArgs { shutdown_signal: Box::new(drain) });
    thread::Builder::new().name("pingora".into()).spawn(run).map(drop)
}
