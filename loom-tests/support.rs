//! The frame of every model, and what loom alone can watch.

pub(crate) use crate::instruments::{Count, Token, root};

use ripcord::{AfterFunc, CancelHandle, Cause, Context, DoneOwned, loom_support};
use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context as Task, Waker};
use std::time::Instant;

/// How far a model looks.
pub(crate) struct Bound {
    quick: Option<usize>,
    long: Option<usize>,
}

/// Every interleaving.
pub(crate) const ALL: Bound = Bound { quick: None, long: None };

/// Every interleaving with at most so many preemptions; the second bound is for long runs.
pub(crate) const fn preemptions(quick: usize, long: Option<usize>) -> Bound {
    Bound { quick: Some(quick), long }
}

/// Runs `model` in every interleaving within the bound. Fails if a run fails or leaks, and if there was nothing to
/// interleave.
pub(crate) fn explore(name: &str, bound: Bound, model: impl Fn() + Send + Sync + 'static) {
    let bound = match std::env::var("RIPCORD_LOOM").as_deref() {
        Err(_) if cfg!(crossbeam_loom) => {
            // The collector takes steps of its own.
            Some(bound.quick.unwrap_or(1).min(1))
        }
        Err(_) => bound.quick,
        Ok("long") => bound.long,
        Ok("none") => None,
        Ok(number) => Some(number.parse().expect("RIPCORD_LOOM is `long`, `none`, or a bound on preemptions")),
    };
    #[cfg(crossbeam_loom)]
    say_what_is_left_out();
    let runs = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&runs);
    let mut loom = loom::model::Builder::new();
    // All limits are set here, whatever the environment says: a run that was cut short would pass for a proof.
    loom.preemption_bound = bound;
    loom.max_duration = None;
    loom.max_permutations = None;
    loom.checkpoint_file = None;
    loom.max_branches = 20_000;
    loom.expect_explicit_explore = false;
    let start = Instant::now();
    loom.check(move || {
        counter.fetch_add(1, Relaxed);
        loom_support::begin();
        model();
        loom_support::end();
    });
    let runs = runs.load(Relaxed);
    let shown = bound.map_or("none".to_owned(), |n| n.to_string());
    // Past the capture of the test frame: the figures are the point.
    let line =
        format!("{name:<44} bound {shown:<5} {runs:>8} interleavings {:>7.1} s\n", start.elapsed().as_secs_f32());
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    assert!(runs > 1, "{name}: one interleaving proves nothing");
}

/// Rows that are not there cannot say so themselves.
#[cfg(crossbeam_loom)]
fn say_what_is_left_out() {
    static SAID: std::sync::Once = std::sync::Once::new();
    SAID.call_once(|| {
        let rows = crate::left_out::LEFT_OUT;
        let mut lines = format!("LEFT OUT, too large over the real collector: {} rows\n", rows.len());
        rows.iter().for_each(|row| lines.push_str(&format!("LEFT OUT {row}\n")));
        std::io::stderr().write_all(lines.as_bytes()).unwrap();
    });
}

/// [`explore`] for models with deadlines: at the end nothing may be queued any more.
pub(crate) fn explore_timed(name: &str, bound: Bound, model: impl Fn() + Send + Sync + 'static) {
    explore(name, bound, move || {
        model();
        loom_support::stop_timers();
    });
}

/// Runs both, in parallel, and gives what they come to.
pub(crate) fn both<A: 'static, B>(one: impl FnOnce() -> A + Send + 'static, other: impl FnOnce() -> B) -> (A, B) {
    let thread = loom::thread::spawn(one);
    let result = other();
    (thread.join().unwrap(), result)
}

/// Runs all three, in parallel.
pub(crate) fn three(one: impl FnOnce() + Send + 'static, two: impl FnOnce() + Send + 'static, other: impl FnOnce()) {
    let first = loom::thread::spawn(one);
    both(two, other);
    first.join().unwrap();
}

/// Lets another one wait for the context, and keeps its state's word for that: who waits beside it sits in a slot.
pub(crate) fn waits_beside(ctx: &Context) -> Pin<Box<DoneOwned>> {
    let mut done = Box::pin(ctx.clone().into_done());
    assert!(done.as_mut().poll(&mut Task::from_waker(Waker::noop())).is_pending());
    done
}

/// What a context's cause says.
pub(crate) fn said(ctx: &Context) -> Option<String> {
    ctx.cause().as_ref().map(Cause::to_string)
}

impl Count {
    /// A function that counts its call.
    pub(crate) fn call(&self) -> impl FnOnce() + Send + 'static {
        let count = self.clone();
        move || count.up()
    }
}

/// Counts its drops: a function's captures, or a cause's content.
#[derive(Clone, Default)]
pub(crate) struct Dropped(Count);

impl Dropped {
    pub(crate) fn get(&self) -> usize {
        self.0.get()
    }

    /// The thing whose drop is counted.
    pub(crate) fn token(&self) -> Token {
        self.0.token()
    }
}

/// A function on `ctx`, and what counts its call and its drop.
pub(crate) fn counted(ctx: &Context) -> (AfterFunc, Count, Dropped) {
    let (calls, dropped) = (Count::default(), Dropped::default());
    let (call, token) = (calls.call(), dropped.token());
    let after = ctx.after_func(move || {
        let _held = token;
        call();
    });
    (after, calls, dropped)
}

/// A plain word that loom watches: reading it without seeing the write before is a race, and fails the model.
#[derive(Clone)]
pub(crate) struct Note(Arc<loom::cell::UnsafeCell<u32>>);

// SAFETY: loom checks every access, and ends the model at the first that is not ordered.
unsafe impl Send for Note {}
// SAFETY: as for `Send`.
unsafe impl Sync for Note {}

impl Note {
    pub(crate) fn blank() -> Note {
        #[allow(clippy::arc_with_non_send_sync, reason = "loom's cells are shared by declaration, above")]
        Note(Arc::new(loom::cell::UnsafeCell::new(0)))
    }

    pub(crate) fn write(&self, value: u32) {
        // SAFETY: loom checks that nobody else looks.
        self.0.with_mut(|cell| unsafe { *cell = value });
    }

    pub(crate) fn read(&self) -> u32 {
        // SAFETY: loom checks that nobody writes.
        self.0.with(|cell| unsafe { *cell })
    }
}

/// A note that reads 7 for whoever sees what `handle` ends, and the function that writes it and then cancels.
pub(crate) fn noted(handle: CancelHandle) -> (Note, impl FnOnce() + Send + 'static) {
    let note = Note::blank();
    let ours = note.clone();
    let cancel = move || {
        ours.write(7);
        handle.cancel();
    };
    (note, cancel)
}
