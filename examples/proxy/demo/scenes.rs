//! What is asked of the proxies by clients that stay for the answer.

use super::caller::{Answer, Caller, Raw};
use super::origin::{BIG, SLOW};
use super::report::{Outcome, Row};
use super::{BRISK, Front, STRICT, Tally, World, leaving};
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

pub(super) async fn play(world: &Arc<World>, tally: &mut Tally) {
    tally.show(&fast(world).await);
    // What the machine can do, all at once.
    let slow = Ask {
        asked: "slow: answers after a while",
        expected: "200, not early",
        count: 40,
        of: |world| &world.patient,
        path: "/slow",
        right: |a| a.status == 200 && a.took >= SLOW,
        again: NEVER,
    };
    let big = Ask {
        asked: "big: 8 MiB",
        expected: "200, every byte",
        count: 4,
        of: |world| &world.patient,
        path: "/big",
        right: |a| a.status == 200 && a.whole && a.body.len() == BIG,
        again: NEVER,
    };
    let reset = Ask {
        asked: "reset: resets every attempt",
        expected: "502",
        count: 10,
        of: |world| &world.patient,
        path: "/reset",
        right: |a| a.status == 502 && cause(a).contains("broke off"),
        again: NEVER,
    };
    let nobody = Ask {
        asked: "any, with nobody upstream",
        expected: "502",
        count: 20,
        of: |world| &world.dead,
        path: "/fast",
        right: |a| a.status == 502 && cause(a).contains("no connection"),
        again: NEVER,
    };
    let broken = Ask {
        asked: "break: closes inside the body",
        expected: "200, body cut",
        count: 10,
        of: |world| &world.patient,
        path: "/break",
        right: |a| a.status == 200 && !a.whole,
        again: NEVER,
    };
    let working = [
        tokio::spawn(slow.play(world)),
        tokio::spawn(big.play(world)),
        tokio::spawn(echo(Arc::clone(world))),
        tokio::spawn(pipelined(Arc::clone(world))),
        tokio::spawn(retried(Arc::clone(world))),
        tokio::spawn(post(Arc::clone(world))),
        tokio::spawn(reset.play(world)),
        tokio::spawn(nobody.play(world)),
        tokio::spawn(cut(world, broken, "broke off")),
    ];
    tally.show_all(working).await;

    // What only waits, all at once.
    let hang = Ask {
        asked: "hang, strict: attempt deadline",
        expected: "504, not early, its cause",
        count: 20,
        of: |world| &world.strict,
        path: "/hang",
        right: |a| a.status == 504 && a.took >= STRICT.attempt && cause(a).contains("the attempt was not finished in"),
        again: |a| cause(a).contains("the request was not finished in"),
    };
    let reset_hang = Ask {
        asked: "reset, hang, strict: request deadline",
        expected: "504, not early, its cause",
        count: 10,
        of: |world| &world.strict,
        path: "/reset-hang",
        right: |a| a.status == 504 && a.took >= STRICT.timeout && cause(a).contains("the request was not finished in"),
        again: |a| cause(a).contains("the attempt was not finished in"),
    };
    let drip = Ask {
        asked: "drip, strict: deadline inside the body",
        expected: "200, body cut, not early",
        count: 10,
        of: |world| &world.strict,
        path: "/drip",
        right: |a| a.status == 200 && !a.whole && a.took >= STRICT.timeout,
        again: |a| a.status == 504,
    };
    let waiting = [
        tokio::spawn(hang.play(world)),
        tokio::spawn(reset_hang.play(world)),
        tokio::spawn(cut(world, drip, "not finished in")),
        tokio::spawn(leaving::unread(Arc::clone(world))),
        tokio::spawn(idle(world, "idle, brisk: nothing after a first request", "200", FAST, BRISK.idle)),
        tokio::spawn(idle(world, "idle, brisk: half a request", "", "GET /fast HT", BRISK.head)),
    ];
    tally.show_all(waiting).await;
    tally.show(&busy(world).await);
}

const FAST: &str = "GET /fast HTTP/1.1\r\nhost: demo\r\n\r\n";

/// What the proxy itself answered: the words after the status.
fn cause(answer: &Answer) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    text.split_once(": ").map_or("", |(_, cause)| cause.trim_end()).to_owned()
}

pub(super) fn outcome(answer: &Answer, right: bool) -> Outcome {
    let cut = if answer.whole { "" } else { " cut" };
    let cause = if answer.status >= 500 { cause(answer) } else { String::new() };
    Outcome { ending: format!("{}{cut}", answer.status), cause, took: answer.took, right }
}

/// All of them at once.
pub(super) async fn together<F>(mut row: Row, calls: impl Iterator<Item = F>) -> Row
where
    F: Future<Output = io::Result<Outcome>> + Send + 'static,
{
    let mut calls: JoinSet<_> = calls.collect();
    while let Some(outcome) = calls.join_next().await {
        row.add(outcome.unwrap_or_else(|panic| Err(panic.into())));
    }
    row
}

/// The same request from many callers, each on a connection of its own.
struct Ask {
    asked: &'static str,
    expected: &'static str,
    count: usize,
    /// Which proxy.
    of: fn(&World) -> &Front,
    path: &'static str,
    right: fn(&Answer) -> bool,
    /// The machine was too slow for the scene to get under way: asked again.
    again: fn(&Answer) -> bool,
}

const NEVER: fn(&Answer) -> bool = |_| false;

impl Ask {
    fn play(self, world: &World) -> impl Future<Output = Row> + use<> {
        let Ask { asked, expected, count, of, path, right, again } = self;
        let addr = of(world).addr;
        let call = move |n| async move {
            let mut key = n;
            loop {
                let answer = Caller::dial(addr).await?.get(&format!("{path}?key={key}")).await?;
                if !again(&answer) {
                    return Ok(outcome(&answer, right(&answer)));
                }
                key += count;
            }
        };
        together(Row::new(asked, expected, count), (0..count).map(call))
    }
}

/// Many requests on few connections, on both sides.
async fn fast(world: &World) -> Row {
    const CALLERS: usize = 8;
    const EACH: usize = 25;
    let mut row = Row::new("fast: 8 connections, 25 requests each", "200", CALLERS * EACH);
    let opened = world.origin.opened();
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let dialed = Caller::dial(world.patient.addr).await;
        callers.spawn(async move {
            let mut caller = dialed?;
            let mut answers = Vec::new();
            for _ in 0..EACH {
                answers.push(caller.get("/fast").await?);
            }
            io::Result::Ok(answers)
        });
    }
    while let Some(caller) = callers.join_next().await {
        match caller.unwrap_or_else(|panic| Err(panic.into())) {
            Ok(answers) => answers.iter().for_each(|a| row.add(Ok(outcome(a, a.status == 200 && a.body == b"fast")))),
            Err(error) => row.add(Err(error)),
        }
    }
    let opened = world.origin.opened() - opened;
    row.check(opened <= CALLERS as u64, || format!("{opened} connections to the upstream for {CALLERS} callers"))
}

async fn echo(world: Arc<World>) -> Row {
    let addr = world.patient.addr;
    let call = move |n: usize| async move {
        let sent: Vec<u8> = (0..65536).map(|at| (at * 7 + n) as u8).collect();
        let answer = Caller::dial(addr).await?.call("POST", "/echo", Bytes::from(sent.clone())).await?;
        Ok(outcome(&answer, answer.status == 200 && answer.body == sent))
    };
    together(Row::new("echo: a body of 64 KiB up and down", "200, the same bytes", 20), (0..20).map(call)).await
}

/// A client that sends three requests at once and waits for the answers, in order.
async fn pipelined(world: Arc<World>) -> Row {
    let addr = world.patient.addr;
    let call = move |_| async move {
        let asked = Instant::now();
        let mut raw = Raw::dial(addr).await?;
        let line = |path, close| format!("GET {path} HTTP/1.1\r\nhost: demo\r\n{close}\r\n");
        raw.say(&(line("/slow", "") + &line("/fast", "") + &line("/slow", "connection: close\r\n"))).await?;
        let heard = raw.hear_all().await?;
        let bodies: Vec<&str> = heard.split("\r\n\r\n").skip(1).map(|part| &part[..4.min(part.len())]).collect();
        let right = bodies == ["slow", "fast", "slow"] && heard.matches("HTTP/1.1 200 OK").count() == 3;
        Ok(Outcome { ending: "200 x 3".to_owned(), cause: String::new(), took: asked.elapsed(), right })
    };
    together(Row::new("slow, fast, slow in one write", "200, in order", 10), (0..10).map(call)).await
}

/// A lost request is made again when that does no harm.
async fn retried(world: Arc<World>) -> Row {
    let call = |n: usize| {
        let world = Arc::clone(&world);
        async move {
            let path = format!("/reset-once?key=retried-{n}");
            let answer = Caller::dial(world.patient.addr).await?.get(&path).await?;
            let attempts = world.ended(&path).await?.attempts;
            Ok(outcome(&answer, answer.status == 200 && answer.body == b"second time" && attempts == 2))
        }
    };
    let row = Row::new("reset-once: GET, lost, then answered", "200 after two attempts", 20);
    together(row, (0..20).map(call)).await
}

/// A lost POST is not.
async fn post(world: Arc<World>) -> Row {
    let call = |n: usize| {
        let world = Arc::clone(&world);
        async move {
            let path = format!("/reset-once?key=post-{n}");
            let answer = Caller::dial(world.patient.addr).await?.call("POST", &path, Bytes::new()).await?;
            let attempts = world.ended(&path).await?.attempts;
            Ok(outcome(&answer, answer.status == 502 && attempts == 1))
        }
    };
    together(Row::new("reset-once: POST, lost", "502 after one attempt", 10), (0..10).map(call)).await
}

/// The body does not come to its proper end. The client can tell, and the proxy knows why.
fn cut(world: &Arc<World>, ask: Ask, why: &'static str) -> impl Future<Output = Row> + use<> {
    let world = Arc::clone(world);
    let call = move |n: usize| {
        let world = Arc::clone(&world);
        async move {
            let mut key = n;
            let (path, answer) = loop {
                let path = format!("{}?key=cut-{key}", ask.path);
                let answer = Caller::dial((ask.of)(&world).addr).await?.get(&path).await?;
                if !(ask.again)(&answer) {
                    break (path, answer);
                }
                key += ask.count;
            };
            let cause = world.ended(&path).await?.cause.unwrap_or_default();
            let right = (ask.right)(&answer) && cause.contains(why);
            Ok(Outcome { cause, ..outcome(&answer, right) })
        }
    };
    together(Row::new(ask.asked, ask.expected, ask.count), (0..ask.count).map(call))
}

/// A connection is closed some time after the last it said, not before.
fn idle(
    world: &World,
    asked: &'static str,
    answered: &'static str,
    say: &'static str,
    limit: Duration,
) -> impl Future<Output = Row> + use<> {
    let addr = world.brisk.addr;
    let call = move |_| async move {
        let asked = Instant::now();
        let mut raw = Raw::dial(addr).await?;
        raw.say(say).await?;
        let heard = raw.hear_all().await?;
        let took = asked.elapsed();
        let right = took >= limit && heard.split(' ').nth(1).unwrap_or_default() == answered;
        Ok(Outcome { ending: format!("{answered} closed").trim().to_owned(), cause: String::new(), took, right })
    };
    together(Row::new(asked, "closed, not early", 10), (0..10).map(call))
}

/// A connection that asks now and then lives longer than the idle deadline that each request pushes back.
async fn busy(world: &World) -> Row {
    let mut row = Row::new("idle, brisk: a request now and then", "200, one connection", 8);
    let connected = async {
        let started = Instant::now();
        let mut caller = Caller::dial(world.brisk.addr).await?;
        for n in 0..8 {
            let answer = caller.get("/fast").await?;
            row.add(Ok(outcome(&answer, answer.status == 200)));
            if n < 7 {
                let _ = world.ctx.sleep(BRISK.idle / 5).await;
            }
        }
        io::Result::Ok(started.elapsed())
    };
    match connected.await {
        Ok(lived) => row.check(lived >= BRISK.idle, || format!("lived for {lived:?} only")),
        Err(error) => row.check(false, || error.to_string()),
    }
}
