//! The client's layer around tonic's channel.

use bridge_tests::bounded::run;
use bridge_tests::grpc::{Client, Test, say};
use bridge_tests::world::{World, eventually, in_time, serve};
use ripcord::tonic::{Grpc, RequestExt, deadline_layer};
use ripcord::tower::{DeadlineService, Gone};
use ripcord::{Cause, Context, Error};
use std::error::Error as _;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Status};
use tower::Layer;

async fn client_of(world: &World) -> Client<DeadlineService<Channel, Grpc>> {
    Client::new(deadline_layer().layer(world.channel().await))
}

fn cause_of(status: &Status) -> &Cause {
    let mut source = status.source();
    while let Some(error) = source {
        if let Some(cause) = error.downcast_ref() {
            return cause;
        }
        source = error.source();
    }
    panic!("no cause in {status:?}");
}

#[test]
fn answers_and_streams_pass() {
    run(async || {
        let world = serve().await;
        let mut client = client_of(&world).await;
        let (ctx, _handle) = Context::background().with_timeout(Duration::from_secs(3600));
        assert_eq!(client.unary(say("echo").with_context(&ctx)).await.unwrap().into_inner(), "echo");
        let mut stream = client.stream(say("echo").with_context(&ctx)).await.unwrap().into_inner();
        for _ in 0..3 {
            assert_eq!(stream.message().await.unwrap().unwrap(), "echo");
        }
        assert!(stream.message().await.unwrap().is_none());
        assert!(!ctx.is_done(), "the caller's context is the caller's");
        assert_eq!(client.unary(say("echo")).await.unwrap().into_inner(), "echo", "without a context");
        world.witness.assert_nothing_left();
    });
}

#[test]
fn what_remains_arrives_and_is_less() {
    run(async || {
        let world = serve().await;
        let mut client = client_of(&world).await;
        let left = |answer: tonic::Response<bytes::Bytes>| {
            String::from_utf8(answer.into_inner().to_vec()).unwrap().parse().map(Duration::from_nanos)
        };
        let (ctx, _handle) = Context::background().with_timeout(Duration::from_secs(60));
        let there = left(client.unary(say("remaining").with_context(&ctx)).await.unwrap()).unwrap();
        assert!(there < Duration::from_secs(60) && there > Duration::from_secs(1), "{there:?}");

        let mut shorter = say("remaining").with_context(&ctx);
        shorter.set_timeout(Duration::from_secs(10));
        assert!(left(client.unary(shorter).await.unwrap()).unwrap() <= Duration::from_secs(10));

        let (endless, _handle) = Context::background().with_cancel();
        assert!(left(client.unary(say("remaining").with_context(&endless)).await.unwrap()).is_err(), "no limit: `-`");
    });
}

/// The channel has a timer of its own for the header that the layer writes, and calls its end CANCELLED.
#[test]
fn a_deadline_is_deadline_exceeded_whoever_wakes_first() {
    run(async || {
        let world = serve().await;
        let mut client = client_of(&world).await;
        for n in 0..100 {
            let before = Instant::now();
            let timeout = Duration::from_micros(5000 + n * 7);
            let (ctx, _handle) = Context::background().with_timeout(timeout);
            let status = client.unary(say("stall").with_context(&ctx)).await.unwrap_err();
            assert_eq!(status.code(), Code::DeadlineExceeded, "call {n}: {status:?}");
            assert!(before.elapsed() >= timeout);
        }
        world.witness.assert_nothing_left();
    });
}

/// A server that maps the deadline to CANCELLED, as tonic's does without the layer: heard of too late to matter.
#[test]
fn a_deadline_is_deadline_exceeded_whatever_the_server_says() {
    run(async || {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let stall = Test::new(|_| Box::pin(std::future::pending()), |_| Box::pin(std::future::pending()));
        tokio::spawn(Server::builder().add_service(stall).serve_with_incoming(TcpListenerStream::new(listener)));
        let channel = Endpoint::new(format!("http://{at}")).unwrap().connect().await.unwrap();

        // Without the layer, the channel's own.
        let mut bare = say("stall");
        bare.set_timeout(Duration::from_millis(20));
        assert_eq!(Client::new(channel.clone()).unary(bare).await.unwrap_err().code(), Code::Cancelled);

        let mut client = Client::new(deadline_layer().layer(channel));
        for n in 0..50 {
            let (ctx, _handle) = Context::background().with_timeout(Duration::from_millis(5));
            let status = client.unary(say("stall").with_context(&ctx)).await.unwrap_err();
            assert_eq!(status.code(), Code::DeadlineExceeded, "call {n}: {status:?}");
            // The call's own timeout, under a context that goes on.
            let (ctx, _handle) = Context::background().with_timeout(Duration::from_secs(3600));
            let mut call = say("stall").with_context(&ctx);
            call.set_timeout(Duration::from_millis(5));
            let status = client.unary(call).await.unwrap_err();
            assert_eq!(status.code(), Code::DeadlineExceeded, "call {n}: {status:?}");
            assert!(!ctx.is_done());
        }
    });
}

#[test]
fn a_cancel_is_cancelled_with_its_cause_and_the_server_hears_of_it() {
    run(async || {
        let world = serve().await;
        let mut client = client_of(&world).await;
        let (ctx, handle) = Context::background().with_cancel();
        let witness = world.witness.clone();
        let canceling = tokio::task::spawn_blocking(move || {
            witness.until_busy(2);
            handle.cancel_cause("a faster one won");
        });
        let status = client.unary(say("spawn").with_context(&ctx)).await.unwrap_err();
        canceling.await.unwrap();
        assert_eq!((status.code(), status.message()), (Code::Cancelled, "context canceled"));
        assert_eq!(cause_of(&status).to_string(), "a faster one won");
        assert!(world.witness.end(0).downcast_ref::<Gone>().is_some());
        world.witness.assert_nothing_left();
    });
}

#[test]
fn an_end_in_a_stream_is_the_streams_status() {
    run(async || {
        let world = serve().await;
        let mut client = client_of(&world).await;
        for message in ["stall", "drip"] {
            in_time(Duration::from_millis(100), async |time| {
                let (ctx, _handle) = Context::background().with_timeout(time);
                let stream = client.stream(say(message).with_context(&ctx)).await;
                let mut stream = stream.map_err(|status| assert_eq!(status.code(), Code::DeadlineExceeded)).ok()?;
                let status = loop {
                    match stream.get_mut().message().await {
                        Ok(Some(got)) => assert_eq!(got, message),
                        Ok(None) => panic!("{message}: ended as if it were whole"),
                        Err(status) => break status,
                    }
                };
                assert_eq!(status.code(), Code::DeadlineExceeded, "{message}: {status:?}");
                Some(())
            })
            .await;
            assert!(!world.witness.ends().is_empty(), "the server hears of it");
        }
        for message in ["stall", "drip"] {
            let (ctx, handle) = Context::background().with_cancel();
            let mut stream = client.stream(say(message).with_context(&ctx)).await.unwrap().into_inner();
            assert_eq!(stream.message().await.unwrap().unwrap(), message);
            // They come in the order in which they were sent, on one connection.
            let last = world.witness.requests() - 1;
            handle.cancel_cause("enough");
            let status = loop {
                match stream.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("{message}: ended as if it were whole"),
                    Err(status) => break status,
                }
            };
            assert_eq!(status.code(), Code::Cancelled, "{message}");
            assert_eq!(cause_of(&status).to_string(), "enough");
            // Before the stream is dropped: the layer has given the call up already.
            assert!(world.witness.end(last).downcast_ref::<Gone>().is_some());
        }
        world.witness.assert_nothing_left();
    });
}

#[test]
fn when_nothing_remains_nothing_is_sent() {
    run(async || {
        let world = serve().await;
        let mut client = client_of(&world).await;
        let (late, _handle) = Context::background().with_timeout_cause(Duration::ZERO, "too late");
        let status = client.unary(say("echo").with_context(&late)).await.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded);
        assert_eq!(
            (cause_of(&status).error(), cause_of(&status).to_string().as_str()),
            (Error::DeadlineExceeded, "too late")
        );
        let (ctx, handle) = Context::background().with_cancel();
        handle.cancel();
        assert_eq!(client.stream(say("echo").with_context(&ctx)).await.unwrap_err().code(), Code::Cancelled);
        // One that arrives, to know that the others did not.
        client.unary(say("echo")).await.unwrap();
        eventually("the last request", || world.witness.requests() == 1);
        assert_eq!(world.witness.requests(), 1);
    });
}

#[test]
fn a_servers_own_statuses_pass() {
    run(async || {
        let world = serve().await;
        let mut client = client_of(&world).await;
        let (ctx, _handle) = Context::background().with_timeout(Duration::from_secs(3600));
        let status = client.unary(say("nonsense").with_context(&ctx)).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "nonsense"));
        world.root.cancel();
        let status = client.unary(say("echo").with_context(&ctx)).await.unwrap_err();
        assert_eq!(status.code(), Code::Cancelled, "the server's end, not ours");
        assert!(!ctx.is_done());
    });
}
