//! The cells of P10: many deadlines pass within a second.

use super::heavy::percentile;
use super::table::{Cell, Effort, several};
use crate::support::{Timing, spent};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Mean and p99 lateness in microseconds, processor time in seconds, and how many were early.
pub(crate) fn late<T: Timing>(effort: Effort, before: fn(), after: fn()) -> [Option<Cell>; 4] {
    several(move || {
        before();
        let count = effort.widest;
        let lead = if effort.counts { Duration::from_secs(1) } else { Duration::from_millis(10) };
        let lateness: Arc<Vec<AtomicI64>> = Arc::new((0..count).map(|_| AtomicI64::new(i64::MAX)).collect());
        let heard = Arc::new(AtomicUsize::new(0));
        let mut timers = Vec::with_capacity(count);
        let base = Instant::now() + lead;
        T::inside(&mut || {
            for n in 0..count {
                let at = base + effort.while_.mul_f64(n as f64 / count as f64);
                let (lateness, heard) = (Arc::clone(&lateness), Arc::clone(&heard));
                timers.extend(T::call(at, move || {
                    let now = Instant::now();
                    let late = match now.checked_duration_since(at) {
                        Some(late) => late.as_nanos() as i64,
                        None => -((at - now).as_nanos() as i64),
                    };
                    lateness[n].store(late, Ordering::Relaxed);
                    heard.fetch_add(1, Ordering::Release);
                }));
            }
        });
        assert!(!effort.counts || Instant::now() < base, "armed in time");
        thread::sleep((base - Duration::from_millis(5)).saturating_duration_since(Instant::now()));
        let start = spent();
        thread::sleep((base + effort.while_).saturating_duration_since(Instant::now()));
        while heard.load(Ordering::Acquire) < count {
            thread::sleep(Duration::from_millis(1));
        }
        let processor = spent() - start;
        drop(timers);
        after();
        let mut all: Vec<i64> = lateness.iter().map(|late| late.load(Ordering::Relaxed)).collect();
        let early = all.iter().filter(|late| **late < 0).count() as f64;
        let mean = all.iter().sum::<i64>() as f64 / count as f64;
        [mean / 1e3, percentile(&mut all, 0.99) / 1e3, processor.as_secs_f64(), early]
    })
}
