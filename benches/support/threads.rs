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

#[cfg(target_os = "linux")]
fn busy() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is ours to write.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(failed, 0, "Linux has a clock per thread");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The next best thing, on a quiet machine as good.
#[cfg(not(target_os = "linux"))]
fn busy() -> Duration {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    START.elapsed()
}

/// Runs `work(times)` on `count` threads at once, from the first start to the last end by the wall's clock: waiting for
/// one another is what these rows are about. One thread alone is timed by [`stopwatch`].
///
/// With more threads than cores the time is scaled by cores / threads: the result divided by `times` is always the time
/// one core spends per operation, so that rows with different counts compare as throughputs.
pub(crate) fn together<C: Contender>(count: usize, times: u64, work: impl Fn(u64) + Sync) -> Duration {
    if count == 1 {
        return C::inside(|| stopwatch(|| work(times)));
    }
    let arrived = AtomicUsize::new(0);
    let one = || {
        C::inside(|| {
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
            (start, Instant::now())
        })
    };
    let spans: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a bench thread")).collect()
    });
    let start = spans.iter().map(|span| span.0).min().expect("at least one thread");
    let end = spans.iter().map(|span| span.1).max().expect("at least one thread");
    (end - start).mul_f64(count.min(cores()) as f64 / count as f64)
}
