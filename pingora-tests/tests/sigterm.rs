//! A real signal. Alone in its process: signals are the process's.

use pingora_tests::kit::client::Client;
use pingora_tests::kit::origin::{End, Origin};
use pingora_tests::kit::world::{LONG, World, settings};
use ripcord::Context;
use ripcord::shutdown::Overdue;
use ripcord::tokio::{Signal, Signaled, notify_context};
use std::process::{Command, id};

#[test]
fn a_sigterm_is_the_cause_of_every_request_it_ends() {
    let (server, _handle) = notify_context(&Context::background()).unwrap();
    let origin = Origin::start();
    let world = World::start(settings("sigterm", origin.at, LONG), &server);
    let mut client = Client::send(world.at, "GET", "/stall", &[]);
    origin.until_asked("/stall", 1);

    assert!(Command::new("kill").args(["-TERM", &id().to_string()]).status().unwrap().success());
    assert_eq!(client.finish().status, Some(503));
    assert_eq!(origin.ends("/stall"), [End::Closed]);
    let report = world.shutdown.wait();
    assert!(report.left.is_empty(), "{report}");
    let cause = world.record(0).cause.unwrap();
    let reason = cause.downcast_ref::<Overdue>().unwrap().reason().clone();
    assert_eq!(reason.downcast_ref::<Signaled>().unwrap().signal(), Signal::Terminate);
    assert!(cause.to_string().contains("received SIGTERM"), "{cause}");
    world.until_none_alive();
}
