//! A handler that calls another server: its deadline and its end go with the call.

use bridge_tests::bounded::run;
use bridge_tests::grpc::{Client, Test, UNARY, say};
use bridge_tests::wire::Wire;
use bridge_tests::world::{Witness, World, serve, serve_under};
use bytes::Bytes;
use ripcord::tonic::{RequestExt, deadline_layer};
use ripcord::tower::Gone;
use ripcord::{Context, Error};
use std::time::{Duration, Instant};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use tower::Layer;

/// Passes its message on, under its own context.
async fn pass(request: Request<Bytes>, below: Channel) -> Result<Response<Bytes>, Status> {
    let ctx = request.context().cloned().ok_or_else(|| Status::internal("no context"))?;
    let mut client = Client::new(deadline_layer().layer(below));
    let answer = client.unary(Request::new(request.into_inner()).with_context(&ctx)).await?;
    Ok(Response::new(answer.into_inner()))
}

/// A server in front of another.
async fn front(back: &World) -> World {
    let below = back.channel().await;
    let test = |witness: Witness| {
        Test::new(
            move |request| {
                let (below, life) = (below.clone(), witness.handler());
                Box::pin(async move {
                    let answer = pass(request, below).await;
                    drop(life);
                    answer
                })
            },
            |_| Box::pin(async { Err(Status::unimplemented("only one by one")) }),
        )
    };
    serve_under(|layer| layer, test).await
}

#[test]
fn the_deadline_is_carried_on_and_shrinks() {
    run(async || {
        let back = serve().await;
        let front = front(&back).await;
        let mut client = Client::new(deadline_layer().layer(front.channel().await));
        let (ctx, _handle) = Context::background().with_timeout(Duration::from_secs(60));
        let asked = Instant::now();
        let answer = client.unary(say("remaining").with_context(&ctx)).await.unwrap().into_inner();
        let there: u64 = std::str::from_utf8(&answer).unwrap().parse().unwrap();
        assert!(Duration::from_nanos(there) < Duration::from_secs(60));
        // What the way took is all that the other clock can be behind.
        let way = asked.elapsed();
        assert!(front.witness.context(0).deadline().unwrap() <= ctx.deadline().unwrap() + way);
        front.witness.assert_nothing_left();
        back.witness.assert_nothing_left();
    });
}

#[test]
fn the_deadline_ends_both_and_all_three_agree() {
    run(async || {
        let back = serve().await;
        let front = front(&back).await;
        let mut wire = Wire::connect(front.at).await;
        for n in 0..10 {
            let said = wire.call(UNARY, "stall", &[("grpc-timeout", "200m")]).await;
            assert_eq!(said.status, Some(4), "call {n}");
        }
        assert!(front.witness.ends().iter().all(|cause| cause.error() == Error::DeadlineExceeded));
        for cause in back.witness.ends() {
            assert!(cause.error().is_timeout() || cause.downcast_ref::<Gone>().is_some(), "{cause}");
        }
        front.witness.assert_nothing_left();
        back.witness.assert_nothing_left();
    });
}

#[test]
fn a_client_that_goes_is_gone_two_servers_away() {
    run(async || {
        let back = serve().await;
        let front = front(&back).await;
        let mut client = Client::new(deadline_layer().layer(front.channel().await));
        let (ctx, handle) = Context::background().with_cancel();
        let witness = back.witness.clone();
        let canceling = tokio::task::spawn_blocking(move || {
            witness.until_busy(2);
            handle.cancel();
        });
        assert_eq!(client.unary(say("spawn").with_context(&ctx)).await.unwrap_err().code(), tonic::Code::Cancelled);
        canceling.await.unwrap();
        assert!(front.witness.end(0).downcast_ref::<Gone>().is_some());
        assert!(back.witness.end(0).downcast_ref::<Gone>().is_some());
        front.witness.assert_nothing_left();
        back.witness.assert_nothing_left();
    });
}

#[test]
fn a_shutdown_of_the_one_behind_passes_as_what_it_is() {
    run(async || {
        let back = serve().await;
        let front = front(&back).await;
        let mut client = Client::new(front.channel().await);
        back.root.cancel();
        assert_eq!(client.unary(say("echo")).await.unwrap_err().code(), tonic::Code::Cancelled);
        assert_eq!(front.witness.end(0).error(), Error::Canceled);
        front.witness.assert_nothing_left();
    });
}
