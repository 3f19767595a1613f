//! The demonstration: an origin with every fault, four proxies in front of it, a few hundred requests, and a table.
//!
//! Nothing in it expects a fast machine. A deadline is checked for not being early; that something was dropped in time
//! is checked by what would have come instead. How fast it was is measured and printed.

mod caller;
mod leaving;
mod origin;
mod report;
mod scenes;
mod shutdown;

use crate::args::Limits;
use crate::exchange::Ended;
use crate::forward::Proxy;
use crate::hangup::pause;
use crate::ledger::Ledger;
use crate::server::listen;
use crate::signals;
use crate::upstream::Upstream;
use origin::Origin;
use report::Row;
use ripcord::Context;
use ripcord::shutdown::Report;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpSocket;
use tokio::task::{JoinError, JoinHandle};

/// More than any machine needs: what hangs is found by this.
const LIMIT: Duration = Duration::from_secs(120);
/// More than the last task needs to drop what it holds.
const LAST: Duration = Duration::from_secs(10);
const MS: Duration = Duration::from_millis(1);
/// What no request is expected to wait for.
const AGES: Duration = Duration::from_secs(60);

const PATIENT: Limits = Limits {
    timeout: AGES,
    attempt: AGES,
    idle: AGES,
    head: AGES,
    tries: 2,
    retry_ratio: 1.0,
    retry_floor: 0,
    hedge: None,
    notice: Duration::ZERO,
    grace: Duration::from_secs(1),
};
const STRICT: Limits = Limits { timeout: Duration::from_millis(1300), attempt: Duration::from_millis(1000), ..PATIENT };
const BRISK: Limits = Limits { idle: Duration::from_millis(1000), head: Duration::from_millis(600), ..PATIENT };

/// A running proxy.
struct Front {
    addr: SocketAddr,
    limits: Limits,
    task: JoinHandle<Report>,
}

/// What the scenes play with.
struct World {
    /// Ends when the demonstration takes too long.
    ctx: Context,
    origin: Origin,
    /// Waits for what takes long.
    patient: Front,
    /// Has short deadlines.
    strict: Front,
    /// Closes idle connections soon.
    brisk: Front,
    /// Has nothing behind it.
    dead: Front,
    ledger: Arc<Ledger>,
    journal: Arc<Mutex<Vec<Ended>>>,
}

/// Plays everything, prints everything, and says whether all was as expected.
pub(crate) async fn run() -> Result<bool, Box<dyn Error>> {
    let started = Instant::now();
    let (ctx, stop) = Context::background().with_timeout_cause(LIMIT, "the demonstration hangs");
    let (server, signal) = Context::background().with_cancel();
    signals::listen(signal, |_| {})?;

    // Bound, so that nobody else takes the port, and not listening, so that nobody answers.
    let nobody = TcpSocket::new_v4()?;
    nobody.bind(([127, 0, 0, 1], 0).into())?;

    let ledger = Arc::new(Ledger::default());
    let journal = Arc::new(Mutex::new(Vec::new()));
    let origin = Origin::start(&ctx)?;
    let behind = origin.addr;
    let front = |upstream, limits| start(&server, upstream, limits, &ledger, &journal);
    let world = Arc::new(World {
        patient: front(behind, PATIENT)?,
        strict: front(behind, STRICT)?,
        brisk: front(behind, BRISK)?,
        dead: front(nobody.local_addr()?, PATIENT)?,
        ctx: ctx.clone(),
        origin,
        ledger,
        journal: Arc::clone(&journal),
    });
    println!(
        "strict is a proxy with a request deadline of {:?} and {:?} for an attempt, brisk one",
        STRICT.timeout, STRICT.attempt
    );
    println!(
        "that closes connections idle for {:?} or with a head half sent for {:?}; the grace after a signal is {:?}\n",
        BRISK.idle, BRISK.head, PATIENT.grace
    );
    println!("{}", report::COLUMNS);

    let mut tally = Tally::default();
    let played = ctx.run(async {
        scenes::play(&world, &mut tally).await;
        leaving::play(&world, &mut tally).await;
        shutdown::play(&world, &mut tally).await
    });
    match played.await {
        Ok(result) => result?,
        Err(error) => return Err(ctx.cause().unwrap_or(error.into()).into()),
    }

    let world = Arc::into_inner(world).ok_or("a scene goes on after its end")?;
    for (name, front) in
        [("patient", world.patient), ("strict", world.strict), ("brisk", world.brisk), ("dead", world.dead)]
    {
        println!("{name:<8} {}", ctx.run(front.task).await.map_err(|error| ctx.cause().unwrap_or(error.into()))??);
    }
    // The last upstream connections are dropped by tasks of their own.
    stop.reset_timeout(LAST);
    while world.ledger.alive() > 0 && !ctx.is_done() {
        pause(&ctx, MS).await;
    }
    stop.cancel();
    println!("\n{}\n", world.ledger);
    let [_, middle, most] = report::spread(tally.told.clone());
    let soon = tally.told.iter().filter(|time| **time < MS).count();
    println!("of {} clients that went away, {soon} were known upstream within 1 ms", tally.told.len());
    println!("({middle:.1?} in the middle, {most:.1?} at most)\n");
    let right = tally.wrong == 0 && world.ledger.alive() == 0;
    println!(
        "{}: {} rows, {} requests in {:.1?}, {} row(s) not as expected, {} contexts left alive",
        if right { "all as expected" } else { "NOT as expected" },
        tally.rows,
        tally.requests,
        started.elapsed(),
        tally.wrong,
        world.ledger.alive(),
    );
    Ok(right)
}

/// Counts rows as they are printed.
#[derive(Default)]
struct Tally {
    rows: usize,
    requests: usize,
    wrong: usize,
    /// From a client's leaving to the upstream's knowing.
    told: Vec<Duration>,
}

impl Tally {
    /// In this order, as far as they have come to their end.
    async fn show_all(&mut self, rows: impl IntoIterator<Item = JoinHandle<Row>>) {
        for row in rows {
            let panicked = |error: JoinError| Row::new("a scene", "no panic", 1).check(false, || error.to_string());
            self.show(&row.await.unwrap_or_else(panicked));
        }
    }

    fn show_told(&mut self, row: &Row) {
        self.told.extend(row.times());
        self.show(row);
    }

    fn show(&mut self, row: &Row) {
        println!("{row}");
        self.rows += 1;
        self.requests += row.requests();
        self.wrong += usize::from(!row.right());
    }
}

fn start(
    server: &Context,
    upstream: SocketAddr,
    limits: Limits,
    ledger: &Arc<Ledger>,
    journal: &Arc<Mutex<Vec<Ended>>>,
) -> io::Result<Front> {
    let listener = listen(([127, 0, 0, 1], 0).into())?;
    let addr = listener.local_addr()?;
    let journal = Arc::clone(journal);
    let write = Arc::new(move |ended: &Ended| journal.lock().expect("nobody panics with it").push(ended.clone()));
    let shutdown = Proxy::staged(server, limits.notice, limits.grace);
    let accepting = shutdown.guard("listener");
    let upstream = Upstream { authority: upstream.to_string(), h2: false };
    let proxy = Proxy::new(upstream, limits.clone(), Arc::clone(ledger), shutdown, write);
    let task = tokio::spawn(proxy.serve(listener, accepting));
    Ok(Front { addr, limits, task })
}

impl World {
    /// How the proxy saw the request for this path end. Paths are used once by those who ask.
    async fn ended(&self, path: &str) -> io::Result<Ended> {
        loop {
            let found = {
                let journal = self.journal.lock().expect("nobody panics with it");
                journal.iter().find(|ended| ended.request.ends_with(path)).cloned()
            };
            match (found, self.ctx.err()) {
                (Some(ended), _) => return Ok(ended),
                (None, Some(error)) => return Err(error.into()),
                (None, None) => pause(&self.ctx, MS).await,
            }
        }
    }
}
