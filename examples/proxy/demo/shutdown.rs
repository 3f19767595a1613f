//! The last scene: a real SIGTERM while requests are in flight.

use super::caller::{Answer, Caller};
use super::report::{Outcome, Row};
use super::scenes::outcome;
use super::{MS, Tally, World};
use std::io;
use std::sync::Arc;
use std::time::Instant;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

const EACH: usize = 10;

/// A request on its way, known to have reached the upstream.
async fn under_way(world: &Arc<World>, path: &str) -> io::Result<JoinHandle<io::Result<Answer>>> {
    let mut probe = world.origin.probe();
    let mut caller = Caller::dial(world.patient.addr).await?;
    let path = format!("{path}?probe={}", probe.number);
    let call = tokio::spawn(async move { caller.get(&path).await });
    probe.arrived().await;
    Ok(call)
}

/// Idle connections are closed, new ones refused, requests that finish within the grace are answered, and the rest is
/// told why not. The order proves the promptness: were the first two not done by the signal itself, the gate would be
/// opened too late for the third.
pub(super) async fn play(world: &Arc<World>, tally: &mut Tally) -> io::Result<()> {
    let (mut gated, mut hanging, mut idle) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..EACH {
        gated.push(under_way(world, "/gate").await?);
        hanging.push(under_way(world, "/hang").await?);
        let mut caller = Caller::dial(world.patient.addr).await?;
        caller.get("/fast").await?;
        idle.push(caller);
    }

    let asked = Instant::now();
    let kill = format!("kill -TERM {}", std::process::id());
    if !std::process::Command::new("sh").args(["-c", &kill]).status()?.success() {
        return Err(io::Error::other("no signal could be sent"));
    }

    let mut row = Row::new("SIGTERM: idle connections", "closed before those in flight", EACH);
    for caller in idle {
        caller.closed().await;
        let right = !hanging.iter().any(JoinHandle::is_finished);
        row.add(Ok(Outcome { ending: "closed".to_owned(), cause: String::new(), took: asked.elapsed(), right }));
    }
    tally.show(&row);

    let mut row = Row::new("SIGTERM: a new connection", "refused, in the end", 1);
    let refused = loop {
        match TcpStream::connect(world.patient.addr).await {
            Ok(_) => drop(world.ctx.sleep(MS).await),
            Err(error) => break error.kind() == io::ErrorKind::ConnectionRefused,
        }
    };
    row.add(Ok(Outcome { ending: "refused".to_owned(), cause: String::new(), took: asked.elapsed(), right: refused }));
    tally.show(&row);

    world.origin.open_gate();
    let mut row = Row::new("SIGTERM: in flight, finished within the grace", "200", EACH);
    for call in gated {
        row.add(call.await?.map(|answer| outcome(&answer, answer.status == 200 && answer.whole)));
    }
    tally.show(&row);

    let grace = world.patient.limits.grace;
    let mut row = Row::new("SIGTERM: in flight when the grace is over", "503, naming the signal", EACH);
    for call in hanging {
        row.add(call.await?.map(|answer| {
            let told = String::from_utf8_lossy(&answer.body).contains("SIGTERM");
            outcome(&answer, answer.status == 503 && told && asked.elapsed() >= grace)
        }));
    }
    tally.show(&row);
    println!();
    Ok(())
}
