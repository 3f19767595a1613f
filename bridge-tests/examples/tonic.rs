//! Three gRPC servers in a row: the first one's deadline is known to the last, and nobody works when nobody waits.
//!
//! ```text
//! cargo run --manifest-path bridge-tests/Cargo.toml --example tonic
//! ```

use bridge_tests::grpc::{Client, Test, say};
use bytes::Bytes;
use ripcord::Context;
use ripcord::http::Policy;
use ripcord::tonic::{RequestExt, context_layer, deadline_layer};
use ripcord::tower::BoxError;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Response, Status};
use tower::Layer;

/// A handler: thinks for 20 ms under its context, and asks the next one, under its context.
async fn handle(name: &'static str, request: Request<Bytes>, next: Option<Channel>) -> Result<Response<Bytes>, Status> {
    let ctx = request.context().cloned().ok_or_else(|| Status::internal("no context layer"))?;
    println!("  {name:>9}: {:?} left", ctx.remaining());
    let told = ctx.clone();
    ctx.after_func(move || println!("  {name:>9}: over, {}", told.cause().expect("an ended context has a cause")));
    // `?`: an ended context is CANCELLED or DEADLINE_EXCEEDED.
    ctx.run(tokio::time::sleep(Duration::from_millis(20))).await?;
    match next {
        Some(channel) => {
            let mut client = Client::new(deadline_layer().layer(channel));
            client.unary(Request::new(request.into_inner()).with_context(&ctx)).await
        }
        None => {
            // The last one has a lot to do.
            ctx.run(tokio::time::sleep(Duration::from_millis(100))).await?;
            Ok(Response::new(Bytes::from_static(b"done")))
        }
    }
}

async fn serve(name: &'static str, root: &Context, next: Option<Channel>) -> Result<Channel, BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let at: SocketAddr = listener.local_addr()?;
    let service = Test::new(
        move |request| Box::pin(handle(name, request, next.clone())),
        |_| Box::pin(async { Err(Status::unimplemented("one answer per call")) }),
    );
    let layer = context_layer(root.clone()).policy(Policy::untrusted().budget(Duration::from_secs(30)));
    tokio::spawn(
        Server::builder().layer(layer).add_service(service).serve_with_incoming(TcpListenerStream::new(listener)),
    );
    Ok(Endpoint::new(format!("http://{at}"))?.connect().await?)
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let (servers, shutdown) = Context::background().with_cancel();
    let warehouse = serve("warehouse", &servers, None).await?;
    let stock = serve("stock", &servers, Some(warehouse)).await?;
    let shop = serve("shop", &servers, Some(stock)).await?;
    let mut client = Client::new(deadline_layer().layer(shop));

    println!("twenty seconds are enough:");
    let (ctx, _handle) = Context::background().with_timeout(Duration::from_secs(20));
    let answer = client.unary(say("order").with_context(&ctx)).await?;
    println!("     client: {:?}", answer.into_inner());

    println!("80 milliseconds are not:");
    let (ctx, _handle) = Context::background().with_timeout(Duration::from_millis(80));
    let status = client.unary(say("order").with_context(&ctx)).await.expect_err("20 + 20 + 20 + 100 ms");
    println!("     client: {:?}", status.code());
    assert_eq!(status.code(), Code::DeadlineExceeded);

    println!("a client that changes its mind:");
    let (ctx, handle) = Context::background().with_cancel();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(80)).await;
        handle.cancel_cause("bought elsewhere");
    });
    let status = client.unary(say("order").with_context(&ctx)).await.expect_err("canceled");
    println!("     client: {:?}", status.code());
    assert_eq!(status.code(), Code::Cancelled);
    tokio::time::sleep(Duration::from_millis(50)).await;

    println!("after the shutdown:");
    shutdown.cancel_cause("shutting down");
    let status = client.unary(say("order")).await.expect_err("shut down");
    println!("     client: {:?}", status.code());
    assert_eq!(status.code(), Code::Cancelled);
    Ok(())
}
