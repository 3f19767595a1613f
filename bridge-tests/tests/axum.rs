//! The extractor and the layer under axum's own server, over real sockets, HTTP/1 and HTTP/2.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bridge_tests::bounded::run;
use bridge_tests::world::{Witness, eventually, in_time};
use bytes::Bytes;
use http::{Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use ripcord::http::Policy;
use ripcord::tower::{ContextLayer, Gone};
use ripcord::{CancelHandle, Context, Error};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;

const MS: Duration = Duration::from_millis(1);

struct World {
    at: SocketAddr,
    root: CancelHandle,
    witness: Witness,
    /// How often `/own` was begun.
    begun: Arc<AtomicUsize>,
}

/// What handlers do is in their paths.
fn routes(witness: &Witness, begun: Arc<AtomicUsize>) -> Router {
    let life = witness.clone();
    Router::new()
        .route("/hello", get(|ctx: Context| async move { format!("hello, {:?}", ctx.remaining().is_some()) }))
        .route(
            "/stall",
            get(move |_ctx: Context| async move {
                let _life = life.handler();
                std::future::pending::<()>().await
            }),
        )
        .route(
            "/own",
            get(move |ctx: Context| async move {
                begun.fetch_add(1, SeqCst);
                match ctx.run(std::future::pending::<String>()).await {
                    Ok(text) => (StatusCode::OK, text),
                    Err(error) => (StatusCode::IM_A_TEAPOT, format!("my own page: {error}")),
                }
            }),
        )
        .route(
            "/stream",
            get(|ctx: Context| async move {
                let first = tokio_stream::once(Ok::<_, Infallible>(Bytes::from_static(b"first")));
                let stream = first.chain(tokio_stream::pending()).map(move |item| {
                    let _ = &ctx;
                    item
                });
                Body::from_stream(stream)
            }),
        )
        .route("/maybe", get(|ctx: Option<Context>| async move { if ctx.is_some() { "some" } else { "none" } }))
}

async fn serve(configure: impl FnOnce(ContextLayer) -> ContextLayer) -> World {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let (ctx, root) = Context::background().with_cancel();
    let witness = Witness::default();
    let layer = witness.watch(configure(ContextLayer::new(ctx)));
    let begun = Arc::default();
    let app = routes(&witness, Arc::clone(&begun)).layer(layer);
    tokio::spawn(async move { axum::serve(listener, app).await });
    World { at, root, witness, begun }
}

/// One request on a connection of its own, which lives as long as the task.
async fn send(
    at: SocketAddr,
    version: Version,
    request: Request<Empty<Bytes>>,
) -> (Response<Incoming>, JoinHandle<()>) {
    let io = TokioIo::new(TcpStream::connect(at).await.unwrap());
    if version == Version::HTTP_2 {
        let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
        let task = tokio::spawn(async { drop(connection.await) });
        (sender.send_request(request).await.unwrap(), task)
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        let task = tokio::spawn(async { drop(connection.await) });
        (sender.send_request(request).await.unwrap(), task)
    }
}

fn get_from(at: SocketAddr, path: &str, timeout: Option<&str>) -> Request<Empty<Bytes>> {
    let mut request = Request::get(format!("http://{at}{path}")).header("host", "localhost");
    if let Some(timeout) = timeout {
        request = request.header("x-envoy-expected-rq-timeout-ms", timeout);
    }
    request.body(Empty::new()).unwrap()
}

/// Status and text, if it came whole.
async fn fetch(at: SocketAddr, version: Version, path: &str, timeout: Option<&str>) -> (StatusCode, Option<String>) {
    let (response, _connection) = send(at, version, get_from(at, path, timeout)).await;
    let status = response.status();
    let text = response.into_body().collect().await.ok().map(|body| body.to_bytes());
    (status, text.map(|text| String::from_utf8(text.to_vec()).unwrap()))
}

const BOTH: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

#[test]
fn a_handler_takes_the_requests_context_as_an_argument() {
    run(async || {
        let world = serve(|layer| layer).await;
        for version in BOTH {
            let said = |text: &str| (StatusCode::OK, Some(text.to_owned()));
            assert_eq!(fetch(world.at, version, "/hello", None).await, said("hello, false"));
            assert_eq!(fetch(world.at, version, "/hello", Some("60000")).await, said("hello, true"));
            assert_eq!(fetch(world.at, version, "/maybe", None).await, said("some"));
        }
        for n in 0..6 {
            assert_eq!(world.witness.end(n).to_string(), "context canceled", "through, and not gone");
        }
        world.witness.assert_nothing_left();
    });
}

#[test]
fn without_the_layer_it_is_a_500_that_says_why() {
    run(async || {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes(&Witness::default(), Arc::default())).await });
        let (status, text) = fetch(at, Version::HTTP_11, "/hello", None).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(text.unwrap(), "the request has no context: is ripcord's ContextLayer missing?");
        assert_eq!(fetch(at, Version::HTTP_11, "/maybe", None).await.1.unwrap(), "none");
    });
}

#[test]
fn a_deadline_is_a_504_or_the_handlers_own_page() {
    run(async || {
        let world = serve(|layer| layer).await;
        for version in BOTH {
            let late = (StatusCode::GATEWAY_TIMEOUT, Some(String::new()));
            assert_eq!(fetch(world.at, version, "/stall", Some("30")).await, late);
            for _ in 0..20 {
                in_time(10 * MS, async |time| {
                    let (before, begun) = (Instant::now(), world.begun.load(SeqCst));
                    let said = fetch(world.at, version, "/own", Some(&time.as_millis().to_string())).await;
                    assert!(before.elapsed() >= time);
                    if world.begun.load(SeqCst) == begun {
                        assert_eq!(said, late);
                        return None;
                    }
                    let own = (StatusCode::IM_A_TEAPOT, Some("my own page: context deadline exceeded".to_owned()));
                    assert_eq!(said, own, "whole, though the context has ended");
                    Some(())
                })
                .await;
            }
        }
        world.witness.assert_nothing_left();
    });
}

#[test]
fn a_deadline_in_the_body_is_a_body_that_is_not_whole() {
    run(async || {
        let world = serve(|layer| layer).await;
        for version in BOTH {
            in_time(50 * MS, async |time| {
                let before = Instant::now();
                let (status, text) = fetch(world.at, version, "/stream", Some(&time.as_millis().to_string())).await;
                assert!(before.elapsed() >= time);
                if status == StatusCode::GATEWAY_TIMEOUT {
                    return None;
                }
                assert_eq!((status, text), (StatusCode::OK, None), "{version:?}");
                Some(())
            })
            .await;
        }
        assert!(world.witness.ends().iter().all(|cause| cause.error() == Error::DeadlineExceeded));
        world.witness.assert_nothing_left();
    });
}

#[test]
fn the_servers_own_budget_holds_for_everybody() {
    run(async || {
        let world = serve(|layer| layer.policy(Policy::untrusted().budget(Duration::from_millis(50)))).await;
        assert_eq!(fetch(world.at, Version::HTTP_11, "/stall", None).await.0, StatusCode::GATEWAY_TIMEOUT);
        assert_eq!(fetch(world.at, Version::HTTP_11, "/stall", Some("3600000")).await.0, StatusCode::GATEWAY_TIMEOUT);
        assert_eq!(fetch(world.at, Version::HTTP_11, "/stall", Some("0")).await.0, StatusCode::GATEWAY_TIMEOUT);
        world.witness.assert_nothing_left();
    });
}

#[test]
fn a_client_that_goes_ends_the_context_before_and_in_the_body() {
    run(async || {
        let world = serve(|layer| layer).await;
        let mut n = 0;
        for version in BOTH {
            let at = world.at;
            let calling = tokio::spawn(async move { send(at, version, get_from(at, "/stall", None)).await });
            world.witness.context(n);
            calling.abort();
            assert!(calling.await.is_err());
            // The connection's task has no request any more, and ends.
            assert!(world.witness.end(n).downcast_ref::<Gone>().is_some(), "{version:?}");
            n += 1;

            let (mut response, _connection) = send(at, version, get_from(at, "/stream", None)).await;
            let first = response.body_mut().frame().await.unwrap().unwrap();
            assert_eq!(first.into_data().unwrap(), "first");
            assert_eq!(world.witness.context(n).err(), None, "held over the body");
            drop(response);
            assert!(world.witness.end(n).downcast_ref::<Gone>().is_some(), "{version:?}");
            n += 1;
        }
        world.witness.assert_nothing_left();
    });
}

#[test]
fn a_shutdown_is_a_503_for_who_waits_and_who_comes() {
    run(async || {
        let world = serve(|layer| layer).await;
        let at = world.at;
        let waiting = tokio::spawn(async move { fetch(at, Version::HTTP_11, "/stall", None).await });
        world.witness.context(0);
        world.root.cancel_cause("shutting down");
        assert_eq!(waiting.await.unwrap(), (StatusCode::SERVICE_UNAVAILABLE, Some(String::new())));
        assert_eq!(fetch(at, Version::HTTP_2, "/hello", None).await.0, StatusCode::SERVICE_UNAVAILABLE);
        eventually("the first to be counted", || world.witness.requests() == 1);
        world.witness.assert_nothing_left();
    });
}

#[test]
fn a_middleware_may_put_another_context_in_its_place() {
    #[derive(Debug, PartialEq)]
    struct User(&'static str);
    run(async || {
        let who = |ctx: Context| async move { ctx.value::<User>().map_or("nobody", |user| user.0) };
        let bind = |mut request: axum::extract::Request, next: axum::middleware::Next| async move {
            let ctx = request.extensions().get::<Context>().unwrap().with_value(User("ada"));
            request.extensions_mut().insert(ctx);
            next.run(request).await
        };
        let app = Router::new()
            .route("/who", get(who))
            .layer(axum::middleware::from_fn(bind))
            .layer(ContextLayer::new(Context::background()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        assert_eq!(fetch(at, Version::HTTP_11, "/who", None).await.1.unwrap(), "ada");
    });
}
