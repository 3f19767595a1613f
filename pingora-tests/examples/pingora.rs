//! Scenes in front of an origin with faults: what the client saw, what the origin saw, and what the log says.
//!
//! `cargo run --manifest-path pingora-tests/Cargo.toml --release --example pingora`; fails if anything is not as expected.

use pingora_tests::kit::client::{Answer, Client};
use pingora_tests::kit::in_time;
use pingora_tests::kit::origin::{End, Origin};
use pingora_tests::kit::plain::Plain;
use pingora_tests::kit::world::{LONG, World, settings, start};
use pingora_tests::proxy::Settings;
use pingora_tests::record::Record;
use ripcord::Context;
use ripcord::shutdown::Shutdown;
use ripcord::tokio::notify_context;
use std::process::{Command, ExitCode, id};
use std::time::{Duration, Instant};

const BUDGET: Duration = Duration::from_millis(800);
const PER_TRY: Duration = Duration::from_millis(200);
/// More bytes than are under way: six of them drip, at most every 10 ms.
const PAST_IT: usize = 600;

/// The table's rows, as they come.
struct Table {
    wrong: usize,
}

fn describe(answer: &Answer) -> String {
    match (answer.status, answer.whole) {
        (None, _) => "nothing".into(),
        (Some(status), true) => status.to_string(),
        (Some(status), false) => format!("{status}, cut"),
    }
}

impl Table {
    /// `expected`: what the client sees, how the origin's exchanges end, and a part of the cause.
    fn row(
        &mut self,
        scene: &str,
        expected: (&str, &[End], &str),
        client: &str,
        origin: &[End],
        log: &str,
        took: Duration,
    ) {
        let (wanted_client, wanted_origin, cause) = expected;
        let right = client == wanted_client
            && origin == wanted_origin
            && if cause.is_empty() { log.is_empty() } else { log.contains(cause) };
        self.wrong += usize::from(!right);
        let origin: Vec<_> = origin.iter().map(|end| format!("{end:?}").to_lowercase()).collect();
        println!(
            "{} {scene:<38} {client:<9} {:<17} {took:>7.0?}  {log}",
            if right { "ok " } else { "NOT" },
            origin.join(", ")
        );
    }

    /// A scene with one request, from its beginning to its record.
    fn scene(&mut self, scene: &str, expected: (&str, &[End], &str), at: &World, origin: &Origin, request: [&str; 3]) {
        let [method, path, line] = request;
        let lines: Vec<_> = Some(line).filter(|line| !line.is_empty()).into_iter().collect();
        let before = at.records().len();
        let answer = Client::send(at.at, method, path, &lines).finish();
        let record = at.record(before);
        self.row(scene, expected, &describe(&answer), &origin.ends(path), &log(&record), answer.took);
    }
}

fn log(record: &Record) -> String {
    record.cause.as_ref().map(ToString::to_string).unwrap_or_default()
}

fn main() -> ExitCode {
    let started = Instant::now();
    let (server, _handle) = notify_context(&Context::background()).expect("to listen for signals");
    let mut table = Table { wrong: 0 };
    let t = &mut table;
    println!("a request may take {BUDGET:?}, a try {PER_TRY:?} to its head\n");
    println!("    {:<38} {:<9} {:<17} {:>7}  the log's cause", "scene", "client", "origin", "took");

    // An origin for each scene: it counts by paths.
    let patient = |origin: &Origin| World::start(settings("patient", origin.at, BUDGET), &server);
    let unhurried = |origin: &Origin| World::start(settings("unhurried", origin.at, LONG), &server);
    let up = "time is up";
    let closed: &[End] = &[End::Closed];

    let origin = Origin::start();
    let world = patient(&origin);
    t.scene("a stall before the head", ("504", closed, up), &world, &origin, ["GET", "/stall", ""]);
    t.scene("a head that drips", ("504", closed, up), &world, &origin, ["GET", "/drip-head", ""]);
    t.scene("a body that drips", ("200, cut", closed, up), &world, &origin, ["GET", "/drip", ""]);
    t.scene("the same, without a length", ("200, cut", closed, up), &world, &origin, ["GET", "/drip-raw", ""]);
    t.scene("a stall between two bytes", ("200, cut", closed, up), &world, &origin, ["GET", "/pause", ""]);

    let origin = Origin::start();
    let calm = unhurried(&origin);
    t.scene("an answer", ("200", &[End::Answered], ""), &calm, &origin, ["GET", "/ok", ""]);
    t.scene("a reset, always", ("502", &[End::Reset; 3], ""), &calm, &origin, ["GET", "/reset", ""]);
    t.scene("a reset, once", ("200", &[End::Reset, End::Answered], ""), &calm, &origin, ["GET", "/reset-once", ""]);

    // Or more for a try, on a machine that needs it for an answer.
    let (brisk, answer, ends) = in_time(PER_TRY, |per_try| {
        let origin = Origin::start();
        let world = World::start(Settings { per_try, ..settings("brisk", origin.at, LONG) }, &server);
        let answer = Client::send(world.at, "GET", "/stall-once", &[]).finish();
        let tries = world.record(0).tries;
        assert!(tries > 1);
        let both = (tries, origin.seen("/stall-once").len()) == (2, 2);
        both.then(|| (world, answer, origin.ends("/stall-once")))
    });
    let expected = ("200", &[End::Closed, End::Answered][..], "");
    t.row("a stall, once", expected, &describe(&answer), &ends, &log(&brisk.record(0)), answer.took);

    let origin = Origin::start();
    let hurried = patient(&origin);
    // Or more, on a machine that needs it to get as far as the origin.
    let (answer, record) = in_time(BUDGET / 8, |time| {
        let before = hurried.records().len();
        let line = format!("grpc-timeout: {}m", time.as_millis());
        let answer = Client::send(hurried.at, "GET", "/stall", &[&line]).finish();
        let record = hurried.record(before);
        origin.was_asked("/stall").then_some((answer, record))
    });
    let expected = ("504", closed, up);
    let ends = origin.ends("/stall");
    t.row("a client that has 100 ms", expected, &describe(&answer), &ends, &log(&record), answer.took);

    let origin = Origin::start();
    let leaving = World::start(settings("leaving", origin.at, LONG), &server);
    for (n, (scene, path, sees)) in [
        ("a client that goes before the head", "/stall", "nothing"),
        ("a client that goes in the body", "/drip", "200, cut"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = Client::send(leaving.at, "GET", path, &[]);
        origin.until_asked(path, 1);
        if sees != "nothing" {
            client.wait_for_body(1);
        }
        let answer = client.look();
        drop(client);
        let ends = origin.ends(path);
        t.row(scene, (sees, closed, "gone"), &describe(&answer), &ends, &log(&leaving.record(n)), answer.took);
    }

    let shutdown = Shutdown::new(&Context::background(), LONG);
    // Where the machine pauses for so long between two drops, they are cut: then with more time.
    let took = in_time(BUDGET / 4, |timeout| {
        let origin = Origin::start();
        let (_port, at) = start(Plain { upstream: origin.at, timeout }, &shutdown, LONG);
        let mut client = Client::send(at, "GET", "/drip", &[]);
        while client.look().took <= 4 * timeout {
            let so_far = client.look().body.len();
            if !client.wait_for_body(so_far + 1) {
                return None;
            }
        }
        // What comes now was not under way then.
        let by_then = client.look().body.len();
        client.wait_for_body(by_then + PAST_IT).then(|| client.look().took)
    });
    t.row("without contexts, a quarter of the time", ("drips on", &[], ""), "drips on", &[], "", took);

    let origin = Origin::start();
    let last = World::start(settings("last", origin.at, LONG), &server);
    let mut waiting = Client::send(last.at, "GET", "/stall", &[]);
    origin.until_asked("/stall", 1);
    let killed = Command::new("kill").args(["-TERM", &id().to_string()]).status();
    assert!(killed.expect("to run kill").success());
    let answer = waiting.finish();
    let ends = origin.ends("/stall");
    let report = last.shutdown.wait();
    t.row("SIGTERM", ("503", closed, "SIGTERM"), &describe(&answer), &ends, &log(&last.record(0)), answer.took);
    println!("\n{report}");

    let worlds = [&world, &calm, &brisk, &hurried, &leaving, &last];
    worlds.iter().for_each(|world| world.until_none_alive());
    println!("\nthe whole log:");
    worlds.iter().flat_map(|world| world.records()).for_each(|record| println!("  {record}"));

    let right = table.wrong == 0;
    let verdict = if right { "all as expected" } else { "NOT as expected" };
    println!("\n{verdict}: {} row(s) wrong, no context left alive, {:.1?}", table.wrong, started.elapsed());
    if right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
