//! Clients that do not stay for the answer, or do not listen to it.

use super::caller::{Leave, Raw};
use super::origin::Probe;
use super::report::{Outcome, Row};
use super::scenes::together;
use super::{Front, MS, STRICT, Tally, World};
use crate::cause::Why;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One by one: how fast the upstream is told is measured here.
pub(super) async fn play(world: &World, tally: &mut Tally) {
    let behind = SECOND.repeat(750);
    tally.show_told(&leave(world, 50, "client closes", HANG, "", Leave::Close).await);
    tally.show_told(&leave(world, 50, "client closes, a second request behind", HANG, SECOND, Leave::Close).await);
    tally.show_told(&leave(world, 20, "client closes, 750 requests behind", HANG, &behind, Leave::Close).await);
    tally.show_told(
        &leave(world, 20, "client closes its half, a second request behind", HANG, SECOND, Leave::HalfClose).await,
    );
    tally.show_told(&leave(world, 20, "client resets, a second request behind", HANG, SECOND, Leave::Reset).await);
    tally.show_told(&leave(world, 20, "client closes inside its upload", UPLOAD, "the beginning", Leave::Close).await);
    tally.show_told(&leave(world, 20, "client closes inside the answer", DRIP, "", Leave::Close).await);
    tally.show_told(&stalled(world).await);
}

const HANG: (&str, &str) = ("GET /hang", "");
const DRIP: (&str, &str) = ("GET /drip", "");
const UPLOAD: (&str, &str) = ("POST /echo", "content-length: 100000\r\n");
const SECOND: &str = "GET /fast HTTP/1.1\r\nhost: demo\r\n\r\n";

/// The client goes away in the middle of a request, with `behind` already sent after its head. The upstream would go on
/// for ever: that it sees the end at all is the expectation, and how soon is the measurement.
async fn leave(
    world: &World,
    count: usize,
    asked: &'static str,
    (what, header): (&str, &str),
    behind: &str,
    how: Leave,
) -> Row {
    let mut row = Row::new(asked, "the upstream is told; the cause is the client", count);
    for _ in 0..count {
        let left = async {
            let mut probe = world.origin.probe();
            let what = format!("{what}?probe={}", probe.number);
            let mut raw = Raw::dial(world.patient.addr).await?;
            raw.say(&format!("{what} HTTP/1.1\r\nhost: demo\r\n{header}\r\n{behind}")).await?;
            probe.arrived().await;
            if what.starts_with(DRIP.0) {
                raw.hear(1024).await?;
            }
            let (at, _rest) = raw.leave(how)?;
            gone(world, &what, probe.lost().await.duration_since(at)).await
        };
        row.add(left.await);
    }
    row
}

/// The upstream was told `took` after the client had gone. The body of a request that breaks off says the same as the
/// hang-up, and may be seen first.
async fn gone(world: &World, what: &str, took: Duration) -> io::Result<Outcome> {
    let cause = world.ended(what).await?.cause.unwrap_or_default();
    let told = cause == Why::ClientGone.to_string() || (what.starts_with(UPLOAD.0) && cause.contains("broke off"));
    let right = told && took < world.patient.limits.attempt / 2;
    Ok(Outcome { ending: "upstream told".to_owned(), cause, took, right })
}

/// A client that does not read holds up the upstream, and nothing piles up in between; then it goes away.
async fn stalled(world: &World) -> Row {
    /// More than all the socket buffers on the way hold.
    const MOST: u64 = 512 << 20;
    let mut row = Row::new("client takes no more of an endless body, closes", "held up; the upstream is told", 2);
    for _ in 0..2 {
        let played = async {
            let before = world.origin.pushed();
            let (raw, mut probe, what) = endless(world, &world.patient).await?;
            let (mut last, mut still) = (before, 0);
            while still < 10 && last - before < MOST {
                let _ = world.ctx.sleep(20 * MS).await;
                let now = world.origin.pushed();
                still = if now == last { still + 1 } else { 0 };
                last = now;
            }
            if last - before >= MOST {
                return Err(io::Error::other(format!("{} bytes are piling up", last - before)));
            }
            let (at, _) = raw.leave(Leave::Close)?;
            gone(world, &what, probe.lost().await.duration_since(at)).await
        };
        row.add(played.await);
    }
    row
}

/// A client that has heard the beginning of an endless answer, and listens no more.
async fn endless(world: &World, front: &Front) -> io::Result<(Raw, Probe, String)> {
    let probe = world.origin.probe();
    let what = format!("GET /endless?probe={}", probe.number);
    let mut raw = Raw::dial(front.addr).await?;
    raw.say(&format!("{what} HTTP/1.1\r\nhost: demo\r\n\r\n")).await?;
    raw.hear(1024).await?;
    Ok((raw, probe, what))
}

/// The deadline of a request whose client does not read does not wait for that: the upstream is released, long before
/// the connection is closed for being idle.
pub(super) async fn unread(world: Arc<World>) -> Row {
    let call = |_| {
        let world = Arc::clone(&world);
        async move {
            let asked = Instant::now();
            let (_raw, mut probe, _) = endless(&world, &world.strict).await?;
            let took = probe.lost().await.duration_since(asked);
            let ending = "upstream told".to_owned();
            let right = took >= STRICT.timeout && took < STRICT.idle;
            Ok(Outcome { ending, cause: String::new(), took, right })
        }
    };
    together(Row::new("endless, strict: client takes no more", "upstream told, not early", 3), (0..3).map(call)).await
}
