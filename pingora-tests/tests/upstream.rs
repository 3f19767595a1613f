//! What goes wrong upstream, and is tried again or not.

use pingora_tests::kit::client::{Client, get};
use pingora_tests::kit::in_time;
use pingora_tests::kit::origin::{End, Origin};
use pingora_tests::kit::world::{LONG, World, settings};
use pingora_tests::proxy::Settings;
use pingora_tests::record::Record;
use ripcord::Context;
use std::time::Duration;

#[test]
fn a_whole_answer_leaves_the_connection_to_the_next_request() {
    let origin = Origin::start();
    let world = World::start(settings("ok", origin.at, LONG), &Context::background());

    // pingora takes its connection back before it logs.
    let mut client = Client::send(world.at, "GET", "/ok", &[]);
    assert_eq!(client.finish().body, b"ok");
    world.record(0);
    // With a body, without one, and with one that is not sent: the ends of a response that pingora knows.
    let requests = [("GET", "/empty", 204), ("HEAD", "/ok", 200), ("GET", "/ok", 200)];
    for (n, (method, path, status)) in requests.into_iter().enumerate() {
        assert_eq!(Client::send(world.at, method, path, &[]).until_head().status, Some(status));
        world.record(n + 1);
    }
    client.again("GET", "/ok", &[]);
    assert_eq!(client.finish().body, b"ok");
    let well = |record: &Record| record.cause.is_none() && record.error.is_none();
    assert!((0..5).all(|n| well(&world.record(n))));

    let seen: Vec<_> = [origin.seen("/ok"), origin.seen("/empty")].concat();
    assert_eq!(seen.len(), 5);
    assert!(seen.iter().all(|one| one.connection == seen[0].connection), "one connection for all: {seen:?}");
    world.until_none_alive();
}

#[test]
fn a_reset_is_tried_again_and_a_502_when_it_stays() {
    let origin = Origin::start();
    let world = World::start(settings("reset", origin.at, LONG), &Context::background());

    assert_eq!(get(world.at, "/reset-once", &[]).body, b"ok");
    assert_eq!(origin.ends("/reset-once"), [End::Reset, End::Answered]);
    assert_eq!(world.record(0).tries, 2);

    assert_eq!(get(world.at, "/reset", &[]).status, Some(502));
    assert_eq!(origin.ends("/reset"), [End::Reset; 3]);
    let record = world.record(1);
    assert!(record.cause.is_none() && record.error.is_some(), "its context did not end it: {record}");
    world.until_none_alive();
}

#[test]
fn a_post_is_not_tried_again() {
    let origin = Origin::start();
    let world = World::start(settings("post", origin.at, LONG), &Context::background());

    let answer = Client::send(world.at, "POST", "/reset", &["Content-Length: 0"]).finish();
    assert_eq!(answer.status, Some(502));
    assert_eq!(origin.ends("/reset"), [End::Reset]);
    assert_eq!(world.record(0).tries, 1);
    world.until_none_alive();
}

#[test]
fn a_try_that_takes_too_long_is_hung_up_and_made_again() {
    in_time(Duration::from_millis(200), |per_try| {
        let origin = Origin::start();
        let brisk = Settings { per_try, ..settings("again", origin.at, LONG) };
        let world = World::start(brisk, &Context::background());

        let answer = get(world.at, "/stall-once", &[]);
        assert!(answer.took >= per_try);
        let record = world.record(0);
        assert!(record.tries > 1, "{record}");
        if (record.tries, origin.seen("/stall-once").len()) != (2, 2) {
            return None;
        }
        assert_eq!((answer.status, &answer.body[..]), (Some(200), &b"ok"[..]));
        assert_eq!(origin.ends("/stall-once"), [End::Closed, End::Answered]);
        assert!(record.cause.is_none(), "{record}");

        // A head that drips is no reason to wait longer.
        let answer = get(world.at, "/drip-head", &[]);
        assert_eq!(answer.status, Some(504));
        assert!(answer.took >= 3 * per_try);
        assert_eq!(world.record(1).tries, 3);
        if origin.seen("/drip-head").len() != 3 {
            return None;
        }
        assert_eq!(origin.ends("/drip-head"), [End::Closed; 3]);

        // Once the head has come, the try's time limits nothing any more.
        let mut client = Client::send(world.at, "GET", "/drip", &[]);
        if client.until_head().status == Some(504) {
            return None;
        }
        while client.look().took < 3 * per_try {
            let so_far = client.look().body.len();
            assert!(client.wait_for_body(so_far + 1));
        }
        drop(client);
        assert_eq!(origin.ends("/drip").last(), Some(&End::Closed));
        world.until_none_alive();
        Some(())
    });
}

#[test]
fn nobody_there_is_a_502_after_every_upstream_was_asked() {
    let origin = Origin::start();
    // Bound, so that nobody else takes the port, and not listening.
    let nobody = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    nobody.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let nowhere = nobody.local_addr().unwrap().as_socket().unwrap();

    let world = World::start(settings("nobody", nowhere, LONG), &Context::background());
    assert_eq!(get(world.at, "/ok", &[]).status, Some(502));
    assert_eq!(world.record(0).tries, 3);

    let upstreams = vec![nowhere, origin.at];
    let world = World::start(Settings { upstreams, ..settings("other", origin.at, LONG) }, &Context::background());
    assert_eq!(get(world.at, "/ok", &[]).body, b"ok");
    assert_eq!(world.record(0).tries, 2);
    world.until_none_alive();
}
