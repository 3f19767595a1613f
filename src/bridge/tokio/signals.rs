//! The first signal cancels, the second forces.
//!
//! One thread of our own listens, with a runtime of its own: so a signal is heard also when every worker of the
//! application's runtime is stuck, which is when the second one matters. It never runs other people's code but the hook of
//! the second signal: the first one cancels on a thread made for that.
//!
//! # States of `AWAITED`
//!
//! ```text
//! None          nobody listens yet, or the first signal has come: the next one forces
//! Some(sender)  the next signal is the first: it is sent to the contexts that subscribed
//! ```

use crate::cause::Cause;
use crate::context::{CancelHandle, Context};
use std::error::Error as StdError;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::thread;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::unconstrained;

/// A signal that asks the process to end.
#[non_exhaustive]
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// `SIGINT`: somebody pressed Ctrl-C.
    Interrupt,
    /// `SIGTERM`: a supervisor wants the process to end. On Windows, Ctrl-Break.
    Terminate,
}

impl Signal {
    /// Its number: 2 or 15.
    #[must_use]
    pub fn number(self) -> i32 {
        match self {
            Signal::Interrupt => 2,
            Signal::Terminate => 15,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Signal::Interrupt => "SIGINT",
            Signal::Terminate => "SIGTERM",
        })
    }
}

/// The cause of a context that was ended by a signal.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Signaled(Signal);

impl Signaled {
    /// Which one it was.
    #[must_use]
    pub fn signal(self) -> Signal {
        self.0
    }
}

impl fmt::Display for Signaled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "received {}", self.0)
    }
}

impl StdError for Signaled {}

type Hook = Arc<dyn Fn(Signal) + Send + Sync>;

static LISTENING: Mutex<bool> = Mutex::new(false);
static AWAITED: Mutex<Option<watch::Sender<Option<Signal>>>> = Mutex::new(None);
static HOOK: Mutex<Option<Hook>> = Mutex::new(None);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A child that is canceled by the first `SIGINT` or `SIGTERM`, with [`Signaled`] as its cause. The second forces: the process
/// exits with code 128 + the signal's number (130, 143), or does what [`on_second_signal`] was told.
///
/// Signals are those of the process: the first cancels every live context made here, and each call begins anew, so the next
/// signal after it is a first one. From the first call on, signals do not end the process by themselves any more, also when
/// all these contexts are gone.
///
/// No runtime is needed: the first call starts one thread, which listens as long as the process lives. The first signal
/// cancels on a thread of its own, so a function that hangs there does not keep the second from being heard.
///
/// # Errors
///
/// If the handlers cannot be installed, or the thread cannot be started.
///
/// ```
/// use ripcord::Context;
/// use ripcord::tokio::notify_context;
///
/// # fn serve(_: &Context) {}
/// # fn main() -> std::io::Result<()> {
/// let (ctx, _handle) = notify_context(&Context::background())?;
/// serve(&ctx);
/// if let Some(cause) = ctx.cause() {
///     println!("{cause}, leaving"); // received SIGTERM, leaving
/// }
/// # Ok(())
/// # }
/// ```
pub fn notify_context(parent: &Context) -> io::Result<(Context, CancelHandle)> {
    listen()?;
    let mut first = lock(&AWAITED).get_or_insert_with(|| watch::Sender::new(None)).subscribe();
    // Unconstrained: it is polled wherever the sender wakes it, not by the scheduler whose budget that would be.
    Ok(parent.with_cancel_on(unconstrained(async move {
        match first.wait_for(Option::is_some).await.ok().and_then(|signal| *signal) {
            Some(signal) => Cause::new(Signaled(signal)),
            // The sender goes after it has sent.
            None => std::future::pending().await,
        }
    })))
}

/// What the second signal does instead of ending the process. The last call holds; a hook that returns lets the process go on,
/// and is called again by the next signal.
///
/// It runs on the thread that listens: while it runs, no signal is heard.
pub fn on_second_signal(hook: impl Fn(Signal) + Send + Sync + 'static) {
    *lock(&HOOK) = Some(Arc::new(hook));
}

/// Starts the thread, once. The handlers are installed when this returns.
fn listen() -> io::Result<()> {
    let mut listening = lock(&LISTENING);
    if *listening {
        return Ok(());
    }
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let sources = {
        let _entered = runtime.enter();
        Sources::install()
    };
    // A runtime must not be dropped on a thread that drives another one.
    let sources = match sources {
        Ok(sources) => sources,
        Err(error) => {
            runtime.shutdown_background();
            return Err(error);
        }
    };
    let listener = Listener { runtime: Some(runtime), sources };
    thread::Builder::new().name("ripcord-signals".into()).spawn(move || listener.run())?;
    *listening = true;
    Ok(())
}

struct Listener {
    runtime: Option<Runtime>,
    sources: Sources,
}

impl Listener {
    fn run(mut self) {
        let runtime = self.runtime.take();
        while let Some(signal) = runtime.as_ref().and_then(|runtime| runtime.block_on(self.sources.next())) {
            let first = lock(&AWAITED).take();
            match first {
                Some(sender) => cancel(sender, signal),
                None => force(signal),
            }
        }
    }
}

/// If the thread was never started: see `listen`.
impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The first: cancels on a thread of its own, or here if there can be none.
fn cancel(sender: watch::Sender<Option<Signal>>, signal: Signal) {
    let sender = Arc::new(sender);
    let elsewhere = Arc::clone(&sender);
    let canceling = thread::Builder::new().name("ripcord-canceling".into());
    // A panic of a callback ends that thread, and nothing else: it was reported.
    if canceling.spawn(move || elsewhere.send_replace(Some(signal))).is_err() {
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| sender.send_replace(Some(signal))));
    }
}

/// The second.
fn force(signal: Signal) {
    let hook = lock(&HOOK).clone();
    match hook {
        // A hook that panics has been reported, and the next signal is heard.
        Some(hook) => drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| hook(signal)))),
        None => std::process::exit(128 + signal.number()),
    }
}

struct Sources {
    interrupt: system::Interrupt,
    terminate: system::Terminate,
}

impl Sources {
    fn install() -> io::Result<Sources> {
        Ok(Sources { interrupt: system::interrupt()?, terminate: system::terminate()? })
    }

    async fn next(&mut self) -> Option<Signal> {
        poll_fn(|cx| {
            if let Poll::Ready(come) = self.terminate.poll_recv(cx) {
                return Poll::Ready(come.map(|()| Signal::Terminate));
            }
            self.interrupt.poll_recv(cx).map(|come| come.map(|()| Signal::Interrupt))
        })
        .await
    }
}

#[cfg(unix)]
mod system {
    use std::io;
    use tokio::signal::unix::{Signal, SignalKind, signal};

    pub(super) type Interrupt = Signal;
    pub(super) type Terminate = Signal;

    pub(super) fn interrupt() -> io::Result<Interrupt> {
        signal(SignalKind::interrupt())
    }

    pub(super) fn terminate() -> io::Result<Terminate> {
        signal(SignalKind::terminate())
    }
}

#[cfg(windows)]
mod system {
    pub(super) use tokio::signal::windows::{
        CtrlBreak as Terminate, CtrlC as Interrupt, ctrl_break as terminate, ctrl_c as interrupt,
    };
}
