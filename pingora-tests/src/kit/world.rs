//! A proxy on a port of its own, and what it says of itself.

use super::eventually;
use crate::proxy::{Proxy, Settings};
use crate::record::{Log, Record};
use crate::server::Front;
use pingora_core::listeners::TcpSocketOptions;
use pingora_proxy::ProxyHttp;
use ripcord::Context;
use ripcord::inspect::snapshot;
use ripcord::shutdown::Shutdown;
use socket2::{Domain, Socket, Type};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// For whole requests that are expected to end otherwise.
pub const LONG: Duration = Duration::from_secs(60);
/// Requests that ended have so long to say so.
pub const LINGER: Duration = Duration::from_secs(1);

/// A proxy.
#[derive(Debug)]
pub struct World {
    /// Where it listens.
    pub at: SocketAddr,
    /// Ends it.
    pub shutdown: Shutdown,
    name: &'static str,
    records: Arc<Mutex<Vec<Record>>>,
    _port: Socket,
}

/// Settings for one upstream, asked up to three times.
#[must_use]
pub fn settings(name: &'static str, upstream: SocketAddr, budget: Duration) -> Settings {
    Settings {
        name,
        upstreams: vec![upstream],
        http2: false,
        budget,
        per_try: LONG,
        need: Duration::from_millis(1),
        tries: 3,
    }
}

/// A port that is ours as long as the socket lives, though it does not listen: pingora tells nobody which port it got.
fn port() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let at = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, at)
}

/// Serves any proxy until the shutdown, and waits until it listens. The port is kept with the socket.
///
/// # Panics
///
/// If there is no port, or nobody listens after a minute.
#[must_use]
pub fn start<P>(proxy: P, shutdown: &Shutdown, grace: Duration) -> (Socket, SocketAddr)
where
    P: ProxyHttp + Send + Sync + 'static,
    P::CTX: Send + Sync,
{
    serve(proxy, shutdown, grace, false)
}

fn serve<P>(proxy: P, shutdown: &Shutdown, grace: Duration, h2c: bool) -> (Socket, SocketAddr)
where
    P: ProxyHttp + Send + Sync + 'static,
    P::CTX: Send + Sync,
{
    let (port, at) = port();
    let mut socket = TcpSocketOptions::default();
    socket.so_reuseport = Some(true);
    Front { listen: at, socket, h2c, linger: LINGER, grace }.serve(proxy, shutdown).unwrap();
    eventually("the proxy to listen", || TcpStream::connect(at).is_ok());
    (port, at)
}

impl World {
    /// A proxy that goes down with `parent`, with a second to drain and a second to answer.
    #[must_use]
    pub fn start(settings: Settings, parent: &Context) -> World {
        World::new(settings, parent, false)
    }

    /// The same for clients that speak HTTP/2.
    #[must_use]
    pub fn h2c(settings: Settings, parent: &Context) -> World {
        World::new(settings, parent, true)
    }

    fn new(settings: Settings, parent: &Context, h2c: bool) -> World {
        let budget = Duration::from_secs(2);
        let shutdown = Shutdown::new(parent, budget).shares(0, 1, 1);
        let records: Arc<Mutex<Vec<Record>>> = Arc::default();
        let log: Log = {
            let records = records.clone();
            Arc::new(move |record| records.lock().unwrap_or_else(PoisonError::into_inner).push(record))
        };
        let name = settings.name;
        let (port, at) = serve(Proxy::new(settings, &shutdown, log), &shutdown, budget, h2c);
        World { at, shutdown, name, records, _port: port }
    }

    /// The records so far.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for the record of the n-th request that has ended.
    #[track_caller]
    pub fn record(&self, n: usize) -> Record {
        eventually("the request's record", || self.records().len() > n);
        self.records()[n].clone()
    }

    /// How many contexts of requests and tries are alive.
    #[must_use]
    pub fn alive(&self) -> usize {
        snapshot().contexts().iter().filter(|context| context.name.as_deref() == Some(self.name)).count()
    }

    /// Waits until no context is left.
    #[track_caller]
    pub fn until_none_alive(&self) {
        eventually("the requests' contexts to be dropped", || self.alive() == 0);
    }
}
