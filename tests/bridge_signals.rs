//! `notify_context` against real signals, in processes of its own: this binary, called again.
#![cfg(all(unix, not(feature = "loom")))]

mod common;

use common::*;
use ripcord::tokio::{FutureExt, Signal, Signaled, notify_context, on_second_signal};
use ripcord::{Context, Error};
use std::env;
use std::io::{BufRead, BufReader, Lines, Write, stdin, stdout};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

/// What the child is told to be.
const ROLE: &str = "RIPCORD_SIGNALS_ROLE";

fn say(line: &str) {
    let mut out = stdout().lock();
    writeln!(out, "> {line}").unwrap();
    out.flush().unwrap();
}

/// Not a test by itself: what the others call this binary for.
#[test]
fn child() {
    let Ok(role) = env::var(ROLE) else { return };
    // Whoever called us closes our input when it goes, and we go with it.
    thread::spawn(|| {
        let _ = stdin().lines().count();
        std::process::exit(9);
    });
    match role.as_str() {
        "wait" => wait_for_the_end(),
        "current_thread" => tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(serve()),
        "multi_thread" => tokio::runtime::Builder::new_multi_thread().build().unwrap().block_on(serve()),
        "stuck" => stuck(),
        "hook" => {
            on_second_signal(|signal| say(&format!("hook {signal}")));
            wait_for_the_end();
            park();
        }
        "again" => again(),
        "two" => two(),
        "parent" => parent(),
        other => panic!("no such role: {other}"),
    }
}

fn park() {
    loop {
        thread::park();
    }
}

fn tell_end(ctx: &Context) {
    let cause = ctx.cause().unwrap();
    let signal = cause.downcast_ref::<Signaled>().map(|signaled| signaled.signal());
    say(&format!("{cause}, {:?}, {:?}", signal, cause.error()));
}

fn wait_for_the_end() {
    let (ctx, _handle) = notify_context(&Context::background()).unwrap();
    say("ready");
    ctx.wait();
    tell_end(&ctx);
}

async fn serve() {
    let (ctx, _handle) = notify_context(&Context::background()).unwrap();
    say("ready");
    let end = std::future::pending::<()>().with_context(&ctx).await;
    assert_eq!(end, Err(Error::Canceled));
    tell_end(&ctx);
}

/// Every worker is busy, and a function hangs: nobody is left but the thread that listens.
fn stuck() {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
        let (ctx, _handle) = notify_context(&Context::background()).unwrap();
        ctx.after_func(|| {
            say("hanging");
            park();
        });
        say("ready");
        park();
    });
}

/// The first signal after each call is a first one.
fn again() {
    for _ in 0..3 {
        wait_for_the_end();
    }
    say("done");
    park();
}

fn two() {
    let (server, shutdown) = Context::background().with_cancel();
    let (one, _one) = notify_context(&server).unwrap();
    let (other, _other) = notify_context(&server).unwrap();
    drop(notify_context(&server).unwrap());
    say("ready");
    one.wait();
    other.wait();
    tell_end(&one);
    tell_end(&other);
    assert!(!server.is_done());
    drop(shutdown);
}

/// Ended by its parent before the first signal, which then only counts.
fn parent() {
    let (server, shutdown) = Context::background().with_cancel();
    let (ctx, _handle) = notify_context(&server).unwrap();
    shutdown.cancel_cause("admin");
    say(&format!("ready {}", ctx.cause().unwrap()));
    park();
}

struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(role: &str) -> Process {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Process { child, lines }
    }

    /// The next line that the child says; what the test harness prints is no line of its own.
    fn hears(&mut self) -> String {
        loop {
            let line = self.lines.next().expect("it says more before it ends").unwrap();
            if let Some((_, said)) = line.split_once("> ") {
                return said.to_owned();
            }
        }
    }

    fn gets(&self, signal: i32) {
        let pid = i32::try_from(self.child.id()).unwrap();
        // SAFETY: a plain system call; the child has not been waited for, so the number is its own.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }

    fn ends(mut self) -> ExitStatus {
        // Its input stays open until it has ended by itself.
        let input = self.child.stdin.take();
        let status = self.child.wait().unwrap();
        drop(input);
        status
    }
}

/// A child that does not answer shall not hang the run.
fn with(role: &'static str, script: impl FnOnce(Process) + Send + 'static) {
    within_a_minute(move || script(Process::start(role)));
}

#[test]
fn sigterm_cancels_with_a_cause_that_names_it() {
    with("wait", |mut child| {
        assert_eq!(child.hears(), "ready");
        child.gets(libc::SIGTERM);
        assert_eq!(child.hears(), "received SIGTERM, Some(Terminate), Canceled");
        assert!(child.ends().success());
    });
}

#[test]
fn sigint_too_on_both_kinds_of_runtime() {
    for role in ["current_thread", "multi_thread"] {
        with(role, |mut child| {
            assert_eq!(child.hears(), "ready");
            child.gets(libc::SIGINT);
            assert_eq!(child.hears(), "received SIGINT, Some(Interrupt), Canceled");
            assert!(child.ends().success());
        });
    }
}

#[test]
fn the_second_forces_also_when_everything_is_stuck() {
    for (signal, code) in [(libc::SIGTERM, 143), (libc::SIGINT, 130)] {
        with("stuck", move |mut child| {
            assert_eq!(child.hears(), "ready");
            child.gets(libc::SIGTERM);
            assert_eq!(child.hears(), "hanging");
            child.gets(signal);
            assert_eq!(child.ends().code(), Some(code));
        });
    }
}

#[test]
fn a_hook_takes_the_place_of_the_exit() {
    with("hook", |mut child| {
        assert_eq!(child.hears(), "ready");
        child.gets(libc::SIGINT);
        assert_eq!(child.hears(), "received SIGINT, Some(Interrupt), Canceled");
        child.gets(libc::SIGTERM);
        assert_eq!(child.hears(), "hook SIGTERM");
        child.gets(libc::SIGINT);
        assert_eq!(child.hears(), "hook SIGINT");
        child.child.kill().unwrap();
        assert!(!child.ends().success());
    });
}

#[test]
fn each_call_begins_anew() {
    with("again", |mut child| {
        for _ in 0..3 {
            assert_eq!(child.hears(), "ready");
            child.gets(libc::SIGINT);
            assert_eq!(child.hears(), "received SIGINT, Some(Interrupt), Canceled");
        }
        assert_eq!(child.hears(), "done");
        child.gets(libc::SIGINT);
        assert_eq!(child.ends().code(), Some(130));
    });
}

#[test]
fn one_signal_cancels_every_live_one() {
    with("two", |mut child| {
        assert_eq!(child.hears(), "ready");
        child.gets(libc::SIGTERM);
        assert_eq!(child.hears(), "received SIGTERM, Some(Terminate), Canceled");
        assert_eq!(child.hears(), "received SIGTERM, Some(Terminate), Canceled");
        assert!(child.ends().success());
    });
}

#[test]
fn a_first_signal_that_comes_after_another_end_does_not_force() {
    with("parent", |mut child| {
        assert_eq!(child.hears(), "ready admin");
        child.gets(libc::SIGTERM);
        // It would have been forced by now; a second one does.
        thread::sleep(Duration::from_millis(100));
        assert_eq!(child.child.try_wait().unwrap(), None);
        // Of another kind: two of one kind are one signal to a child that has not heard the first yet. Then it may also
        // hear them the other way round.
        child.gets(libc::SIGINT);
        let code = child.ends().code();
        assert!(matches!(code, Some(130 | 143)), "forced: {code:?}");
    });
}

#[test]
fn signals_know_their_names_and_numbers() {
    assert_eq!((Signal::Interrupt.number(), Signal::Terminate.number()), (libc::SIGINT, libc::SIGTERM));
    assert_eq!(Signal::Terminate.to_string(), "SIGTERM");
}
