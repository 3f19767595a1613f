//! A watchdog that knows names: every worker says what it is about to do, and if one of them never gets on to the
//! next thing, the process ends with the name of the worker and of the operation it is stuck in.
//!
//! A worker is stuck after a minute in one operation, or `RIPCORD_PATIENCE` seconds; and everybody is, if for so long no
//! worker has begun anything. Time is counted in the watchdog's own naps, so a machine that was suspended does not count.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire, SeqCst},
};
use std::sync::{Arc, LazyLock, Mutex, Once, PoisonError, Weak};
use std::thread;
use std::time::Duration;

const NAP: Duration = Duration::from_millis(200);

static BOARDS: Mutex<Vec<Weak<Board>>> = Mutex::new(Vec::new());

/// What a worker is in between two operations.
const IDLE: &str = "nothing";

/// Naps of the watchdog that one operation may take.
static PATIENCE: LazyLock<u64> =
    LazyLock::new(|| super::patience().as_millis().div_ceil(NAP.as_millis()).try_into().unwrap_or(u64::MAX));

/// Names posts after the test that sets them up.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    test: String,
}

impl Watch {
    /// To be called on the thread of the test, which bears its name.
    pub(crate) fn new() -> Watch {
        Watch { test: thread::current().name().unwrap_or("a thread without a name").to_owned() }
    }

    /// As `thread::scope`.
    pub(crate) fn scope<'env, F, T>(&self, f: F) -> T
    where
        F: for<'scope> FnOnce(&'scope thread::Scope<'scope, 'env>) -> T,
    {
        let result = thread::scope(f);
        let _ = OFF_DUTY.load(Acquire);
        result
    }

    /// The post of one worker; it goes off duty with the drop.
    pub(crate) fn post(&self, worker: &str) -> Post {
        static DOG: Once = Once::new();
        DOG.call_once(|| drop(thread::spawn(watch)));
        let who = format!("{}: {worker}", self.test);
        let board =
            Arc::new(Board { who, now: Mutex::new((IDLE, 0)), seen: AtomicU64::new(0), naps: AtomicU64::new(0) });
        let mut boards = BOARDS.lock().unwrap();
        boards.retain(|board| board.strong_count() > 0);
        boards.push(Arc::downgrade(&board));
        Post(board)
    }
}

/// Workers that have gone off duty. Only so that ThreadSanitizer sees what it cannot see of a scope's end in a standard
/// library that is not instrumented: it orders what workers did before whatever follows the scope.
static OFF_DUTY: AtomicU64 = AtomicU64::new(0);

/// Where a worker says what it does.
#[derive(Debug)]
pub(crate) struct Post(Arc<Board>);

#[derive(Debug)]
struct Board {
    who: String,
    /// The operation, and its number.
    now: Mutex<(&'static str, u64)>,
    /// The number that the watchdog saw last, and for how many naps.
    seen: AtomicU64,
    naps: AtomicU64,
}

impl Drop for Post {
    fn drop(&mut self) {
        OFF_DUTY.fetch_add(1, AcqRel);
    }
}

impl Post {
    /// From here on the worker is in this operation.
    pub(crate) fn at(&self, operation: &'static str) {
        let mut now = self.0.now.lock().unwrap();
        *now = (operation, now.1 + 1);
    }

    /// Does it, and then is in nothing that could be stuck.
    pub(crate) fn during<R>(&self, operation: &'static str, f: impl FnOnce() -> R) -> R {
        self.at(operation);
        let result = f();
        self.at(IDLE);
        result
    }
}

/// Looks round for ever; ends the process when somebody is stuck.
fn watch() {
    loop {
        thread::sleep(NAP);
        // Upgraded under the lock, dropped outside.
        let boards: Vec<_> =
            BOARDS.lock().unwrap_or_else(PoisonError::into_inner).iter().filter_map(Weak::upgrade).collect();
        // All of them nap, whatever is found.
        let naps: Vec<_> = boards.iter().map(|board| board.nap()).collect();
        let late = |n: usize| naps[n].1 > *PATIENCE;
        let stuck = |n: usize| late(n) && naps[n].0 != IDLE;
        if (0..boards.len()).any(stuck) || (!boards.is_empty() && (0..boards.len()).all(late)) {
            let limit = NAP * u32::try_from(*PATIENCE).unwrap_or(u32::MAX);
            let mut text = format!("\nSTUCK: for {limit:?} nothing has moved in\n");
            for (n, board) in boards.iter().enumerate() {
                let how = if stuck(n) {
                    "stuck"
                } else if late(n) {
                    "waiting"
                } else {
                    "moving"
                };
                let _ = writeln!(text, "  {} - {how} in `{}`", board.who, naps[n].0);
            }
            // Past the capture of the test frame, which would be lost with the process.
            let _ = std::io::stderr().write_all(text.as_bytes());
            std::process::abort();
        }
    }
}

impl Board {
    /// Another nap: the operation, and how many naps it has taken so far.
    fn nap(&self) -> (&'static str, u64) {
        let (operation, number) = *self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if self.seen.swap(number, SeqCst) != number {
            self.naps.store(0, SeqCst);
        }
        (operation, self.naps.fetch_add(1, SeqCst) + 1)
    }
}
