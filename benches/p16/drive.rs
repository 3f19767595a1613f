//! Rounds, and what they add up to.

use crate::beside;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream as Blocking;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A process that serves.
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) child: Child,
    pub(crate) addr: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    pub(crate) fn start(what: &str, upstream: &str) -> Server {
        let this = Command::new(std::env::current_exe().expect("this program"));
        Server::start_by(this, what, upstream).expect("a process")
    }

    /// By a command that runs this program. `None`: it is not there.
    pub(crate) fn start_by(mut command: Command, what: &str, upstream: &str) -> Option<Server> {
        command.args(["--serve", what, upstream]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().ok()?;
        let mut addr = String::new();
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped"));
        lines.read_line(&mut addr).expect("an address");
        Some(Server { name: what.to_owned(), child, addr: addr.trim().to_owned() })
    }

    /// Lets it end by itself: its input ends.
    pub(crate) fn end(mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }

    /// Time on a processor so far, of all its threads, in seconds.
    fn cpu(&self) -> f64 {
        let mut nanos = 0u64;
        for pid in beside::family(self.child.id()) {
            let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { continue };
            for thread in threads.flatten() {
                let stat = std::fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
                nanos += stat.split(' ').next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
            }
        }
        nanos as f64 / 1e9
    }
}

/// Answers everything at once, in one write for each read.
pub(crate) async fn origin(listener: TcpListener) {
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 13\r\n\r\nhello, proxy!";
    while let Ok((mut stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        tokio::spawn(async move {
            let mut heard = Vec::with_capacity(4096);
            while stream.read_buf(&mut heard).await.is_ok_and(|length| length > 0) {
                let heads = heard.windows(4).filter(|end| end == b"\r\n\r\n").count();
                if heads > 0 {
                    heard.clear();
                    if stream.write_all(&ANSWER.repeat(heads)).await.is_err() {
                        break;
                    }
                }
            }
        });
    }
}

pub(crate) const WAYS: [&str; 4] = ["bare", "contexts", "tokens", "contexts, tied"];

fn ways(origin: &Server, tied: bool) -> Vec<Server> {
    WAYS[..if tied { 4 } else { 3 }].iter().map(|what| Server::start(what, &origin.addr)).collect()
}

/// Whether all of them serve.
pub(crate) fn check() -> ExitCode {
    let origin = Server::start("origin", "");
    for server in ways(&origin, true) {
        let mut stream = Blocking::connect(&server.addr).expect("it listens");
        for _ in 0..3 {
            stream.write_all(b"GET / HTTP/1.1\r\nhost: check\r\n\r\n").expect("it reads");
            let mut heard = Vec::new();
            while !heard.ends_with(b"hello, proxy!") {
                let mut part = [0; 1024];
                let length = stream.read(&mut part).expect("it answers");
                assert!(length > 0, "{} closed", server.name);
                heard.extend_from_slice(&part[..length]);
            }
        }
        println!("{} serves", server.name);
    }
    ExitCode::SUCCESS
}

/// Requests per second, and how many they were.
fn wrk(server: &Server, time: Duration) -> Option<(f64, f64)> {
    let url = format!("http://{}/", server.addr);
    // wrk counts whole seconds.
    let duration = format!("-d{}s", time.as_secs().max(1));
    let output = Command::new("wrk").args(["-t1", "-c32", &duration, &url]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!text.contains("Non-2xx"), "{}: {text}", server.name);
    let after = |label: &str| text.split(label).nth(1)?.split_whitespace().next()?.parse().ok();
    let rate: f64 = after("Requests/sec:")?;
    let line = text.lines().find(|line| line.contains(" requests in "))?;
    let count: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some((rate, count))
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The middle half.
fn spread(mut numbers: Vec<f64>) -> (f64, f64) {
    numbers.sort_by(f64::total_cmp);
    let at = |part: usize| numbers.get(numbers.len() * part / 4).copied().unwrap_or(f64::NAN);
    (at(1), at(3))
}

pub(crate) fn compare(rounds: usize, time: Duration, all: bool) -> ExitCode {
    let origin = Server::start("origin", "");
    let mut servers = ways(&origin, all);
    let mut absent = Vec::new();
    if all {
        let beside = beside::start(&origin.addr);
        servers.extend(beside.0);
        absent = beside.1;
    }
    for server in &servers {
        if wrk(server, Duration::from_secs(1)).is_none() {
            eprintln!("p16: wrk is not here, or does not get through to {}", server.name);
            return ExitCode::FAILURE;
        }
    }
    // By round, then by server.
    let (mut rates, mut costs) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let (mut rate, mut cost) = (vec![f64::NAN; servers.len()], vec![f64::NAN; servers.len()]);
        // Nobody always comes first: forward and back, from another one each time.
        for step in 0..servers.len() {
            let step = if round % 2 == 0 { step } else { servers.len() - 1 - step };
            let at = (round / 2 + step) % servers.len();
            let before = servers[at].cpu();
            if let Some((per_second, count)) = wrk(&servers[at], time) {
                rate[at] = per_second;
                cost[at] = (servers[at].cpu() - before) * 1e6 / count;
            }
        }
        rates.push(rate);
        costs.push(cost);
    }
    println!(
        "{rounds} rounds of {time:?}, 32 connections, one worker each; ratios are medians over rounds (middle half)\n"
    );
    println!("{:<16}{:>12}{:>28}{:>14}{:>28}", "proxy", "req/s", "to bare", "us CPU/req", "to bare (less is better)");
    for (at, server) in servers.iter().enumerate() {
        let column = |rows: &[Vec<f64>]| -> Vec<f64> { rows.iter().map(|row| row[at]).collect() };
        let ratio = |rows: &[Vec<f64>]| -> String {
            let ratios: Vec<f64> = rows.iter().map(|row| row[at] / row[0]).collect();
            let (low, high) = spread(ratios.clone());
            format!("{:.3} ({low:.3} .. {high:.3})", median(ratios))
        };
        println!(
            "{:<16}{:>12.0}{:>28}{:>14.2}{:>28}",
            server.name,
            median(column(&rates)),
            ratio(&rates),
            median(column(&costs)),
            ratio(&costs),
        );
    }
    for (name, why) in absent {
        println!("{name:<16}{why}");
    }
    ExitCode::SUCCESS
}
