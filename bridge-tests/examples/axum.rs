//! An axum server whose handlers take their request's context as an argument.
//!
//! ```text
//! cargo run --manifest-path bridge-tests/Cargo.toml --example axum
//! ```
//!
//! Serves itself on loopback, asks itself three times, and says what came of it.

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use ripcord::http::Policy;
use ripcord::tower::{BoxError, ContextLayer};
use ripcord::{Context, Error};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// A slow query that stops when nobody waits for it any more. The yearly one takes an hour.
async fn report(ctx: Context, uri: Uri) -> Result<&'static str, (StatusCode, String)> {
    println!("  handler: {:?} left", ctx.remaining());
    let takes = if uri.query() == Some("yearly") { Duration::from_secs(3600) } else { Duration::from_millis(100) };
    match ctx.run(tokio::time::sleep(takes)).await {
        Ok(()) => Ok("42 rows"),
        Err(error) => {
            let status = if error.is_timeout() { StatusCode::GATEWAY_TIMEOUT } else { StatusCode::SERVICE_UNAVAILABLE };
            Err((status, format!("no report: {error}")))
        }
    }
}

async fn ask(at: SocketAddr, path: &str, millis: &str) -> Result<Response<Incoming>, BoxError> {
    let io = TokioIo::new(TcpStream::connect(at).await?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
    tokio::spawn(connection);
    let request = Request::get(path).header("host", "localhost").header("x-envoy-expected-rq-timeout-ms", millis);
    Ok(sender.send_request(request.body(Empty::<Bytes>::new())?).await?)
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let (server, shutdown) = Context::background().with_cancel();
    let layer =
        ContextLayer::new(server).policy(Policy::untrusted().budget(Duration::from_secs(10))).prepare(|ctx, head| {
            let (path, told) = (head.uri.path().to_owned(), ctx.clone());
            // The access log: once per request, with the cause of its end.
            ctx.after_func(move || match told.cause() {
                Some(cause) if cause.error() == Error::DeadlineExceeded => println!("  log:     {path} timed out"),
                Some(cause) => println!("  log:     {path} ended, {cause}"),
                None => println!("  log:     {path} ended"),
            });
            ctx
        });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let at = listener.local_addr()?;
    let app = Router::new().route("/report", get(report)).layer(layer);
    tokio::spawn(async move { axum::serve(listener, app).await });

    for (who, path, millis, expected) in [
        ("a patient client", "/report", "60000", StatusCode::OK),
        ("one in a hurry", "/report?yearly", "30", StatusCode::GATEWAY_TIMEOUT),
    ] {
        println!("{who}:");
        let response = ask(at, path, millis).await?;
        let status = response.status();
        let text = response.into_body().collect().await?.to_bytes();
        println!("  client:  {status}, {}", String::from_utf8_lossy(&text));
        assert_eq!(status, expected);
    }

    println!("one that goes after 30 ms:");
    let (patience, _handle) = Context::background().with_timeout(Duration::from_millis(30));
    assert!(patience.run(ask(at, "/report?yearly", "60000")).await.is_err());
    tokio::time::sleep(Duration::from_millis(50)).await;

    println!("after the shutdown:");
    shutdown.cancel_cause("shutting down");
    let response = ask(at, "/report", "60000").await?;
    println!("  client:  {}", response.status());
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    Ok(())
}
