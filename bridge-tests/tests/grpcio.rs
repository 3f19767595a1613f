//! Python's grpcio as an outside client of the layer under tonic's server: real deadlines, real cancels.
//!
//! Needs an interpreter with grpcio: `RIPCORD_GRPCIO` names it, `python3` otherwise. `ci/grpcio` installs one.

use bridge_tests::grpc::{Client, Test};
use bridge_tests::world::{Witness, World, in_time, serve, serve_under};
use bytes::Bytes;
use ripcord::Error;
use ripcord::http::{Header, Policy};
use ripcord::tonic::{RequestExt, deadline_layer};
use ripcord::tower::Gone;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use tonic::Request;
use tower::Layer;

/// The client, in a process of its own.
struct Python {
    child: Child,
    tell: ChildStdin,
    told: BufReader<ChildStdout>,
}

impl Python {
    fn start(at: SocketAddr) -> Python {
        let interpreter = std::env::var("RIPCORD_GRPCIO").unwrap_or_else(|_| "python3".to_owned());
        let mut child = Command::new(&interpreter)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/grpcio/client.py"))
            .arg(at.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{interpreter}: {error}"));
        let (tell, told) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut python = Python { child, tell, told };
        let hello = python.listen();
        assert!(hello.starts_with("grpcio "), "no grpcio in {interpreter}: run ci/grpcio, or set RIPCORD_GRPCIO");
        python
    }

    fn listen(&mut self) -> String {
        let mut line = String::new();
        self.told.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Tells it to do something, and returns what it saw.
    fn ask(&mut self, line: &str) -> String {
        writeln!(self.tell, "{line}").unwrap();
        self.listen()
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // Ours, and waiting for a next line that does not come.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a test on a thread of its own, beside two for the server: it may block. Not for ever.
fn run(test: impl AsyncFnOnce()) {
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    rt.block_on(test());
}

async fn world_and_python() -> (World, Python) {
    let world = serve().await;
    let python = Python::start(world.at);
    (world, python)
}

/// How many messages came of a stream before its deadline.
fn cut(saw: &str) -> usize {
    let (count, code) = saw.split_once(' ').unwrap();
    assert_eq!(code, "DEADLINE_EXCEEDED");
    count.parse().unwrap()
}

fn is_deadline_or_gone(witness: &Witness) -> bool {
    // Both sides count: whose clock is first is not settled.
    witness
        .ends()
        .iter()
        .all(|cause| cause.error() == Error::DeadlineExceeded || cause.downcast_ref::<Gone>().is_some())
}

#[test]
fn answers_and_streams_are_ok() {
    run(async || {
        let (world, mut python) = world_and_python().await;
        assert_eq!(python.ask("unary echo 60"), "OK echo");
        assert_eq!(python.ask("stream echo 60"), "3 OK");
        assert_eq!(python.ask("unary remaining -"), "OK -", "no deadline");
        let left = python.ask("unary remaining 60");
        let left = Duration::from_nanos(left.strip_prefix("OK ").unwrap().parse().unwrap());
        // grpcio rounds up what it writes.
        assert!(left <= Duration::from_secs(61) && left > Duration::from_secs(1), "{left:?}");
        world.witness.assert_nothing_left();
    });
}

#[test]
fn a_deadline_is_deadline_exceeded_and_the_handler_ends() {
    run(async || {
        let (world, mut python) = world_and_python().await;
        for message in ["stall", "spawn", "obey"] {
            in_time(Duration::from_millis(300), async |time| {
                let (before, arrived) = (Instant::now(), world.witness.requests());
                let saw = python.ask(&format!("unary {message} {}", time.as_secs_f64()));
                assert!(saw.starts_with("DEADLINE_EXCEEDED"), "{message}: {saw}");
                assert!(before.elapsed() >= time);
                (world.witness.requests() > arrived).then_some(())
            })
            .await;
        }
        assert!(is_deadline_or_gone(&world.witness));
        world.witness.assert_nothing_left();
    });
}

#[test]
fn a_deadline_in_a_stream_is_deadline_exceeded() {
    run(async || {
        let (world, mut python) = world_and_python().await;
        for (message, least, most) in [("stall", 1, 1), ("drip", 2, usize::MAX)] {
            in_time(Duration::from_millis(500), async |time| {
                let count = cut(&python.ask(&format!("stream {message} {}", time.as_secs_f64())));
                assert!(count <= most, "{count} messages came of {message}");
                (count >= least).then_some(())
            })
            .await;
        }
        assert!(is_deadline_or_gone(&world.witness));
        world.witness.assert_nothing_left();
    });
}

/// The client has time; the server says its own limit, in an answer and in trailers.
#[test]
fn the_servers_own_deadline_is_seen_outside() {
    run(async || {
        in_time(Duration::from_millis(200), async |time| {
            let own = Policy::untrusted().headers(&[Header::GrpcTimeout]).budget(time);
            let world = serve_under(|layer| layer.policy(own), bridge_tests::world::obedient).await;
            let mut python = Python::start(world.at);
            assert_eq!(python.ask("unary stall 60"), "DEADLINE_EXCEEDED context deadline exceeded");
            assert_eq!(python.ask("unary stall -"), "DEADLINE_EXCEEDED context deadline exceeded");
            let count = cut(&python.ask("stream stall 60"));
            assert!(count <= 1, "{count} messages");
            assert!(python.ask("stream drip -").ends_with(" DEADLINE_EXCEEDED"));
            assert!(world.witness.ends().iter().all(|cause| cause.error() == Error::DeadlineExceeded));
            world.witness.assert_nothing_left();
            (count == 1).then_some(())
        })
        .await;
    });
}

#[test]
fn a_cancel_ends_the_handler_and_all_below() {
    run(async || {
        let (world, mut python) = world_and_python().await;
        for (message, busy) in [("stall", 1), ("spawn", 2)] {
            assert_eq!(python.ask(&format!("start-unary {message} 60")), "started");
            world.witness.until_busy(busy);
            assert_eq!(python.ask("cancel"), "CANCELLED");
            world.witness.assert_nothing_left();
        }
        for message in ["stall", "drip"] {
            assert_eq!(python.ask(&format!("start-stream {message} 60")), "started");
            assert_eq!(python.ask("cancel"), "CANCELLED");
            world.witness.assert_nothing_left();
        }
        assert_eq!(world.witness.requests(), 4);
        assert!(world.witness.ends().iter().all(|cause| cause.downcast_ref::<Gone>().is_some()));
    });
}

#[test]
fn a_channel_that_closes_ends_the_handler() {
    run(async || {
        let (world, mut python) = world_and_python().await;
        assert_eq!(python.ask("start-stream stall -"), "started");
        assert_eq!(python.ask("close"), "CANCELLED");
        assert!(world.witness.end(0).downcast_ref::<Gone>().is_some());
        world.witness.assert_nothing_left();
        assert_eq!(python.ask("unary echo 60"), "OK echo", "over a new one");
    });
}

#[test]
fn a_client_that_is_killed_ends_the_handler() {
    run(async || {
        let (world, mut python) = world_and_python().await;
        assert_eq!(python.ask("start-stream drip -"), "started");
        drop(python);
        assert!(world.witness.end(0).downcast_ref::<Gone>().is_some());
        world.witness.assert_nothing_left();
    });
}

#[test]
fn a_shutdown_is_cancelled_outside() {
    run(async || {
        let (world, mut python) = world_and_python().await;
        assert_eq!(python.ask("start-stream stall 60"), "started");
        world.root.cancel_cause("shutting down");
        assert_eq!(world.witness.end(0).to_string(), "shutting down");
        assert_eq!(python.ask("unary echo 60"), "CANCELLED context canceled", "the cause stays in the house");
        world.witness.assert_nothing_left();
    });
}

#[test]
fn a_deadline_and_a_cancel_reach_two_servers_away() {
    run(async || {
        let back = serve().await;
        let below = back.channel().await;
        let front = |witness: Witness| {
            Test::new(
                move |request: Request<Bytes>| {
                    let (below, life) = (below.clone(), witness.handler());
                    Box::pin(async move {
                        let ctx = request.context().cloned().expect("a context");
                        let mut client = Client::new(deadline_layer().layer(below));
                        let answer = client.unary(Request::new(request.into_inner()).with_context(&ctx)).await;
                        drop(life);
                        answer
                    })
                },
                |_| Box::pin(std::future::pending()),
            )
        };
        let front = serve_under(|layer| layer, front).await;
        let mut python = Python::start(front.at);
        let left = python.ask("unary remaining 60");
        assert!(left.strip_prefix("OK ").unwrap().parse::<u64>().unwrap() < 61_000_000_000, "{left}");
        assert!(python.ask("unary stall 0.5").starts_with("DEADLINE_EXCEEDED"));
        assert_eq!(python.ask("start-unary spawn 60"), "started");
        back.witness.until_busy(2);
        assert_eq!(python.ask("cancel"), "CANCELLED");
        front.witness.assert_nothing_left();
        back.witness.assert_nothing_left();
    });
}
