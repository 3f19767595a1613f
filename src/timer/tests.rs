//! The engine with real threads: never early, in order, nothing piles up, nothing wakes up for nothing.

use super::*;
use crate::clock;
use crate::sync::reclaim::{bury, pin};
use crate::sync::{AtomicPtr, AtomicUsize};
use std::sync::Mutex as StdMutex;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

mod engine;
mod ordering;

/// A target as `node` has them: its own deadline, one pointer to its current cell, memory through the epoch.
pub(super) struct Probe {
    pub(super) deadline: AtomicU64,
    cell: AtomicPtr<Cell<Probe>>,
    /// The pass's clock at the end; 0 while live.
    pub(super) ended: AtomicU64,
    pub(super) ends: AtomicUsize,
    early: AtomicBool,
    log: Option<&'static StdMutex<Vec<u64>>>,
    /// Panics when told.
    explosive: bool,
    /// Panics when it surfaces, which is a bug the engine survives.
    broken: bool,
}

// SAFETY: `Handle` frees a probe as `disarm` allows.
unsafe impl Target for Probe {
    type Told = Vec<bool>;

    unsafe fn surface(this: NonNull<Self>, now: Tick, _: &Guard, told: &mut Self::Told) -> Surface {
        // SAFETY: the contract.
        let this = unsafe { this.as_ref() };
        assert!(!this.broken, "a broken target");
        let deadline = this.deadline.load(Ordering::Acquire);
        if deadline > now {
            return Surface::Later(deadline);
        }
        this.early.fetch_or(clock::now() < deadline, Ordering::Relaxed);
        this.ends.fetch_add(1, Ordering::Relaxed);
        this.ended.store(now, Ordering::Release);
        if let Some(log) = this.log {
            log.lock().unwrap().push(deadline);
        }
        told.push(this.explosive);
        Surface::Over
    }

    fn tell(told: Self::Told) {
        assert!(!told.contains(&true), "a callback that panics");
    }

    fn wake(told: &mut Self::Told) -> bool {
        told.contains(&true)
    }
}

/// The owner of a probe; dropping it disarms and frees.
pub(super) struct Handle {
    timers: &'static Timers<Probe>,
    probe: NonNull<Probe>,
}

// SAFETY: a probe is Sync, and freed on any thread.
unsafe impl Send for Handle {}
// SAFETY: as above; what a shared handle does is atomic.
unsafe impl Sync for Handle {}

impl Handle {
    pub(super) fn idle(timers: &'static Timers<Probe>) -> Self {
        Self::with(timers, None, false, false)
    }

    fn with(
        timers: &'static Timers<Probe>,
        log: Option<&'static StdMutex<Vec<u64>>>,
        explosive: bool,
        broken: bool,
    ) -> Self {
        let probe = Probe {
            deadline: AtomicU64::new(NEVER),
            cell: AtomicPtr::default(),
            ended: AtomicU64::new(0),
            ends: AtomicUsize::new(0),
            early: AtomicBool::new(false),
            log,
            explosive,
            broken,
        };
        Handle { timers, probe: NonNull::from(Box::leak(Box::new(probe))) }
    }

    pub(super) fn armed(timers: &'static Timers<Probe>, when: Tick) -> Self {
        let handle = Self::idle(timers);
        handle.arm(when);
        handle
    }

    pub(super) fn probe(&self) -> &Probe {
        // SAFETY: freed by `drop` only.
        unsafe { self.probe.as_ref() }
    }

    pub(super) fn arm(&self, when: Tick) {
        self.probe().deadline.store(when, Ordering::Release);
        let cell = self.timers.prepare(when, self.probe);
        let old = self.probe().cell.swap(cell.as_ptr(), Ordering::AcqRel);
        // SAFETY: prepared with `when`, submitted once.
        unsafe { self.timers.submit(cell, when) };
        if let Some(old) = NonNull::new(old) {
            // SAFETY: swapped out by us.
            let _ = unsafe { self.timers.disarm(old) };
        }
    }

    pub(super) fn push_back(&self, when: Tick) {
        self.probe().deadline.store(when, Ordering::Release);
    }

    pub(super) fn disarm(&self) -> Option<Disarm> {
        let cell = NonNull::new(self.probe().cell.swap(std::ptr::null_mut(), Ordering::AcqRel))?;
        // SAFETY: swapped out by us.
        Some(unsafe { self.timers.disarm(cell) })
    }

    pub(super) fn ended(&self) -> bool {
        self.probe().ended.load(Ordering::Acquire) != 0
    }

    pub(super) fn wait(&self) {
        while !self.ended() {
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    pub(super) fn check(&self) {
        let probe = self.probe();
        assert!(!probe.early.load(Ordering::Relaxed), "fired early");
        assert!(probe.ends.load(Ordering::Relaxed) <= 1, "fired twice");
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        unsafe fn free(ptr: *mut ()) {
            // SAFETY: `Handle` retires or frees each probe once.
            unsafe { bury(ptr.cast::<Probe>()) };
        }
        self.check();
        // A handle that was armed again while its older cell surfaces leaves to the epoch too: the probe cannot tell.
        let _ = self.disarm();
        // SAFETY: nobody finds the probe any more, but who is pinned.
        unsafe { pin().retire(self.probe.as_ptr().cast(), free) };
    }
}

pub(super) fn engine() -> &'static Timers<Probe> {
    Box::leak(Box::new(Timers::new()))
}

pub(super) fn manual() -> &'static Timers<Probe> {
    Box::leak(Box::new(Timers::manual()))
}

pub(super) fn after(ms: u64) -> Tick {
    clock::When::after(Duration::from_millis(ms)).tick
}

/// xorshift64*, seeded.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }
}
