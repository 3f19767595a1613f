//! The command line, by hand: few options, and mistakes answered in one line.

use hyper::Uri;
use std::net::SocketAddr;
use std::time::Duration;

pub(crate) const HELP: &str = "\
A reverse proxy in which every cancelation and every deadline is a ripcord context.

usage: proxy                                     demonstrate everything on loopback; exit code 0 if all is as expected
       proxy --listen ADDR --upstream URL [..]   serve until SIGTERM or ctrl-c

  --listen ADDR             address and port to listen on, as in 127.0.0.1:8080 or [::]:8080
  --upstream URL            where requests go, as in http://127.0.0.1:9000
  --timeout TIME            the whole of a request, from its head to the last byte of the response (2s)
  --attempt-timeout TIME    one attempt to get a response head from the upstream (three quarters of --timeout)
  --idle TIME               a client connection without a request (60s)
  --grace TIME              what requests in flight are given after a signal (10s)
  --help                    this

A TIME is a number and a unit: 250ms, 2s, 1.5s, 5m. A first signal drains: no more connections, idle ones are closed,
requests in flight may finish within the grace, then they are answered 503. A second signal ends the process at once.

A client is told 504 when a deadline passed, 503 when the server is going down, 502 when the upstream is down or broke
off before a response head; the body says why. A client that closes its connection, or its sending half of it, is
taken to be gone: its request is dropped, and so is what it caused upstream.
";

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Command {
    Help,
    Demonstrate,
    Serve(Options),
}

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) listen: SocketAddr,
    /// Host and port.
    pub(crate) upstream: String,
    pub(crate) limits: Limits,
}

/// How long things may take.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) timeout: Duration,
    pub(crate) attempt: Duration,
    pub(crate) idle: Duration,
    pub(crate) grace: Duration,
}

pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Command, String> {
    let (mut listen, mut upstream) = (None, None);
    let (mut timeout, mut attempt, mut idle, mut grace) = (None, None, None, None);
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
            "--listen" => listen = Some(address(&value()?)?),
            "--upstream" => upstream = Some(authority(&value()?)?),
            "--timeout" => timeout = Some(time(flag, &value()?)?),
            "--attempt-timeout" => attempt = Some(time(flag, &value()?)?),
            "--idle" => idle = Some(time(flag, &value()?)?),
            "--grace" => grace = Some(time(flag, &value()?)?),
            _ => return Err(format!("what is '{word}'?")),
        }
    }
    if bare {
        return Ok(Command::Demonstrate);
    }
    let listen = listen.ok_or("--listen ADDR is missing")?;
    let upstream = upstream.ok_or("--upstream URL is missing")?;
    let timeout = timeout.unwrap_or(Duration::from_secs(2));
    let limits = Limits {
        timeout,
        attempt: attempt.unwrap_or(timeout * 3 / 4),
        idle: idle.unwrap_or(Duration::from_secs(60)),
        grace: grace.unwrap_or(Duration::from_secs(10)),
    };
    Ok(Command::Serve(Options { listen, upstream, limits }))
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("--listen '{text}' is not an address and a port, as in 127.0.0.1:8080"))
}

/// Host and port of an `http` URL without a path.
fn authority(text: &str) -> Result<String, String> {
    let wrong = || format!("--upstream '{text}' is not a URL like http://127.0.0.1:9000");
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let authority = uri.authority().ok_or_else(wrong)?;
    let plain = uri.scheme_str() == Some("http") && matches!(uri.path(), "" | "/") && uri.query().is_none();
    if !plain || authority.host().is_empty() || authority.as_str().contains('@') {
        return Err(wrong());
    }
    Ok(format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80)))
}

/// A number and a unit. Only a grace may be nothing.
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
    if time.is_zero() && flag != "--grace" {
        return Err(format!("{flag} '{text}' leaves no time for anything"));
    }
    Ok(time)
}
