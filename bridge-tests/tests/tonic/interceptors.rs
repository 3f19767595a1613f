//! Interceptors both ways, over real channels.

use bridge_tests::bounded::run;
use bridge_tests::grpc::{Client, UNARY, say};
use bridge_tests::wire::Wire;
use bridge_tests::world::{Witness, obedient, serve};
use ripcord::http::{Header, Policy};
use ripcord::tonic::{ContextInterceptor, DeadlineInterceptor, RequestExt};
use ripcord::{CancelHandle, Context, Error};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tonic::{Code, Request};

/// A server with the interceptor instead of the layer.
async fn serve_intercepted(policy: Policy) -> (SocketAddr, CancelHandle) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let (root, handle) = Context::background().with_cancel();
    let test = InterceptedService::new(obedient(Witness::default()), ContextInterceptor::new(root, policy));
    tokio::spawn(Server::builder().add_service(test).serve_with_incoming(TcpListenerStream::new(listener)));
    (at, handle)
}

#[test]
fn the_servers_gives_handlers_a_context_with_the_deadline() {
    run(async || {
        let (at, root) = serve_intercepted(Policy::untrusted().headers(&[Header::GrpcTimeout])).await;
        let mut wire = Wire::connect(at).await;
        assert_eq!(wire.call(UNARY, "remaining", &[("grpc-timeout", "1H")]).await.status, Some(0));
        assert_eq!(wire.call(UNARY, "remaining", &[("grpc-timeout", "0n")]).await.status, Some(4));
        root.cancel();
        assert_eq!(wire.call(UNARY, "remaining", &[]).await.status, Some(1), "the server's end");

        let (at, _root) = serve_intercepted(Policy::untrusted().refuse_malformed()).await;
        assert_eq!(Wire::connect(at).await.call(UNARY, "remaining", &[("grpc-timeout", "1h")]).await.status, Some(3));
    });
}

#[test]
fn the_servers_context_ends_with_the_server_and_the_handler_hears_it() {
    run(async || {
        let (at, root) = serve_intercepted(Policy::untrusted()).await;
        let calling = tokio::spawn(async move { Wire::connect(at).await.call(UNARY, "obey", &[]).await });
        // Whether the handler runs already or comes to an ended server: the same answer.
        root.cancel_cause("shutting down");
        assert_eq!(calling.await.unwrap().status, Some(1));
    });
}

#[test]
fn the_clients_writes_what_remains_and_sends_nothing_when_nothing_does() {
    run(async || {
        let world = serve().await;
        let channel = InterceptedService::new(world.channel().await, DeadlineInterceptor);
        let mut client = Client::new(channel);
        let (ctx, handle) = Context::background().with_timeout(Duration::from_secs(60));
        let answer = client.unary(say("remaining").with_context(&ctx)).await.unwrap().into_inner();
        let there: u64 = std::str::from_utf8(&answer).unwrap().parse().unwrap();
        assert!(Duration::from_nanos(there) < Duration::from_secs(60));
        handle.cancel();
        assert_eq!(client.unary(say("echo").with_context(&ctx)).await.unwrap_err().code(), Code::Cancelled);
        assert_eq!(world.witness.requests(), 1);
    });
}

#[test]
fn by_themselves() {
    let (ctx, handle) = Context::background().with_timeout(Duration::from_secs(60));
    let mut client = DeadlineInterceptor;
    let mut server = ContextInterceptor::new(Context::background(), Policy::untrusted());

    let sent = client.call(Request::new(()).with_context(&ctx)).unwrap();
    let heard = server.call(Request::from_parts(sent.metadata().clone(), Default::default(), ())).unwrap();
    assert!(heard.context().unwrap().remaining().unwrap() < Duration::from_secs(60));
    assert!(client.call(Request::new(())).unwrap().metadata().is_empty(), "no context, no header");

    let mut shorter = Request::new(()).with_context(&ctx);
    shorter.set_timeout(Duration::from_millis(1));
    let sent = client.call(shorter).unwrap();
    assert_eq!(sent.metadata().get("grpc-timeout").unwrap(), "1000000n");

    handle.reset_timeout(Duration::ZERO);
    assert_eq!(ctx.err(), Some(Error::DeadlineExceeded));
    let status = client.call(Request::new(()).with_context(&ctx)).unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
}
