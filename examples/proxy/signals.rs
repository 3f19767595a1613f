//! A signal as a cause.

use crate::cause::Why;
use ripcord::CancelHandle;
use std::io;

/// The first SIGTERM or ctrl-c ends the server's context and is its cause; `further` is told of each that follows.
pub(crate) fn listen(server: CancelHandle, further: impl Fn(&'static str) + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new()?;
    tokio::spawn(async move {
        let name = signals.next().await;
        server.cancel_cause(Why::Signal(name));
        loop {
            let name = signals.next().await;
            further(name);
        }
    });
    Ok(())
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

    /// The name of the next signal.
    async fn next(&mut self) -> &'static str {
        std::future::poll_fn(|task| {
            if self.terminate.poll_recv(task).is_ready() {
                return std::task::Poll::Ready("SIGTERM");
            }
            self.interrupt.poll_recv(task).map(|_| "ctrl-c")
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

    async fn next(&mut self) -> &'static str {
        match tokio::signal::ctrl_c().await {
            Ok(()) => "ctrl-c",
            // No handler: the system's own behaviour stays in force, and nothing arrives here.
            Err(_) => std::future::pending().await,
        }
    }
}
