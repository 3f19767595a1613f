//! Ends that come from the client, and from above.

use pingora_tests::cause::Why;
use pingora_tests::kit::client::{Client, get};
use pingora_tests::kit::eventually;
use pingora_tests::kit::origin::{End, Origin};
use pingora_tests::kit::world::{LONG, World, settings};
use pingora_tests::record::Record;
use ripcord::shutdown::{Overdue, Stage};
use ripcord::{Context, Error};
use std::net::TcpStream;

#[track_caller]
fn assert_client_was_gone(record: &Record) {
    let cause = record.cause.as_ref().expect("its context has ended");
    assert_eq!((cause.downcast_ref(), cause.error()), (Some(&Why::ClientGone), Error::Canceled), "{record}");
    assert!(!record.dropped, "{record}");
}

#[test]
fn a_client_that_goes_takes_its_request_along() {
    let origin = Origin::start();
    let world = World::start(settings("gone", origin.at, LONG), &Context::background());

    let client = Client::send(world.at, "GET", "/stall", &[]);
    origin.until_asked("/stall", 1);
    drop(client);
    assert_eq!(origin.ends("/stall"), [End::Closed]);
    assert_client_was_gone(&world.record(0));
    assert_eq!(world.record(0).status, None);

    for (n, path) in ["/drip", "/pause"].into_iter().enumerate() {
        let mut client = Client::send(world.at, "GET", path, &[]);
        assert!(client.wait_for_body(1));
        drop(client);
        assert_eq!(origin.ends(path), [End::Closed]);
        assert_client_was_gone(&world.record(n + 1));
        assert_eq!(world.record(n + 1).status, Some(200));
    }
    world.until_none_alive();
}

#[test]
fn one_end_above_ends_all_with_a_cause_that_names_it() {
    let origin = Origin::start();
    let (server, signal) = Context::background().with_cancel();
    let world = World::start(settings("shutdown", origin.at, LONG), &server);

    let mut resting = Client::send(world.at, "GET", "/ok", &[]);
    assert!(resting.finish().whole);
    let mut waiting = Client::send(world.at, "GET", "/stall", &[]);
    origin.until_asked("/stall", 1);
    let mut reading = Client::send(world.at, "GET", "/drip", &[]);
    assert!(reading.wait_for_body(1));

    signal.cancel_cause("SIGTERM");
    assert!(resting.is_closed(), "what is idle goes at the drain");
    eventually("the listener to close", || TcpStream::connect(world.at).is_err());

    let answer = waiting.finish();
    assert_eq!((answer.status, answer.whole), (Some(503), true), "{answer:?}");
    let answer = reading.finish();
    assert_eq!((answer.status, answer.whole), (Some(200), false), "{answer:?}");
    assert_eq!((origin.ends("/stall"), origin.ends("/drip")), (vec![End::Closed], vec![End::Closed]));

    let report = world.shutdown.wait();
    assert!(report.left.is_empty(), "{report}");
    assert_eq!(report.running_at(Stage::Cancel), Some(2), "{report}");
    for record in &world.records()[1..] {
        let cause = record.cause.as_ref().expect("it was canceled");
        let overdue: &Overdue = cause.downcast_ref().expect("the stage's cause");
        assert_eq!((cause.error(), overdue.reason().to_string()), (Error::Canceled, "SIGTERM".into()));
        assert!(!record.dropped, "{record}");
    }
    assert_eq!(world.records().len(), 3);
    world.until_none_alive();
}

#[test]
fn a_request_that_comes_too_late_is_refused() {
    let origin = Origin::start();
    let world = World::start(settings("late", origin.at, LONG), &Context::background());
    // Its guard keeps the shutdown going, its connection is open already.
    let guard = world.shutdown.guard("test");
    let mut waiting = Client::send(world.at, "GET", "/stall", &[]);
    origin.until_asked("/stall", 1);
    world.shutdown.begin("too late");
    assert_eq!(world.shutdown.advance("at once"), Some(Stage::Cancel));
    assert_eq!(waiting.finish().status, Some(503));
    assert_eq!(world.record(0).cause.unwrap().to_string(), "at once");
    drop(guard);
    world.until_none_alive();
}

#[test]
fn clients_beside_each_other_end_each_for_itself() {
    let origin = Origin::start();
    let world = World::start(settings("beside", origin.at, LONG), &Context::background());
    let mut stays = Client::send(world.at, "GET", "/drip", &[]);
    assert!(stays.wait_for_body(1));

    std::thread::scope(|scope| {
        for n in 0..8 {
            let (origin, at) = (&origin, world.at);
            scope.spawn(move || {
                for _ in 0..20 {
                    if n % 2 == 0 {
                        assert_eq!(get(at, "/ok", &[]).body, b"ok");
                    } else {
                        let answer = get(at, "/half", &["grpc-timeout: 20m"]);
                        assert!(
                            answer.status == Some(504) || answer.status == Some(200) && !answer.whole,
                            "{answer:?}"
                        );
                    }
                }
                drop(origin.ends("/ok"));
            });
        }
    });
    let so_far = stays.look().body.len();
    assert!(stays.wait_for_body(so_far + 1), "nobody else's end was its own");
    eventually("all records", || world.records().len() == 160);
    let (ended, well): (Vec<_>, Vec<_>) = world.records().into_iter().partition(|record| record.cause.is_some());
    assert_eq!((ended.len(), well.len()), (80, 80), "{ended:#?}");
    assert!(well.iter().all(|record| record.status == Some(200) && record.error.is_none()));
    drop(stays);
    assert_eq!(origin.ends("/drip"), [End::Closed]);
    world.until_none_alive();
}
