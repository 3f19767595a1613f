//! The engine turned by hand, safe and by number: for this repository's fuzz targets. Outside semver.
//!
//! An alarm is to the engine what a node is: it owns its deadline and one pointer to its current cell; an earlier
//! deadline takes a new cell, a later one is a store that the queue finds out about when the cell surfaces.

use super::{Cell, Surface, Target, Timers, pool};
use crate::clock::{NEVER, Tick};
use crate::shield::Shield;
use crate::sync::reclaim::Guard;
use crate::sync::{AtomicPtr, AtomicU64, Ordering};
use std::fmt;
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex};

/// No deadline: later than every tick.
pub const FOR_EVER: u64 = NEVER;

type Log = Arc<Mutex<Vec<usize>>>;

struct Alarm {
    number: usize,
    deadline: AtomicU64,
    cell: AtomicPtr<Cell<Alarm>>,
    fired: Log,
}

// SAFETY: an engine and its alarms are used by one thread: no pass runs when an alarm is freed.
unsafe impl Target for Alarm {
    type Told = Vec<(Log, usize)>;

    unsafe fn surface(this: NonNull<Self>, now: Tick, _: &Guard, told: &mut Self::Told) -> Surface {
        // SAFETY: forwarded.
        let alarm = unsafe { this.as_ref() };
        // ORDERING: none. One thread.
        let deadline = alarm.deadline.load(Ordering::Relaxed);
        if deadline >= NEVER {
            return Surface::Over;
        }
        if deadline > now {
            return Surface::Later(deadline);
        }
        told.push((Arc::clone(&alarm.fired), alarm.number));
        Surface::Over
    }

    fn tell(told: Self::Told) {
        for (fired, number) in told {
            fired.lock().unwrap().push(number);
        }
    }

    fn wake(_: &mut Self::Told) -> bool {
        true
    }
}

/// An engine without a thread, and its alarms.
pub struct Engine {
    timers: NonNull<Timers<Alarm>>,
    /// Each in a place of its own, because the queue points to it.
    alarms: Vec<NonNull<Alarm>>,
    fired: Log,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("alarms", &self.alarms.len()).finish_non_exhaustive()
    }
}

impl Default for Engine {
    fn default() -> Self {
        Engine::new()
    }
}

impl Engine {
    /// An engine at rest.
    #[must_use]
    pub fn new() -> Engine {
        // Every engine begins a new round of the thread's count, so that a script does the same each time.
        while pool::count().counted == 0 {}
        let timers = NonNull::from(Box::leak(Box::new(Timers::manual())));
        Engine { timers, alarms: Vec::new(), fired: Log::default() }
    }

    fn timers(&self) -> &'static Timers<Alarm> {
        // SAFETY: freed when the engine is dropped; the borrow does not leave this file.
        unsafe { &*self.timers.as_ptr() }
    }

    fn alarm(&self, number: usize) -> &Alarm {
        // SAFETY: freed when the engine is dropped.
        unsafe { self.alarms[number].as_ref() }
    }

    /// A new alarm: its number.
    pub fn add(&mut self) -> usize {
        let number = self.alarms.len();
        self.alarms.push(NonNull::from(Box::leak(Box::new(Alarm {
            number,
            deadline: AtomicU64::new(NEVER),
            cell: AtomicPtr::new(ptr::null_mut()),
            fired: Arc::clone(&self.fired),
        }))));
        number
    }

    /// Sets the deadline of an alarm, and takes a new cell for it.
    pub fn arm(&mut self, number: usize, at: u64) {
        let alarm = self.alarm(number);
        // ORDERING: none. One thread, here and below.
        alarm.deadline.store(at, Ordering::Relaxed);
        let cell = self.timers().prepare(at, self.alarms[number]);
        let old = alarm.cell.swap(cell.as_ptr(), Ordering::Relaxed);
        // SAFETY: prepared with `at`, submitted once.
        unsafe { self.timers().submit(cell, at) };
        self.let_go(old);
    }

    /// Moves the deadline of an alarm to a later time: a store.
    pub fn push_back(&mut self, number: usize, at: u64) {
        self.alarm(number).deadline.store(at, Ordering::Relaxed);
    }

    /// Takes the alarm's cell away.
    pub fn disarm(&mut self, number: usize) {
        self.alarm(number).deadline.store(NEVER, Ordering::Relaxed);
        let old = self.alarm(number).cell.swap(ptr::null_mut(), Ordering::Relaxed);
        self.let_go(old);
    }

    fn let_go(&self, cell: *mut Cell<Alarm>) {
        if let Some(cell) = NonNull::new(cell) {
            // SAFETY: swapped out by the caller. No pass is running: the alarm may go whatever the answer is.
            let _ = unsafe { self.timers().disarm(cell) };
        }
    }

    /// A pass: fires what is due. When to come back, and the alarms that were fired, in order.
    pub fn turn(&mut self, now: u64, tidy: bool) -> (u64, Vec<usize>) {
        let next = {
            let mut passed = self.timers().pass(now, tidy);
            let mut shield = Shield::new();
            passed.tell(&mut shield);
            shield.finish();
            passed.next
        };
        (next, std::mem::take(&mut *self.fired.lock().unwrap()))
    }

    /// Cells queued, and how many of them are live.
    #[must_use]
    pub fn census(&self) -> (usize, usize) {
        self.timers().census()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for number in 0..self.alarms.len() {
            self.disarm(number);
            // SAFETY: made by `add`; its cell is let go, and no pass runs.
            drop(unsafe { Box::from_raw(self.alarms[number].as_ptr()) });
        }
        // SAFETY: made by `new`; no alarm holds a cell of it any more.
        drop(unsafe { Box::from_raw(self.timers.as_ptr()) });
    }
}
