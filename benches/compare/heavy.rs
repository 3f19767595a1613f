//! The cells of rows where one measurement takes long or gives several figures: tails, calls during a fan-out, wake-ups,
//! chains, churn.

use super::table::{Cell, Effort, nothing, several, warm};
use crate::support::{Contender, Timing, busy, chain_of, keep_pending, switches, together, wake_waiters};
use std::collections::VecDeque;
use std::fs;
use std::hint::black_box;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The figure below which such a share of all lies; not a number if there are none. Sorts them.
pub(crate) fn percentile(all: &mut [i64], share: f64) -> f64 {
    all.sort_unstable();
    all.get((all.len().saturating_sub(1) as f64 * share) as usize).map_or(f64::NAN, |figure| *figure as f64)
}

/// p50, p99, p99.9 and p99.99 of single operations in microseconds, the two looks at the clock included.
fn spread(all: &mut [i64]) -> [f64; 4] {
    [0.5, 0.99, 0.999, 0.9999].map(|share| percentile(all, share) / 1e3)
}

/// Single operations on so many threads.
pub(crate) fn tail<C: Contender>(effort: Effort, count: usize, work: fn(&C::Child)) -> [Option<Cell>; 4] {
    let parent = C::root();
    several(move || {
        let all = Mutex::new(Vec::new());
        together::<C>(count, effort.widest as u64 / 20, |times| {
            let mut own = Vec::with_capacity(times as usize);
            for _ in 0..times {
                let start = Instant::now();
                work(&parent);
                own.push(start.elapsed().as_nanos() as i64);
            }
            all.lock().expect("no panic").extend(own);
        });
        spread(&mut all.into_inner().expect("no panic"))
    })
}

pub(crate) fn pass_child<C: Contender>(parent: &C::Child) {
    drop(black_box(C::child(parent)));
}

/// What is called while a fan-out runs.
#[derive(Copy, Clone)]
pub(crate) enum Call {
    IsDone,
    Cause,
    Derive,
    CancelSibling,
}

/// Calls while another thread cancels a wide tree, in microseconds: the worst of a tree, the median over the trees of a
/// round; and p99.99 of all calls. Who blocks through a whole fan-out makes one call in it, and that counts: a call is
/// counted if it ended after the cancel began and began before it ended. Calls in which this thread was put aside for other
/// programs are left out.
pub(crate) fn during<C: Contender>(effort: Effort, call: Call) -> [Option<Cell>; 2] {
    let parent = C::root();
    if matches!(call, Call::Cause) && !C::cause(&parent) {
        return nothing();
    }
    several(move || {
        let (mut all, mut worst) = (Vec::new(), Vec::new());
        for _ in 0..if effort.counts { 5 } else { 1 } {
            let tree = calls_in_one_tree::<C>(effort.widest, call);
            worst.extend(tree.iter().max());
            all.extend(tree);
        }
        [percentile(&mut worst, 0.5) / 1e3, percentile(&mut all, 0.9999) / 1e3]
    })
}

/// From here on it is worth asking whether the thread was put aside.
const LONG: Duration = Duration::from_micros(10);

fn calls_in_one_tree<C: Contender>(width: usize, call: Call) -> Vec<i64> {
    let parent = C::root();
    let children: Vec<_> = (0..width).map(|_| C::child(&parent)).collect();
    let (ready, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let mut calls = Vec::with_capacity(1 << 16);
    let span = thread::scope(|scope| {
        let canceler = scope.spawn(|| {
            while !ready.load(Ordering::SeqCst) {
                std::hint::spin_loop();
            }
            let begun = Instant::now();
            C::cancel(&parent);
            over.store(true, Ordering::SeqCst);
            (begun, Instant::now())
        });
        let mut siblings = children.iter().rev().cycle();
        ready.store(true, Ordering::SeqCst);
        let mut before = switches();
        while !over.load(Ordering::SeqCst) {
            let start = Instant::now();
            match call {
                Call::IsDone => drop(black_box(C::is_done(&parent))),
                Call::Cause => drop(black_box(C::cause(&parent))),
                Call::Derive => drop(black_box(C::child(&parent))),
                Call::CancelSibling => C::cancel(siblings.next().expect("a circle")),
            }
            let took = start.elapsed();
            if took > LONG {
                let after = switches();
                // Put aside by the machine for somebody else's sake, and not asleep for a lock: not this call's fault.
                let aside = after.1 > before.1 && after.0 == before.0;
                before = after;
                if aside {
                    continue;
                }
            }
            calls.push((start, took));
        }
        canceler.join().expect("no panic")
    });
    let counts = |(start, took): &(Instant, Duration)| *start <= span.1 && *start + *took >= span.0;
    calls.iter().filter(|call| counts(call)).map(|call| call.1.as_nanos() as i64).collect()
}

/// One cancel that wakes so many waiters, each on a child of its own: per waiter.
pub(crate) fn wake<C: Contender>(waiters: usize) -> Option<Cell> {
    Some(Box::new(warm(move || wake_waiters::<C>(waiters).as_secs_f64() * 1e9 / waiters as f64)))
}

/// A chain of so many levels, every level's handles kept: canceled from the top, then dropped from the top, and both together, per
/// level, on a stack of so many bytes.
pub(crate) fn chain<C: Contender>(depth: usize, stack: usize) -> [Option<Cell>; 3] {
    several(measure_chain::<C>(depth, stack))
}

/// The same of a short one.
pub(crate) fn short_chain<C: Contender>(depth: usize) -> [Option<Cell>; 3] {
    several(warm(measure_chain::<C>(depth, BIG_STACK)))
}

fn measure_chain<C: Contender>(depth: usize, stack: usize) -> impl Fn() -> [f64; 3] {
    move || {
        let deep = thread::Builder::new().stack_size(stack).spawn(move || {
            let levels = chain_of::<C>(depth);
            let start = busy();
            C::cancel(&levels[0]);
            let canceled = busy();
            assert!(C::is_done(&levels[depth - 1]));
            let before = busy();
            drop(levels);
            let (canceled, dropped) = (canceled - start, busy() - before);
            [canceled, dropped, canceled + dropped].map(|spent| spent.as_secs_f64() * 1e9 / depth as f64)
        });
        deep.expect("a thread").join().expect("the stack is deep enough")
    }
}

/// In bytes.
fn resident() -> f64 {
    let pages = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).map_or(f64::NAN, |pages| pages * 4096.0)
}

/// How many KiB the process has grown after so many short children of one root, past the first hundredth of them.
pub(crate) fn grown<C: Contender>(times: usize, work: fn(&C::Child)) -> f64 {
    C::inside(|| {
        let root = C::root();
        (0..times / 100).for_each(|_| work(&root));
        let before = resident();
        (0..times).for_each(|_| work(&root));
        (resident() - before) / 1024.0
    })
}

/// The most KiB the process has grown by during so many seconds of a million children with a timeout a second, each dropped
/// ten milliseconds later, past the first second.
pub(crate) fn grown_by_pace<C: Contender>(seconds: usize) -> f64 {
    const LIVE: usize = 10_000;
    const A_MILLISECOND: usize = 1000;
    C::inside(|| {
        let root = C::root();
        let mut live = VecDeque::with_capacity(LIVE + A_MILLISECOND);
        let (mut first, mut most) = (f64::NAN, 0.0);
        let start = Instant::now();
        for tick in 0..1000 * seconds as u32 {
            live.extend((0..A_MILLISECOND).map(|_| C::keep_timed(&root)));
            live.drain(..live.len().saturating_sub(LIVE));
            if tick % 100 == 0 && tick >= 1000 {
                first = if tick == 1000 { resident() } else { first };
                most = f64::max(most, resident() - first);
            }
            thread::sleep((start + Duration::from_millis(1) * tick).saturating_duration_since(Instant::now()));
        }
        most / 1024.0
    })
}

/// How often the threads of that name have gone to sleep of their own will.
fn sleeps(name: &str) -> Option<u64> {
    let mut sum = None;
    for task in fs::read_dir("/proc/self/task").ok()?.flatten() {
        let read = |file| fs::read_to_string(task.path().join(file)).unwrap_or_default();
        if read("comm").trim() == name {
            let status = read("status");
            let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
            sum = Some(sum.unwrap_or(0) + count.trim().parse::<u64>().ok()?);
        }
    }
    sum
}

/// How often a second the timer's thread of that name wakes up, `seconds` long, when 10,000 timers were released five
/// seconds ago and none is armed.
pub(crate) fn idle<T: Timing>(name: &str, seconds: usize) -> f64 {
    T::inside(&mut || drop(keep_pending::<T>(10_000)));
    thread::sleep(Duration::from_secs(5));
    let before = sleeps(name);
    thread::sleep(Duration::from_secs(seconds as u64));
    match (before, sleeps(name)) {
        (Some(before), Some(after)) => (after - before) as f64 / seconds as f64,
        _ => 0.0,
    }
}

/// Where nobody may recurse, and where everybody may.
pub(crate) const SMALL_STACK: usize = 65_536;
pub(crate) const BIG_STACK: usize = 256 << 20;
