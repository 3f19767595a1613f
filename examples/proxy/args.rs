//! The command line, by hand: few options, and mistakes answered in one line.

use crate::upstream::Upstream;
use hyper::Uri;
use std::net::SocketAddr;
use std::time::Duration;

pub(crate) const HELP: &str = "\
A reverse proxy in which every cancelation and every deadline is a ripcord context.

usage: proxy                                     demonstrate everything on loopback; exit code 0 if all is as expected
       proxy --listen ADDR --upstream URL [..]   serve until SIGTERM or ctrl-c

  --listen ADDR             address and port to listen on, as in 127.0.0.1:8080 or [::]:8080; HTTP/1 and HTTP/2
  --upstream URL            where requests go: http://127.0.0.1:9000, or h2c://.. for HTTP/2 by prior knowledge
  --admin ADDR              health, counters, contexts, shutdown report: /health /stats /contexts /shutdown
  --threads N               worker threads (one per core)
  --access-log              a line for every request; without it, for those that did not end well

  --timeout TIME            the whole of a request, from its head to the last byte of the response (2s)
  --attempt-timeout TIME    one attempt to get a response head from the upstream (three quarters of --timeout)
  --idle TIME               a client connection without a request (60s)
  --head-timeout TIME       from the first byte of a request's head to its last (10s)

  --tries N                 attempts in all, where a further one does no harm (2)
  --retry-ratio R           retries per request that the upstream is burdened with (0.2)
  --retry-floor N           retries per second that are free (10)
  --hedge TIME              a second attempt after this long, for requests that may be sent twice (none)

  --notice TIME             from a signal until no more connections are taken; meanwhile /health says no (0s)
  --grace TIME              what requests in flight are given then (10s)
  --help                    this

A TIME is a number and a unit: 250ms, 2s, 1.5s, 5m. A first signal drains: after the notice no more connections, idle
ones are closed, requests in flight may finish within the grace, then they are answered 503. Each further signal goes to
the next of these stages at once.

A client may ask for less time: grpc-timeout, x-envoy-upstream-rq-timeout-ms, x-envoy-upstream-rq-per-try-timeout-ms. The
upstream is told what is left: x-envoy-expected-rq-timeout-ms, and grpc-timeout for gRPC.

A client is told 504 when a deadline passed, 503 when the server is going down, 502 when the upstream is down or broke
off before a response head; the body says why. A gRPC client is told the status that it understands. A client that closes
its connection, or its sending half of it, or resets its stream, is taken to be gone: its request is dropped, and so is
what it caused upstream.
";

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Command {
    Help,
    Demonstrate,
    Serve(Box<Options>),
}

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) listen: SocketAddr,
    pub(crate) upstream: Upstream,
    pub(crate) admin: Option<SocketAddr>,
    pub(crate) threads: Option<usize>,
    pub(crate) access_log: bool,
    pub(crate) limits: Limits,
}

/// How long things may take, and how often they are tried.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) timeout: Duration,
    pub(crate) attempt: Duration,
    pub(crate) idle: Duration,
    pub(crate) head: Duration,
    pub(crate) tries: u32,
    pub(crate) retry_ratio: f64,
    pub(crate) retry_floor: u32,
    pub(crate) hedge: Option<Duration>,
    pub(crate) notice: Duration,
    pub(crate) grace: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            timeout: Duration::from_secs(2),
            attempt: Duration::from_millis(1500),
            idle: Duration::from_secs(60),
            head: Duration::from_secs(10),
            tries: 2,
            retry_ratio: 0.2,
            retry_floor: 10,
            hedge: None,
            notice: Duration::ZERO,
            grace: Duration::from_secs(10),
        }
    }
}

pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Command, String> {
    let (mut listen, mut upstream, mut admin, mut threads, mut attempt) = (None, None, None, None, None);
    let (mut limits, mut access_log) = (Limits::default(), false);
    let mut words = words;
    let mut bare = true;
    while let Some(word) = words.next() {
        bare = false;
        let (flag, joined) = match word.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        let mut value = || joined.clone().or_else(|| words.next()).ok_or(format!("{flag} needs a value"));
        match flag {
            "--help" | "-h" => return Ok(Command::Help),
            "--listen" => listen = Some(address(flag, &value()?)?),
            "--upstream" => upstream = Some(authority(&value()?)?),
            "--admin" => admin = Some(address(flag, &value()?)?),
            "--threads" => threads = Some(number(flag, &value()?)?.max(1) as usize),
            "--access-log" => access_log = true,
            "--timeout" => limits.timeout = time(flag, &value()?)?,
            "--attempt-timeout" => attempt = Some(time(flag, &value()?)?),
            "--idle" => limits.idle = time(flag, &value()?)?,
            "--head-timeout" => limits.head = time(flag, &value()?)?,
            "--tries" => limits.tries = number(flag, &value()?)?.max(1),
            "--retry-ratio" => limits.retry_ratio = ratio(flag, &value()?)?,
            "--retry-floor" => limits.retry_floor = number(flag, &value()?)?,
            "--hedge" => limits.hedge = Some(time(flag, &value()?)?),
            "--notice" => limits.notice = time(flag, &value()?)?,
            "--grace" => limits.grace = time(flag, &value()?)?,
            _ => return Err(format!("what is '{word}'?")),
        }
    }
    if bare {
        return Ok(Command::Demonstrate);
    }
    limits.attempt = attempt.unwrap_or(limits.timeout * 3 / 4);
    let listen = listen.ok_or("--listen ADDR is missing")?;
    let upstream = upstream.ok_or("--upstream URL is missing")?;
    Ok(Command::Serve(Box::new(Options { listen, upstream, admin, threads, access_log, limits })))
}

fn address(flag: &str, text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("{flag} '{text}' is not an address and a port, as in 127.0.0.1:8080"))
}

fn number(flag: &str, text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("{flag} '{text}' is not a number"))
}

fn ratio(flag: &str, text: &str) -> Result<f64, String> {
    let ratio = text.parse().ok().filter(|ratio| (0.0..=1000.0).contains(ratio));
    ratio.ok_or_else(|| format!("{flag} '{text}' is not a number from 0 to 1000"))
}

/// Host and port of a URL without a path.
fn authority(text: &str) -> Result<Upstream, String> {
    let wrong = || format!("--upstream '{text}' is not a URL like http://127.0.0.1:9000 or h2c://127.0.0.1:9000");
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let authority = uri.authority().ok_or_else(wrong)?;
    let h2 = uri.scheme_str() == Some("h2c");
    let plain = (h2 || uri.scheme_str() == Some("http")) && matches!(uri.path(), "" | "/") && uri.query().is_none();
    if !plain || authority.host().is_empty() || authority.as_str().contains('@') {
        return Err(wrong());
    }
    Ok(Upstream { authority: format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80)), h2 })
}

/// A number and a unit. Only what comes after a signal may be nothing.
fn time(flag: &str, text: &str) -> Result<Duration, String> {
    let wrong = || format!("{flag} '{text}' is not a time like 250ms, 2s or 5m");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        _ => return Err(wrong()),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: f64 = digits.parse().map_err(|_| wrong())?;
    let time = Duration::try_from_secs_f64(number * unit).map_err(|_| wrong())?;
    if time.is_zero() && !matches!(flag, "--grace" | "--notice") {
        return Err(format!("{flag} '{text}' leaves no time for anything"));
    }
    Ok(time)
}
