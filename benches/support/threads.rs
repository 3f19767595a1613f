//! Threads that are there before the clock starts.

use super::Contender;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, Into::into)
}

/// How long `work`, which blocks on nothing, kept this thread busy. Not by the wall's clock: what others take of a shared
/// machine would be put down to whoever was running.
pub(crate) fn stopwatch(work: impl FnOnce()) -> Duration {
    let start = busy();
    work();
    busy().saturating_sub(start)
}

/// What this thread has spent of a processor.
#[cfg(target_os = "linux")]
pub(crate) fn busy() -> Duration {
    clock(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// What the process has spent of all processors.
#[cfg(target_os = "linux")]
pub(crate) fn spent() -> Duration {
    clock(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// What another process has spent of all processors; nothing if it has ended.
#[cfg(target_os = "linux")]
pub(crate) fn spent_by(process: u32) -> Option<Duration> {
    let mut which = 0;
    // SAFETY: `which` is ours to write.
    let failed = unsafe { libc::clock_getcpuclockid(process as libc::pid_t, &raw mut which) };
    (failed == 0).then(|| clock(which))
}

/// Keeps the calling thread on one of the processors that it may use, counted round and round.
#[cfg(target_os = "linux")]
pub(crate) fn stay_on(nth: usize) {
    // SAFETY: plain bits, for which zero is a value.
    let [mut all, mut one]: [libc::cpu_set_t; 2] = unsafe { std::mem::zeroed() };
    // SAFETY: `all` is ours to write.
    let failed = unsafe { libc::sched_getaffinity(0, size_of_val(&all), &raw mut all) };
    assert_eq!(failed, 0, "Linux knows where a thread may run");
    // SAFETY: in bounds of the set.
    let mut own = (0..libc::CPU_SETSIZE as usize).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &all) }).cycle();
    // SAFETY: in bounds of the set.
    unsafe { libc::CPU_SET(own.nth(nth).expect("it runs somewhere"), &mut one) };
    // SAFETY: `one` is a set of this size.
    let failed = unsafe { libc::sched_setaffinity(0, size_of_val(&one), &raw const one) };
    assert_eq!(failed, 0, "it may run there");
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn stay_on(_: usize) {}

/// How often this thread went to sleep of its own will, and how often it was put aside for others.
#[cfg(target_os = "linux")]
pub(crate) fn switches() -> (i64, i64) {
    // SAFETY: plain numbers, for which zero is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is ours to write.
    let failed = unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) };
    assert_eq!(failed, 0, "Linux counts a thread's switches");
    (usage.ru_nvcsw, usage.ru_nivcsw)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn switches() -> (i64, i64) {
    (0, 0)
}

#[cfg(target_os = "linux")]
fn clock(which: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is ours to write.
    let failed = unsafe { libc::clock_gettime(which, &raw mut time) };
    assert_eq!(failed, 0, "Linux has these clocks");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The next best thing, on a quiet machine as good.
#[cfg(not(target_os = "linux"))]
pub(crate) fn busy() -> Duration {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    START.elapsed()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn spent() -> Duration {
    busy()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn spent_by(_: u32) -> Option<Duration> {
    None
}

/// Runs `work(times)` on `count` threads at once, from the first start to the last end by the wall's clock: waiting for
/// one another is what these rows are about. One thread alone is timed by [`stopwatch`].
///
/// Each thread stays on a processor of its own, if there are so many. Left to the system, two that have just been started spend
/// their first milliseconds on one processor as often as not, and that would be put down to whoever was running.
///
/// With more threads than cores the time is scaled by cores / threads: the result divided by `times` is always the time
/// one core spends per operation, so that rows with different counts compare as throughputs.
pub(crate) fn together<C: Contender>(count: usize, times: u64, work: impl Fn(u64) + Sync) -> Duration {
    together_in(|work| C::inside(work), count, times, work)
}

/// The same, each thread inside of what `inside` sets up.
pub(crate) fn together_in(
    inside: impl Fn(&mut dyn FnMut()) + Sync,
    count: usize,
    times: u64,
    work: impl Fn(u64) + Sync,
) -> Duration {
    if count == 1 {
        let mut spent = Duration::ZERO;
        inside(&mut || spent = stopwatch(|| work(times)));
        return spent;
    }
    let arrived = AtomicUsize::new(0);
    let one = |nth| {
        if count <= cores() {
            // Whoever starts a thread of its own does it before: that one is not to stay here.
            inside(&mut || work(1));
            stay_on(nth);
        }
        let mut span = None;
        inside(&mut || {
            // A spin, because a futex would wake the others tens of microseconds apart.
            arrived.fetch_add(1, Ordering::SeqCst);
            let mut spins = 0;
            while arrived.load(Ordering::SeqCst) < count {
                if spins < 1000 && count <= cores() {
                    std::hint::spin_loop();
                } else {
                    thread::yield_now();
                }
                spins += 1;
            }
            let start = Instant::now();
            work(times);
            span = Some((start, Instant::now()));
        });
        span.expect("it was run")
    };
    let spans: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|nth| scope.spawn(move || one(nth))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a bench thread")).collect()
    });
    let start = spans.iter().map(|span| span.0).min().expect("at least one thread");
    let end = spans.iter().map(|span| span.1).max().expect("at least one thread");
    (end - start).mul_f64(count.min(cores()) as f64 / count as f64)
}
