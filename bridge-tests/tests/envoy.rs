//! A real Envoy between client and server: what it makes of what we write, and we of what it writes.
//!
//! Needs an Envoy: `RIPCORD_ENVOY` names it, `envoy` otherwise. `ci/envoy` installs one.

use axum::Router;
use axum::routing::get;
use bridge_tests::bounded::run;
use bridge_tests::grpc::{STREAM, UNARY};
use bridge_tests::wire::Wire;
use bridge_tests::world::{Witness, eventually, serve};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use ripcord::http::{Header, Reading};
use ripcord::tower::{BoxError, ContextLayer, DeadlineLayer, Gone};
use ripcord::{CancelHandle, Cause, Context, Error};
use std::net::{SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tower::{Layer, ServiceExt, service_fn};

/// An Envoy on loopback: `/ripcord.Test/` goes to one server by HTTP/2, everything else to another by HTTP/1. A route has
/// one second. A gRPC call has what its header says, and it is the server that sees to that; an `x-watched` one has 300 ms
/// by a timer of Envoy's, of which the server hears nothing.
struct Envoy {
    child: Child,
    at: SocketAddr,
}

const CONFIG: &str = r#"
static_resources:
  listeners:
  - address: { socket_address: { address: 127.0.0.1, port_value: LISTEN } }
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: test
          # From inside: from others Envoy does not take such headers.
          use_remote_address: true
          internal_address_config: { cidr_ranges: [{ address_prefix: 127.0.0.0, prefix_len: 8 }] }
          http_filters:
          - name: envoy.filters.http.router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: { prefix: "/ripcord.Test/", headers: [{ name: x-watched, present_match: true }] }
                route: { cluster: grpc, timeout: 0s, max_stream_duration: { max_stream_duration: 0.3s } }
                # Envoy writes its own time there: two timers would race.
                request_headers_to_remove: [grpc-timeout]
              - match: { prefix: "/ripcord.Test/" }
                route: { cluster: grpc, timeout: 0s }
              - match: { prefix: "/" }
                route: { cluster: plain, timeout: 1s }
  clusters:
  - name: plain
    type: STATIC
    load_assignment:
      cluster_name: plain
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: PLAIN } } } }] }]
  - name: grpc
    type: STATIC
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: { http2_protocol_options: {} }
    load_assignment:
      cluster_name: grpc
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: GRPC } } } }] }]
"#;

impl Envoy {
    fn start(plain: SocketAddr, grpc: SocketAddr) -> Envoy {
        let program = std::env::var("RIPCORD_ENVOY").unwrap_or_else(|_| "envoy".to_owned());
        let at = StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = CONFIG
            .replace("LISTEN", &at.port().to_string())
            .replace("PLAIN", &plain.port().to_string())
            .replace("GRPC", &grpc.port().to_string());
        let child = Command::new(&program)
            .args(["--config-yaml", &config, "--concurrency", "1", "--use-dynamic-base-id", "--log-level", "error"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}; run ci/envoy, or set RIPCORD_ENVOY"));
        let envoy = Envoy { child, at };
        eventually("Envoy to listen", || StdStream::connect(at).is_ok());
        envoy
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // Ours.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Plain {
    at: SocketAddr,
    _root: CancelHandle,
    witness: Witness,
}

/// What the layer read, and what is left.
async fn tell(reading: Option<axum::Extension<Reading>>, ctx: Context, headers: HeaderMap) -> String {
    let millis = |d: Duration| d.as_millis();
    format!(
        "{:?} {:?} {:?}",
        reading.and_then(|reading| reading.asked).map(millis),
        ctx.remaining().map(millis),
        headers.get(Header::EnvoyExpected.name()).map(|value| value.to_str().unwrap().to_owned()),
    )
}

async fn plain() -> Plain {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let (ctx, root) = Context::background().with_cancel();
    let witness = Witness::default();
    let life = witness.clone();
    let app = Router::new()
        .route("/tell", get(tell))
        .route(
            "/stall",
            get(move |_ctx: Context| async move {
                let _life = life.handler();
                std::future::pending::<()>().await
            }),
        )
        .route("/slow", get(|| async { tokio::time::sleep(Duration::from_millis(1500)).await }))
        .layer(witness.watch(ContextLayer::new(ctx)));
    tokio::spawn(async move { axum::serve(listener, app).await });
    Plain { at, _root: root, witness }
}

/// A call to Envoy, under a context if there is one, with these headers.
async fn call(
    to: SocketAddr,
    path: &str,
    ctx: Option<&Context>,
    headers: &[(&str, &str)],
) -> Result<(u16, String), BoxError> {
    let send = service_fn(move |request: Request<Empty<Bytes>>| async move {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(TcpStream::connect(to).await?)).await?;
        tokio::spawn(connection);
        Ok::<Response<Incoming>, BoxError>(sender.send_request(request).await?)
    });
    let mut request = Request::get(path).header("host", "example");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(Empty::new())?;
    if let Some(ctx) = ctx {
        request.extensions_mut().insert(ctx.clone());
    }
    let client = DeadlineLayer::new().headers(&[Header::EnvoyUpstream]).layer(send);
    let response = client.oneshot(request).await?;
    let status = response.status().as_u16();
    let text = response.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8(text.to_vec())?))
}

#[test]
fn what_we_ask_of_envoy_is_what_it_tells_the_server() {
    run(async || {
        let plain = plain().await;
        let envoy = Envoy::start(plain.at, plain.at);
        let (ctx, _handle) = Context::background().with_timeout(Duration::from_secs(30));
        let (status, said) = call(envoy.at, "/tell", Some(&ctx), &[]).await.unwrap();
        assert_eq!(status, 200);
        let expected = said.split('"').nth(1).unwrap_or_else(|| panic!("no header from Envoy: {said}"));
        let millis: u128 = expected.parse().unwrap();
        assert!((20_000..30_000).contains(&millis), "our thirty seconds, and not its own one: {said}");
        assert!(said.starts_with(&format!("Some({millis}) ")), "read as it was written: {said}");
        assert!(plain.witness.context(0).deadline().is_some());
    });
}

#[test]
fn envoys_own_second_reaches_the_server_and_ends_the_handler() {
    run(async || {
        let plain = plain().await;
        let envoy = Envoy::start(plain.at, plain.at);
        let (_, said) = call(envoy.at, "/tell", None, &[]).await.unwrap();
        assert!(said.starts_with("Some(1000) "), "{said}");
        let (status, _) = call(envoy.at, "/stall", None, &[]).await.unwrap();
        assert_eq!(status, 504);
        let cause = plain.witness.end(1);
        assert!(cause.error().is_timeout() || cause.downcast_ref::<Gone>().is_some(), "{cause}");
        plain.witness.assert_nothing_left();
    });
}

/// Why a zero is never written: Envoy takes it for no limit.
#[test]
fn zero_is_no_limit_to_envoy() {
    run(async || {
        let plain = plain().await;
        let envoy = Envoy::start(plain.at, plain.at);
        assert_eq!(call(envoy.at, "/slow", None, &[]).await.unwrap().0, 504, "a second is not enough");
        let zero = [("x-envoy-upstream-rq-timeout-ms", "0")];
        assert_eq!(call(envoy.at, "/slow", None, &zero).await.unwrap().0, 200);
        let (_, said) = call(envoy.at, "/tell", None, &zero).await.unwrap();
        assert_eq!(said, "None None None", "and it tells the server of none");
    });
}

#[test]
fn our_deadline_and_our_cancel_end_the_handler_behind_envoy() {
    run(async || {
        let plain = plain().await;
        let envoy = Envoy::start(plain.at, plain.at);
        let (ctx, _handle) = Context::background().with_timeout(Duration::from_millis(500));
        match call(envoy.at, "/stall", Some(&ctx), &[]).await {
            // Whichever of the three clocks is first.
            Ok((status, _)) => assert_eq!(status, 504),
            Err(error) => assert_eq!(error.downcast_ref::<Cause>().expect("a cause").error(), Error::DeadlineExceeded),
        }
        plain.witness.end(0);
        plain.witness.assert_nothing_left();

        let (ctx, handle) = Context::background().with_cancel();
        let witness = plain.witness.clone();
        let canceling = tokio::task::spawn_blocking(move || {
            witness.until_busy(1);
            handle.cancel_cause("client gone");
        });
        let zero = [("x-envoy-upstream-rq-timeout-ms", "0")];
        let error = call(envoy.at, "/stall", Some(&ctx), &zero).await.unwrap_err();
        canceling.await.unwrap();
        assert_eq!(error.to_string(), "client gone");
        assert!(plain.witness.end(1).downcast_ref::<Gone>().is_some());
        plain.witness.assert_nothing_left();
    });
}

/// The server's word, passed on: whose timer it was shows in the message.
#[test]
fn grpc_through_envoy_is_deadline_exceeded() {
    run(async || {
        let world = serve().await;
        let envoy = Envoy::start(world.at, world.at);
        let mut wire = Wire::connect(envoy.at).await;
        let said = wire.call(UNARY, "remaining", &[("grpc-timeout", "30S")]).await;
        assert_eq!(said.status, Some(0));
        assert!(world.witness.context(0).deadline().is_some(), "the header passes");
        for (n, (path, message)) in [(UNARY, "stall"), (STREAM, "stall"), (STREAM, "drip")].into_iter().enumerate() {
            let said = wire.call(path, message, &[("grpc-timeout", "400m")]).await;
            assert_eq!((said.status, said.reset), (Some(4), false), "{message}: {said:?}");
            assert_eq!(said.message, "context deadline exceeded", "{message}");
            assert_eq!(world.witness.end(n + 1).error(), Error::DeadlineExceeded, "{message}");
        }
        world.witness.assert_nothing_left();
    });
}

/// Envoy with a timer of its own gives the status to a call that has not begun to answer; one that has is reset, and never
/// hears any. Either way the server's stream is reset, and its context ends with that. The same timer runs where Envoy takes
/// the time from the header (`grpc_timeout_header_max`), and there it races ours.
#[test]
fn envoys_own_timer_resets_an_answer_that_has_begun_without_a_status() {
    run(async || {
        let world = serve().await;
        let envoy = Envoy::start(world.at, world.at);
        let mut wire = Wire::connect(envoy.at).await;
        for (n, (path, message)) in [(UNARY, "stall"), (STREAM, "stall"), (STREAM, "drip")].into_iter().enumerate() {
            let said = wire.call(path, message, &[("x-watched", "1")]).await;
            match path {
                UNARY => {
                    assert_eq!((said.status, said.reset), (Some(4), false), "{said:?}");
                    assert_eq!(said.message, "downstream duration timeout", "Envoy's words");
                }
                _ => {
                    assert_eq!((said.status, said.reset), (None, true), "{message}: {said:?}");
                    assert!(said.messages >= 1, "{message}: it had begun");
                }
            }
            assert!(world.witness.context(n).deadline().is_none(), "{message}: the server knows of no time");
            assert!(world.witness.end(n).downcast_ref::<Gone>().is_some(), "{message}");
        }
        world.witness.assert_nothing_left();
    });
}
