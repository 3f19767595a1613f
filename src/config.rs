//! Process-wide configuration: rarely written, read without a lock.
//!
//! # Not here
//!
//! Who asks: the timer driver reads the window, the walks read the two hooks, each only when it has something to do.

use arc_swap::ArcSwapOption;
use std::any::Any;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::Duration;

/// What runs callbacks elsewhere.
pub(crate) type Executor = dyn Fn(Box<dyn FnOnce() + Send>) + Send + Sync;
type Callbacks = Arc<Executor>;
type OnPanic = Arc<dyn Fn(Box<dyn Any + Send>) + Send + Sync>;

/// How the whole process times deadlines, runs callbacks and reports panics.
///
/// Nothing needs to be configured: [`Config::default`] is what runs when nobody does. An installed configuration
/// affects what happens from then on; it may be installed again. Reading it costs no lock.
///
/// ```
/// use std::time::Duration;
///
/// ripcord::Config::default()
///     .timer_window(Duration::from_micros(250))
///     .on_panic(|payload| eprintln!("a callback panicked: {:?}", payload.downcast_ref::<&str>()))
///     .install();
/// ```
#[derive(Clone)]
#[must_use = "a configuration does nothing until it is installed"]
pub struct Config {
    window: Duration,
    callbacks: Option<Callbacks>,
    on_panic: Option<OnPanic>,
}

static INSTALLED: ArcSwapOption<Config> = ArcSwapOption::const_empty();

const DEFAULT_WINDOW: Duration = Duration::from_millis(1);

impl Config {
    /// How late a deadline may be so that neighbours share one wake-up of the driver: 1 ms by default, zero for none.
    ///
    /// A deadline is never early, whatever the window.
    pub fn timer_window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Where [`after_func`](crate::Context::after_func) functions run; by default on the thread that ends the context.
    ///
    /// `run` is given each function in turn and may hand it to a pool; a function that it drops never runs. Use this
    /// when callbacks take locks that a canceler may hold.
    pub fn callbacks(mut self, run: impl Fn(Box<dyn FnOnce() + Send>) + Send + Sync + 'static) -> Self {
        self.callbacks = Some(Arc::new(run));
        self
    }

    /// Who is told when a waker, a callback, a value's drop or a foreign future panics.
    ///
    /// By default the first panic goes on in the thread that ended the context, after the whole tree has been told
    /// (on the timer's own thread it is dropped: the panic hook of `std` has printed it).
    pub fn on_panic(mut self, report: impl Fn(Box<dyn Any + Send>) + Send + Sync + 'static) -> Self {
        self.on_panic = Some(Arc::new(report));
        self
    }

    /// Makes this the configuration of the process.
    pub fn install(self) {
        INSTALLED.store(Some(Arc::new(self)));
    }
}

impl Default for Config {
    fn default() -> Self {
        Config { window: DEFAULT_WINDOW, callbacks: None, on_panic: None }
    }
}

impl UnwindSafe for Config {}
impl RefUnwindSafe for Config {}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("timer_window", &self.window)
            .field("callbacks", &self.callbacks.is_some())
            .field("on_panic", &self.on_panic.is_some())
            .finish()
    }
}

/// The coalescing window in nanoseconds. The models have no driver that would ask.
#[cfg(not(feature = "loom"))]
pub(crate) fn timer_window() -> u64 {
    let window = INSTALLED.load().as_ref().map_or(DEFAULT_WINDOW, |config| config.window);
    u64::try_from(window.as_nanos()).unwrap_or(u64::MAX)
}

/// The executor of callbacks, if one is installed.
pub(crate) fn callbacks() -> Option<Callbacks> {
    INSTALLED.load().as_ref().and_then(|config| config.callbacks.clone())
}

/// The receiver of panics, if one is installed.
pub(crate) fn on_panic() -> Option<OnPanic> {
    INSTALLED.load().as_ref().and_then(|config| config.on_panic.clone())
}
