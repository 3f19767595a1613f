//! A proxy that is nothing but the two layers: a context per request, its deadline on the way to the origin.
//!
//! ```text
//! cargo run --example tower --features tower
//! ```
//!
//! On loopback: an origin that takes 20 ms, or an hour, the proxy, and clients that wait long enough, do not, and hang up.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use ripcord::http::{Policy, Reading};
use ripcord::tower::{BoxError, ContextLayer, DeadlineLayer};
use ripcord::{Cause, Context};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{self, Poll};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tower_layer::Layer;
use tower_service::Service;

/// A service made of a function, as `tower::service_fn` makes them.
#[derive(Clone)]
struct ServiceFn<F>(F);

impl<F, Q, R, P> Service<Q> for ServiceFn<F>
where
    F: Fn(Q) -> R,
    R: Future<Output = Result<P, BoxError>> + Send + 'static,
{
    type Response = P;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<P, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Q) -> Self::Future {
        Box::pin((self.0)(request))
    }
}

/// Serves every connection of a listener, and returns where it listens.
macro_rules! serve {
    ($service:expr) => {{
        let service = $service;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let at = listener.local_addr()?;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = service.clone();
                let service = hyper::service::service_fn(move |request| service.clone().call(request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        at
    }};
}

/// One call on a connection of its own.
async fn send<B>(to: SocketAddr, request: Request<B>) -> Result<Response<Incoming>, BoxError>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(TcpStream::connect(to).await?)).await?;
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}

fn get(path: &str, budget: &str) -> Request<Empty<Bytes>> {
    Request::get(path).header("host", "example").header("grpc-timeout", budget).body(Empty::new()).expect("a request")
}

async fn run() -> Result<(), BoxError> {
    let (server, shutdown) = Context::background().with_cancel();

    // The origin tells its log how each of its requests ended.
    let log = |cause: &Cause| println!("  origin: {:?}, {cause}", cause.error());
    let origin = ContextLayer::new(server.clone()).prepare(move |ctx, head| {
        println!("  origin: {}", head.headers["grpc-timeout"].to_str().unwrap_or("?"));
        let told = ctx.clone();
        // Stopped by nobody: it runs when the request ends, which is with its response at the latest.
        ctx.after_func(move || told.cause().iter().for_each(log));
        ctx
    });
    let origin = serve!(origin.layer(ServiceFn(|request: Request<Incoming>| async move {
        let hour = Duration::from_secs(3600);
        tokio::time::sleep(if request.uri().path() == "/slow" { hour } else { Duration::from_millis(20) }).await;
        Ok(Response::new(Empty::<Bytes>::new()))
    })));

    // The proxy: nobody gets more than a minute, and the origin hears what is left of it.
    let upstream = DeadlineLayer::new().layer(ServiceFn(move |request: Request<Incoming>| send(origin, request)));
    let proxy = ContextLayer::new(server).policy(Policy::untrusted().budget(Duration::from_secs(60))).layer(ServiceFn(
        move |request: Request<Incoming>| {
            let asked = request.extensions().get::<Reading>().and_then(|reading| reading.asked);
            println!("  proxy:  asked for {asked:?}");
            upstream.clone().call(request)
        },
    ));
    let proxy = serve!(proxy);

    println!("a client with time:");
    let response = send(proxy, get("/", "1H")).await?;
    println!("  client: {}", response.status());
    assert_eq!(response.status(), 200);

    println!("a client in a hurry:");
    let response = send(proxy, get("/slow", "50m")).await?;
    println!("  client: {}", response.status());
    assert_eq!(response.status(), 504);

    println!("a client that hangs up:");
    let (ctx, _handle) = Context::background().with_timeout(Duration::from_millis(50));
    assert!(ctx.run(send(proxy, get("/slow", "1H"))).await.is_err());
    tokio::time::sleep(Duration::from_millis(50)).await;

    println!("after the shutdown:");
    shutdown.cancel_cause("shutting down");
    let response = send(proxy, get("/", "1H")).await?;
    println!("  client: {}", response.status());
    assert_eq!(response.status(), 503);
    Ok(())
}

fn main() -> Result<(), BoxError> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(run())
}
