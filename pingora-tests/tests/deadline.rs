//! The deadline is the whole request's: whatever the origin does, and between two of its bytes.

use pingora_tests::cause::Why;
use pingora_tests::kit::client::{Client, get};
use pingora_tests::kit::in_time;
use pingora_tests::kit::origin::{End, Origin, Seen};
use pingora_tests::kit::plain::Plain;
use pingora_tests::kit::world::{LINGER, LONG, World, settings, start};
use pingora_tests::proxy::Settings;
use pingora_tests::record::Record;
use ripcord::shutdown::Shutdown;
use ripcord::{Context, Error};
use std::thread;
use std::time::Duration;

const BUDGET: Duration = Duration::from_millis(400);

#[track_caller]
fn assert_time_was_up(record: &Record) {
    let cause = record.cause.as_ref().expect("its context has ended");
    assert_eq!((cause.downcast_ref(), cause.error()), (Some(&Why::TimeUp), Error::DeadlineExceeded), "{record}");
}

/// An origin that never sends a head: the client reads a 504.
fn without_a_head(name: &'static str, path: &str) {
    in_time(BUDGET, |budget| {
        let origin = Origin::start();
        let world = World::start(settings(name, origin.at, budget), &Context::background());

        let answer = get(world.at, path, &[]);
        assert_eq!((answer.status, answer.whole), (Some(504), true), "{answer:?}");
        assert!(answer.took >= budget, "{answer:?}");
        let record = world.record(0);
        assert_time_was_up(&record);
        assert_eq!((record.status, record.dropped), (Some(504), false));
        world.until_none_alive();
        origin.was_asked(path).then(|| assert_eq!(origin.ends(path), [End::Closed]))
    });
}

#[test]
fn a_stall_before_the_head_is_a_504() {
    without_a_head("stall", "/stall");
}

#[test]
fn a_head_that_drips_is_a_504() {
    without_a_head("drip-head", "/drip-head");
}

/// An origin that sends a head and no end: the client has the head, and a body that is cut.
fn without_an_end(name: &'static str, path: &str) {
    in_time(BUDGET, |budget| {
        let origin = Origin::start();
        let world = World::start(settings(name, origin.at, budget), &Context::background());

        let answer = get(world.at, path, &[]);
        assert!(answer.took >= budget, "{answer:?}");
        let record = world.record(0);
        assert_time_was_up(&record);
        world.until_none_alive();
        if answer.status == Some(504) || !answer.body.contains(&b'x') {
            return None;
        }
        assert_eq!((answer.status, answer.whole), (Some(200), false), "{answer:?}");
        assert_eq!(origin.ends(path), [End::Closed]);
        assert_eq!((record.status, record.dropped), (Some(200), false));
        assert!(record.bytes > 0, "{record}");
        Some(())
    });
}

#[test]
fn a_body_that_drips_is_cut() {
    without_an_end("drip", "/drip");
}

/// Its end is the connection's, and the connection is hung up: that must not look like the end of the body.
#[test]
fn a_body_without_a_length_that_drips_is_cut_and_not_taken_for_whole() {
    without_an_end("drip-raw", "/drip-raw");
}

#[test]
fn a_stall_between_two_bytes_is_cut() {
    without_an_end("pause", "/pause");
}

/// pingora holds back the beginning of a body whose length it knows.
#[test]
fn a_stall_in_a_body_with_a_length_is_cut_and_what_came_is_sent() {
    without_an_end("half", "/half");
}

/// The proxy waits for its client here, and not for the origin that was hung up. pingora's write timeout ends it.
#[test]
fn a_client_that_does_not_read_is_dropped() {
    in_time(BUDGET, |budget| {
        let origin = Origin::start();
        let world = World::start(settings("flood", origin.at, budget), &Context::background());

        let client = Client::send(world.at, "GET", "/flood", &[]);
        let record = world.record(0);
        assert_time_was_up(&record);
        assert!(record.took >= budget, "{record}");
        world.until_none_alive();
        let asked = origin.was_asked("/flood").then(|| assert_eq!(origin.ends("/flood"), [End::Closed]));
        drop(client);
        asked
    });
}

/// The write timeout begins anew with each write, so a client that reads a little and stops has it twice. Nothing tells
/// pingora meanwhile; its future is dropped.
#[test]
fn a_client_that_reads_now_and_then_is_dropped() {
    let budget = Duration::from_secs(4);
    let origin = Origin::start();
    let world = World::start(settings("sips", origin.at, budget), &Context::background());

    let mut client = Client::send(world.at, "GET", "/flood", &[]);
    thread::sleep(budget / 2);
    assert!(client.swallow(16 << 20), "more than the sockets hold");
    assert_eq!(origin.ends("/flood"), [End::Closed]);
    let record = world.record(0);
    assert_time_was_up(&record);
    assert!(record.dropped && record.took >= budget + LINGER, "{record}");
    world.until_none_alive();
    drop(client);
}

#[test]
fn a_client_that_drips_its_body_is_told() {
    in_time(BUDGET, |budget| {
        let origin = Origin::start();
        let world = World::start(settings("upload", origin.at, budget), &Context::background());

        let mut client = Client::send(world.at, "POST", "/stall", &["Content-Length: 1000"]);
        let answer = client.finish();
        assert_eq!(answer.status, Some(504), "{answer:?}");
        assert!(answer.took >= budget, "{answer:?}");
        assert_time_was_up(&world.record(0));
        world.until_none_alive();
        origin.was_asked("/stall").then(|| assert_eq!(origin.ends("/stall"), [End::Closed]))
    });
}

#[test]
fn a_client_may_ask_for_less_and_the_origin_is_told_what_remains() {
    let origin = Origin::start();
    let world = World::start(settings("less", origin.at, LONG), &Context::background());
    let was_told = |seen: &Seen, limit| {
        let grpc = ripcord::http::Header::GrpcTimeout.parse(seen.header("grpc-timeout").unwrap().as_bytes());
        let left = grpc.unwrap().unwrap();
        assert!(left < limit, "{seen:?}");
        let millis: u128 = seen.header("x-envoy-expected-rq-timeout-ms").unwrap().parse().unwrap();
        assert!(millis <= left.as_millis(), "it is written after the other: {seen:?}");
        assert_eq!(seen.header("x-envoy-upstream-rq-timeout-ms"), None, "what was asked of us");
    };

    for (header, unit) in
        [("grpc-timeout", "m"), ("x-envoy-expected-rq-timeout-ms", ""), ("x-envoy-upstream-rq-timeout-ms", "")]
    {
        in_time(Duration::from_millis(300), |asked| {
            let (n, before) = (world.records().len(), origin.seen("/stall").len());
            let answer = get(world.at, "/stall", &[&format!("{header}: {}{unit}", asked.as_millis())]);
            assert_eq!(answer.status, Some(504));
            assert!(answer.took >= asked, "{answer:?}");
            assert_eq!(world.record(n).budget, asked);
            assert_time_was_up(&world.record(n));
            origin.seen("/stall").get(before).map(|seen| was_told(seen, asked))
        });
    }
    // More than the server's own is not to be had, and what is no number counts as not there.
    for (line, n) in [("grpc-timeout: 2H", 0), ("grpc-timeout: soon", 1)] {
        let before = world.records().len();
        assert_eq!(get(world.at, "/ok", &[line]).status, Some(200));
        let record = world.record(before);
        assert!(record.budget == LONG && record.cause.is_none(), "{record}");
        was_told(&origin.seen("/ok")[n], LONG);
    }
    world.until_none_alive();
}

#[test]
fn with_no_time_left_the_origin_is_not_asked() {
    let origin = Origin::start();
    let world = World::start(settings("none", origin.at, LONG), &Context::background());
    assert_eq!(get(world.at, "/ok", &["grpc-timeout: 0n"]).status, Some(504));
    assert_time_was_up(&world.record(0));

    let need = Duration::from_secs(2);
    let needy = Settings { need, ..settings("needy", origin.at, Duration::from_secs(1)) };
    let world = World::start(needy, &Context::background());
    assert_eq!(get(world.at, "/ok", &[]).status, Some(504));
    let cause = world.record(0).cause.unwrap();
    assert_eq!((cause.downcast_ref(), cause.error()), (Some(&Why::TooLittle), Error::Canceled));
    assert!(origin.seen("/ok").is_empty());
}

/// What pingora has by itself: the timeout begins anew with each byte.
#[test]
fn without_contexts_the_drip_goes_on() {
    // Where the machine pauses for so long between two drops, they are cut: then with more time.
    in_time(BUDGET, |timeout| {
        let origin = Origin::start();
        let shutdown = Shutdown::new(&Context::background(), timeout);
        let (_port, at) = start(Plain { upstream: origin.at, timeout }, &shutdown, timeout);

        let mut client = Client::send(at, "GET", "/drip", &[]);
        while client.look().took <= 3 * timeout {
            let so_far = client.look().body.len();
            if !client.wait_for_body(so_far + 1) {
                return None;
            }
        }
        // Each drip is a chunk of six bytes: more has come by now than was under way.
        let by_then = client.look().body.len();
        client.wait_for_body(by_then + 600).then(|| assert_eq!(origin.seen("/drip")[0].end, None))
    });
}
