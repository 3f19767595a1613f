//! A signal as a cause.

use crate::cause::Why;
use ripcord::Context;
use std::io;

/// The server's context: the first SIGTERM or ctrl-c ends it and is its cause; a second one ends the process.
pub(crate) fn server_context() -> io::Result<Context> {
    let (server, handle) = Context::background().with_cancel();
    let mut signals = Signals::new()?;
    tokio::spawn(async move {
        let (name, _) = signals.next().await;
        handle.cancel_cause(Why::Signal(name));
        let (name, code) = signals.next().await;
        eprintln!("proxy: a second signal ({name}): not waiting any longer");
        std::process::exit(code);
    });
    Ok(server)
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The name of the next signal, and the exit code that a shell reports for it.
    async fn next(&mut self) -> (&'static str, i32) {
        std::future::poll_fn(|task| {
            if self.terminate.poll_recv(task).is_ready() {
                return std::task::Poll::Ready(("SIGTERM", 143));
            }
            self.interrupt.poll_recv(task).map(|_| ("ctrl-c", 130))
        })
        .await
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Signals> {
        Ok(Signals)
    }

    async fn next(&mut self) -> (&'static str, i32) {
        match tokio::signal::ctrl_c().await {
            Ok(()) => ("ctrl-c", 130),
            // No handler: the system's own behaviour stays in force, and nothing arrives here.
            Err(_) => std::future::pending().await,
        }
    }
}
