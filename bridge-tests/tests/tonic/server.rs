//! The server's layer under tonic's server, watched from bare HTTP/2: no timer but the server's.

use bridge_tests::bounded::run;
use bridge_tests::grpc::{STREAM, UNARY};
use bridge_tests::wire::{Wire, read};
use bridge_tests::world::{Witness, eventually, in_time, obedient, serve, serve_under};
use ripcord::Error;
use ripcord::http::{Header, Policy};
use ripcord::tower::Gone;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;

const CANCELLED: Option<i32> = Some(1);
const INVALID_ARGUMENT: Option<i32> = Some(3);
const DEADLINE_EXCEEDED: Option<i32> = Some(4);

#[test]
fn answers_and_trailers_pass() {
    run(async || {
        let world = serve().await;
        let mut wire = Wire::connect(world.at).await;
        for (path, messages) in [(UNARY, 1), (STREAM, 3)] {
            let said = wire.call(path, "echo", &[("grpc-timeout", "1H")]).await;
            assert_eq!((said.status, said.messages, said.reset), (Some(0), messages, false));
        }
        for n in 0..2 {
            let cause = world.witness.end(n);
            assert_eq!((cause.error(), cause.to_string().as_str()), (Error::Canceled, "context canceled"));
        }
        world.witness.assert_nothing_left();
    });
}

/// tonic has a timer of its own for the same header, faster by the window of ours, mostly, and it says something else.
#[test]
fn a_deadline_is_deadline_exceeded_whoever_wakes_first() {
    run(async || {
        let world = serve().await;
        let calls: Vec<_> = (0..60)
            .map(|n| {
                let at = world.at;
                tokio::spawn(async move {
                    let before = Instant::now();
                    let timeout = ["250m", "250100u", "250900u", "251m", "260m"][n % 5];
                    let said = Wire::connect(at).await.call(UNARY, "stall", &[("grpc-timeout", timeout)]).await;
                    assert!(before.elapsed() >= Duration::from_millis(250));
                    said
                })
            })
            .collect();
        for call in calls {
            let said = call.await.unwrap();
            assert_eq!((said.status, said.messages, said.reset), (DEADLINE_EXCEEDED, 0, false));
            assert_eq!(said.message, "context deadline exceeded");
        }
        assert!(world.witness.ends().iter().all(|cause| cause.error() == Error::DeadlineExceeded));
        world.witness.assert_nothing_left();
    });
}

/// The same services without tonic's server around them: nobody has another timer, however short the time.
#[test]
fn services_under_axums_server_have_one_timer_only() {
    run(async || {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let witness = Witness::default();
        let layer = witness.watch(ripcord::tonic::context_layer(ripcord::Context::background()));
        let app = tonic::service::Routes::new(obedient(witness.clone())).into_axum_router().layer(layer);
        tokio::spawn(async move { axum::serve(listener, app).await });
        let mut wire = Wire::connect(at).await;
        for n in 0..100 {
            let said = wire.call(UNARY, "stall", &[("grpc-timeout", if n % 2 == 0 { "5m" } else { "4321u" })]).await;
            assert_eq!((said.status, said.reset), (DEADLINE_EXCEEDED, false), "call {n}");
        }
        assert_eq!(wire.call(STREAM, "stall", &[("grpc-timeout", "100m")]).await.status, DEADLINE_EXCEEDED);
        witness.assert_nothing_left();
    });
}

/// What the layer is there for: the same server without it.
#[test]
fn without_the_layer_tonic_says_cancelled() {
    run(async || {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let stall =
            bridge_tests::grpc::Test::new(|_| Box::pin(std::future::pending()), |_| Box::pin(std::future::pending()));
        tokio::spawn(Server::builder().add_service(stall).serve_with_incoming(TcpListenerStream::new(listener)));
        let said = Wire::connect(at).await.call(UNARY, "stall", &[("grpc-timeout", "5m")]).await;
        assert_eq!(said.status, CANCELLED);
    });
}

#[test]
fn a_deadline_in_a_stream_ends_it_with_trailers() {
    run(async || {
        let world = serve().await;
        let mut wire = Wire::connect(world.at).await;
        for message in ["stall", "drip"] {
            in_time(Duration::from_millis(100), async |time| {
                let before = Instant::now();
                let timeout = format!("{}m", time.as_millis()).leak();
                let said = wire.call(STREAM, message, &[("grpc-timeout", timeout)]).await;
                assert!(before.elapsed() >= time);
                assert_eq!((said.status, said.reset), (DEADLINE_EXCEEDED, false), "{message}");
                assert!(message == "drip" || said.messages <= 1, "{message}: {}", said.messages);
                (said.messages > 0).then_some(())
            })
            .await;
        }
        assert!(world.witness.ends().iter().all(|cause| cause.error() == Error::DeadlineExceeded));
        world.witness.assert_nothing_left();
    });
}

#[test]
fn a_shutdown_is_cancelled_before_and_in_a_stream() {
    run(async || {
        let world = serve().await;
        let at = world.at;
        let unary = tokio::spawn(async move { Wire::connect(at).await.call(UNARY, "stall", &[]).await });
        let streamed = tokio::spawn(async move { Wire::connect(at).await.call(STREAM, "stall", &[]).await });
        world.witness.until_busy(2);
        world.root.cancel_cause("shutting down");
        for (n, call) in [unary, streamed].into_iter().enumerate() {
            let said = call.await.unwrap();
            assert_eq!((said.status, said.reset), (CANCELLED, false), "call {n}");
            assert_eq!(said.message, "context canceled", "the cause stays in the house");
            assert_eq!(world.witness.end(n).to_string(), "shutting down");
        }
        let late = Wire::connect(at).await.call(UNARY, "echo", &[]).await;
        assert_eq!(late.status, CANCELLED, "and whoever comes after it");
        world.witness.assert_nothing_left();
    });
}

#[test]
fn a_client_that_goes_ends_everything_below_the_request() {
    run(async || {
        let world = serve().await;
        // A connection that is cut, with a task that the handler has spawned.
        let mut wire = Wire::connect(world.at).await;
        let cut = wire.scissors();
        let calling = tokio::spawn(async move { wire.start(UNARY, "spawn", &[]).await });
        world.witness.until_busy(2);
        cut();
        assert!(calling.await.unwrap().is_err());
        assert!(world.witness.end(0).downcast_ref::<Gone>().is_some());

        // A stream that is reset, on a connection that lives on.
        let mut wire = Wire::connect(world.at).await;
        let response = wire.start(STREAM, "drip", &[]).await.unwrap();
        drop(response);
        assert!(world.witness.end(1).downcast_ref::<Gone>().is_some());
        assert_eq!(wire.call(UNARY, "echo", &[]).await.status, Some(0));
        world.witness.assert_nothing_left();
    });
}

#[test]
fn nothing_left_on_arrival_is_deadline_exceeded_and_no_handler() {
    run(async || {
        let world =
            serve_under(|layer| layer, |_| bridge_tests::grpc::Test::new(|_| panic!("called"), |_| panic!("called")))
                .await;
        let mut wire = Wire::connect(world.at).await;
        for path in [UNARY, STREAM] {
            assert_eq!(wire.call(path, "echo", &[("grpc-timeout", "0n")]).await.status, DEADLINE_EXCEEDED);
        }
    });
}

#[test]
fn malformed_timeouts_are_ignored_or_refused() {
    run(async || {
        let world = serve().await;
        let mut wire = Wire::connect(world.at).await;
        assert_eq!(wire.call(UNARY, "remaining", &[("grpc-timeout", "soon")]).await.status, Some(0));
        assert_eq!(world.witness.context(0).deadline(), None);

        let strict = Policy::untrusted().headers(&[Header::GrpcTimeout]).refuse_malformed();
        let world = serve_under(|layer| layer.policy(strict), obedient).await;
        let said = Wire::connect(world.at).await.call(UNARY, "echo", &[("grpc-timeout", "5")]).await;
        assert_eq!(said.status, INVALID_ARGUMENT);
        assert!(said.message.contains("malformed grpc-timeout"), "{}", said.message);
        assert_eq!(world.witness.requests(), 0);
    });
}

#[test]
fn a_handler_that_obeys_says_it_itself() {
    run(async || {
        let world = serve().await;
        let mut wire = Wire::connect(world.at).await;
        for n in 0..5 {
            let said = wire.call(UNARY, "obey", &[("grpc-timeout", "200m")]).await;
            assert_eq!(said.status, DEADLINE_EXCEEDED, "call {n}");
        }
        world.witness.assert_nothing_left();
    });
}

/// Many at once, each in another phase when its deadline comes.
#[test]
fn a_crowd_of_deadlines_leaves_nothing() {
    run(async || {
        let world = serve().await;
        let calls: Vec<_> = (0..200)
            .map(|n| {
                let at = world.at;
                tokio::spawn(async move {
                    let mut wire = Wire::connect(at).await;
                    let (path, message) =
                        [(UNARY, "stall"), (STREAM, "stall"), (STREAM, "drip"), (UNARY, "spawn")][n % 4];
                    let timeout = ["300m", "301m", "305m", "310500u"][n / 4 % 4];
                    let response = wire.start(path, message, &[("grpc-timeout", timeout)]).await.unwrap();
                    read(response).await
                })
            })
            .collect();
        for call in calls {
            let said = call.await.unwrap();
            assert_eq!((said.status, said.reset), (DEADLINE_EXCEEDED, false));
        }
        eventually("all requests", || world.witness.requests() == 200);
        world.witness.assert_nothing_left();
    });
}

/// The witness itself: it would see a context that stays.
#[test]
fn the_witness_sees_what_stays() {
    run(async || {
        let kept = std::sync::Arc::new(std::sync::Mutex::new(None));
        let keeper = kept.clone();
        let test = |witness: Witness| {
            bridge_tests::grpc::Test::new(
                move |request| {
                    *keeper.lock().unwrap() = request.extensions().get::<ripcord::Context>().cloned();
                    let life = witness.handler();
                    Box::pin(async move {
                        drop(life);
                        Ok(tonic::Response::new(bytes::Bytes::new()))
                    })
                },
                |_| Box::pin(std::future::pending()),
            )
        };
        let world = serve_under(|layer| layer, test).await;
        assert_eq!(Wire::connect(world.at).await.call(UNARY, "echo", &[]).await.status, Some(0));
        assert_eq!(world.witness.alive(), 1, "the handler kept its context");
        drop(kept.lock().unwrap().take());
        world.witness.assert_nothing_left();
    });
}
