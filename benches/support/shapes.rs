//! Work that several benches do.

use super::{Contender, Timing, stopwatch};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::time::Duration;

/// Cancels `times` parents of `width` live children each; only the cancels are timed.
pub(crate) fn cancel_trees<C: Contender>(width: usize, times: u64) -> Duration {
    // Small trees by the batch, so that the clock costs nothing and the batch still fits the second cache.
    let batch = (5000 / width).max(1) as u64;
    let mut left = times;
    let mut spent = Duration::ZERO;
    while left > 0 {
        let now = batch.min(left);
        left -= now;
        let trees: Vec<(C::Child, Vec<C::Child>)> = (0..now)
            .map(|_| {
                let parent = C::root();
                let children = (0..width).map(|_| C::child(&parent)).collect();
                (parent, children)
            })
            .collect();
        spent += stopwatch(|| trees.iter().for_each(|(parent, _)| C::cancel(parent)));
        assert!(trees.iter().all(|(_, children)| children.iter().all(C::is_done)));
    }
    spent
}

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// One cancel that wakes so many waiters, each on a child of its own; only the cancel is timed.
pub(crate) fn wake_waiters<C: Contender>(waiters: usize) -> Duration {
    let parent = C::root();
    let children: Vec<_> = (0..waiters).map(|_| C::child(&parent)).collect();
    let heard = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&heard));
    let waits: Vec<_> = children.iter().map(|child| C::wait(child, &waker)).collect();
    let spent = stopwatch(|| C::cancel(&parent));
    assert_eq!(heard.0.load(Ordering::Relaxed), waiters, "all were woken when the cancel returned");
    drop(waits);
    spent
}

/// A chain of so many levels, the topmost first.
pub(crate) fn chain_of<C: Contender>(depth: usize) -> Vec<C::Child> {
    let mut levels = vec![C::root()];
    for above in 0..depth - 1 {
        let next = C::child(&levels[above]);
        levels.push(next);
    }
    levels
}

/// So many timers, 4 to 14 minutes ahead.
pub(crate) fn keep_pending<T: Timing>(count: usize) -> Vec<T::Timer> {
    let mut timers = Vec::with_capacity(count);
    T::inside(&mut || {
        let after = |n| Duration::from_secs(240) + Duration::from_secs(600).mul_f64(n as f64 / count as f64);
        timers.extend((0..count).map(|n| T::keep(after(n))));
    });
    timers
}
