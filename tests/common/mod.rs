//! What the integration tests share: the scale of stress, wakers that count, probes that tell when they run and drop,
//! a watchdog, and small random numbers.
#![cfg(not(feature = "loom"))]
#![allow(dead_code)] // every test binary uses another part of it

pub(crate) mod allocations;
pub(crate) mod alone;
#[cfg(target_os = "linux")]
pub(crate) mod child;
pub(crate) mod early;
pub(crate) mod live;
pub(crate) mod trap;
pub(crate) mod watch;

use ripcord::{CancelHandle, Cause, Context, Error};
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, LazyLock, Mutex, mpsc};
use std::task::{self, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// `n` times `RIPCORD_STRESS` (1 unless set): how often a stress test goes round.
pub(crate) fn stress(n: usize) -> usize {
    static SCALE: LazyLock<usize> =
        LazyLock::new(|| std::env::var("RIPCORD_STRESS").ok().and_then(|s| s.parse().ok()).unwrap_or(1));
    n.saturating_mul(*SCALE).max(1)
}

/// A watchdog for what can only fail by hanging: runs `f` on a thread of its own.
///
/// The minute is counted in naps: what holds up `f` on a busy machine holds them up too.
pub(crate) fn within_a_minute<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> R {
    const NAP: Duration = Duration::from_millis(2);
    let (tell, told) = mpsc::channel();
    let thread = thread::spawn(move || {
        let _ = tell.send(catch_unwind(AssertUnwindSafe(f)));
    });
    let naps = patience().as_millis() / NAP.as_millis();
    let result = (0..naps).find_map(|_| told.recv_timeout(NAP).ok()).expect("hangs: not back within a minute");
    thread.join().unwrap();
    result.unwrap_or_else(|payload| std::panic::resume_unwind(payload))
}

/// What counts as hanging: a minute, or `RIPCORD_PATIENCE` seconds.
pub(crate) fn patience() -> Duration {
    let seconds = std::env::var("RIPCORD_PATIENCE").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(60))
}

/// For a test of what is under way when its deadline comes. `None` says that the deadline came before it was: then
/// nothing is learned, and it is tried again with twice the time.
#[track_caller]
pub(crate) fn in_time<R>(first: Duration, mut attempt: impl FnMut(Duration) -> Option<R>) -> R {
    let mut times = std::iter::successors(Some(first), |time| (*time < patience()).then(|| *time * 2));
    times.find_map(&mut attempt).expect("not under way in time, however much there was")
}

/// Waits for what another thread does in its own time; what never comes shall not hang the run.
pub(crate) fn eventually(what: &str, mut happens: impl FnMut() -> bool) {
    for _ in 0..300_000 {
        if happens() {
            return;
        }
        thread::sleep(Duration::from_micros(200));
    }
    panic!("still waiting for: {what}");
}

/// Waits for an end that is to come by itself; a deadline that is lost shall not hang the run.
#[track_caller]
pub(crate) fn wait_for(ctx: &Context) -> Error {
    ctx.wait_timeout(Duration::from_secs(60)).expect("not ended within a minute")
}

/// An instant that is past by the time anybody looks at it.
pub(crate) fn past() -> Instant {
    Instant::now()
}

/// An instant that no test lives to see.
pub(crate) fn far() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

/// A waker that counts.
#[derive(Debug, Default)]
pub(crate) struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
    fn wake_by_ref(self: &Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl Wakes {
    pub(crate) fn new() -> (Arc<Wakes>, Waker) {
        let wakes = Arc::new(Wakes::default());
        (wakes.clone(), Waker::from(wakes))
    }
    pub(crate) fn count(&self) -> usize {
        self.0.load(SeqCst)
    }
}

/// A waker that does something.
pub(crate) fn waker_fn(f: impl Fn() + Send + Sync + 'static) -> Waker {
    struct Act<F>(F);
    impl<F: Fn() + Send + Sync + 'static> Wake for Act<F> {
        fn wake(self: Arc<Self>) {
            (self.0)();
        }
    }
    Waker::from(Arc::new(Act(f)))
}

/// One poll with this waker.
pub(crate) fn poll_with<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut task::Context::from_waker(waker))
}

/// One poll with a waker that does nothing.
pub(crate) fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_with(future, Waker::noop())
}

/// Runs a future to its end on this thread, which sleeps in between.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut task::Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Counts how often something ran and was dropped.
#[derive(Debug, Default)]
pub(crate) struct Tale {
    runs: AtomicUsize,
    drops: AtomicUsize,
}

impl Tale {
    pub(crate) fn new() -> Arc<Tale> {
        Arc::default()
    }
    pub(crate) fn runs(&self) -> usize {
        self.runs.load(SeqCst)
    }
    pub(crate) fn drops(&self) -> usize {
        self.drops.load(SeqCst)
    }
    /// A probe that reports here; also a value, a future's baggage, a closure's capture.
    pub(crate) fn probe(self: &Arc<Tale>) -> Probe {
        Probe(self.clone())
    }
    /// A function that reports its run and its drop.
    pub(crate) fn function(self: &Arc<Tale>) -> impl FnOnce() + Send + Sync + 'static {
        let probe = self.probe();
        move || probe.run()
    }
    /// Not run, not dropped.
    pub(crate) fn is_waiting(&self) -> bool {
        (self.runs(), self.drops()) == (0, 0)
    }
    /// Run once, and gone.
    pub(crate) fn has_run(&self) -> bool {
        (self.runs(), self.drops()) == (1, 1)
    }
    /// Gone without a run.
    pub(crate) fn is_dropped_unrun(&self) -> bool {
        (self.runs(), self.drops()) == (0, 1)
    }
}

#[derive(Debug)]
pub(crate) struct Probe(Arc<Tale>);

impl Probe {
    pub(crate) fn run(&self) {
        self.0.runs.fetch_add(1, SeqCst);
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.0.drops.fetch_add(1, SeqCst);
    }
}

/// An error of our own, to be found again by `downcast_ref`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Oops(pub(crate) u32);

impl fmt::Display for Oops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oops {}", self.0)
    }
}

impl std::error::Error for Oops {}

pub(crate) fn oops(n: u32) -> Cause {
    Cause::new(Oops(n))
}

/// The number of the `Oops` that ended this context.
pub(crate) fn oops_of(ctx: &Context) -> Option<u32> {
    ctx.cause()?.downcast_ref::<Oops>().map(|oops| oops.0)
}

/// An error that panics when it is asked what it says.
#[derive(Debug)]
pub(crate) struct Mute;

impl fmt::Display for Mute {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("no words")
    }
}

impl std::error::Error for Mute {}

#[track_caller]
pub(crate) fn assert_live(ctx: &Context) {
    assert!(!ctx.is_done(), "is_done of {ctx:?}");
    assert_eq!(ctx.err(), None, "err of {ctx:?}");
    assert!(ctx.cause().is_none(), "cause of {ctx:?}");
    assert!(poll(&mut ctx.done()).is_pending(), "done of {ctx:?}");
    assert_eq!(ctx.wait_timeout(Duration::ZERO), None, "wait_timeout of {ctx:?}");
}

/// Every view of the context agrees that it ended so.
#[track_caller]
pub(crate) fn assert_ended(ctx: &Context, error: Error, cause: &str) {
    assert!(ctx.is_done(), "is_done of {ctx:?}");
    assert_eq!(ctx.err(), Some(error), "err of {ctx:?}");
    let seen = ctx.cause().expect("an ended context has a cause");
    assert_eq!(seen.to_string(), cause, "cause of {ctx:?}");
    assert_eq!(seen.error(), error, "kind of the cause of {ctx:?}");
    assert_eq!(poll(&mut ctx.done()), Poll::Ready(error), "done of {ctx:?}");
    assert_eq!(ctx.wait_timeout(Duration::ZERO), Some(error), "wait_timeout of {ctx:?}");
    assert_eq!(ctx.wait(), error, "wait of {ctx:?}");
}

/// A chain of so many levels, the topmost first.
pub(crate) fn chain_of(levels: usize) -> Vec<(Context, CancelHandle)> {
    let mut chain = vec![Context::background().with_cancel()];
    while chain.len() < levels {
        chain.push(chain[chain.len() - 1].0.with_cancel());
    }
    chain
}

#[track_caller]
pub(crate) fn assert_canceled(ctx: &Context) {
    assert_ended(ctx, Error::Canceled, "context canceled");
}

/// The message of the panic that `f` ends with.
#[track_caller]
pub(crate) fn panic_of<R>(f: impl FnOnce() -> R) -> String {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(_) => panic!("expected a panic"),
        Err(payload) => match payload.downcast::<&'static str>() {
            Ok(text) => (*text).to_owned(),
            Err(payload) => *payload.downcast::<String>().expect("a panic with a text"),
        },
    }
}

/// A future that somebody else completes.
#[derive(Debug)]
pub(crate) struct Foreign<T> {
    state: Mutex<(Option<T>, Option<Waker>)>,
    pub(crate) polls: AtomicUsize,
    pub(crate) tale: Arc<Tale>,
}

#[derive(Debug)]
pub(crate) struct ForeignFuture<T>(Arc<Foreign<T>>, Probe);

impl<T> Foreign<T> {
    pub(crate) fn new() -> (Arc<Foreign<T>>, ForeignFuture<T>) {
        let tale = Tale::new();
        let probe = tale.probe();
        let foreign = Arc::new(Foreign { state: Mutex::new((None, None)), polls: AtomicUsize::new(0), tale });
        (foreign.clone(), ForeignFuture(foreign, probe))
    }
    /// Makes the future ready and wakes whoever polled it last.
    pub(crate) fn complete(&self, output: T) {
        let (waker, unused) = {
            let mut state = self.state.lock().unwrap();
            let unused = state.0.replace(output);
            (state.1.clone(), unused)
        };
        // Outside of the lock: a drop may panic.
        drop(unused);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
    /// The waker of the last poll.
    pub(crate) fn waker(&self) -> Option<Waker> {
        self.state.lock().unwrap().1.clone()
    }
    pub(crate) fn polls(&self) -> usize {
        self.polls.load(SeqCst)
    }
    pub(crate) fn dropped(&self) -> bool {
        self.tale.drops() == 1
    }
}

impl<T> Future for ForeignFuture<T> {
    type Output = T;
    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<T> {
        self.0.polls.fetch_add(1, SeqCst);
        let mut state = self.0.state.lock().unwrap();
        match state.0.take() {
            Some(output) => Poll::Ready(output),
            None => {
                state.1 = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T> Unpin for ForeignFuture<T> {}

/// SplitMix64: small, seeded, good enough to shuffle tests.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}
