//! The deadlines of the baseline: one heap, one mutex, one thread asleep on a condvar.
//!
//! A plain port has no runtime whose timers it could use, so this is the shared deadline thread one would write: armed
//! entries are pushed under the lock, the thread is woken only for an entry earlier than what it sleeps until. Dropping
//! a timed node only counts; when half of the heap is dead, the next arm sweeps it, two visits per dead entry.

use super::lock::{Mutex, Sleep};
use super::tree::Node;
use std::cmp::Ordering as Cmp;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Weak};
use std::thread;
use std::time::{Duration, Instant};

pub(super) const NEVER: u64 = u64::MAX;

/// Below this many dead entries a sweep is not worth its walk.
const FEW: usize = 64;

static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);
static QUEUE: Mutex<Queue> = Mutex::new(Queue { heap: BinaryHeap::new(), asleep_until: 0, running: false });
static SLEEP: Sleep = Sleep::new();
static DEAD: AtomicUsize = AtomicUsize::new(0);

struct Queue {
    heap: BinaryHeap<Entry>,
    asleep_until: u64,
    running: bool,
}

struct Entry {
    at: u64,
    node: Weak<Node>,
}

impl Ord for Entry {
    /// std's heap keeps the greatest on top; the earliest is to be there.
    fn cmp(&self, other: &Self) -> Cmp {
        other.at.cmp(&self.at)
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Cmp> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Entry {}

pub(super) fn ticks(at: Instant) -> u64 {
    u64::try_from(at.saturating_duration_since(*EPOCH).as_nanos()).unwrap_or(NEVER)
}

pub(super) fn now() -> u64 {
    ticks(Instant::now())
}

pub(super) fn instant(ticks: u64) -> Option<Instant> {
    if ticks == NEVER { None } else { EPOCH.checked_add(Duration::from_nanos(ticks)) }
}

/// A node with an entry here was dropped.
pub(super) fn lost_one() {
    DEAD.fetch_add(1, Ordering::Relaxed);
}

pub(super) fn arm(at: u64, node: Weak<Node>) {
    let mut queue = QUEUE.lock();
    if !queue.running {
        queue.running = true;
        thread::Builder::new().name("baseline-timers".into()).spawn(run).expect("a thread for the deadlines");
    }
    let dead = DEAD.load(Ordering::Relaxed);
    if dead >= FEW && dead > queue.heap.len() / 2 {
        let before = queue.heap.len();
        queue.heap.retain(|entry| entry.node.strong_count() > 0);
        // A node counts itself on its way to no handles, so this may swing by the few that are on their way.
        let swept = before - queue.heap.len();
        DEAD.fetch_sub(swept.min(dead), Ordering::Relaxed);
    }
    queue.heap.push(Entry { at, node });
    if at < queue.asleep_until {
        SLEEP.wake();
    }
}

/// How many entries the heap holds, dead ones included.
pub(crate) fn queued() -> usize {
    QUEUE.lock().heap.len()
}

fn run() {
    let mut queue = QUEUE.lock();
    loop {
        let now = now();
        let mut due = Vec::new();
        while queue.heap.peek().is_some_and(|entry| entry.at <= now) {
            let entry = queue.heap.pop().expect("just seen");
            match entry.node.upgrade() {
                Some(node) => due.push(node),
                None => {
                    let _ = DEAD.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |dead| dead.checked_sub(1));
                }
            }
        }
        if due.is_empty() {
            let until = queue.heap.peek().map_or(NEVER, |entry| entry.at);
            queue.asleep_until = until;
            let at_most = (until != NEVER).then(|| Duration::from_nanos(until - now));
            queue = SLEEP.wait(queue, at_most);
            queue.asleep_until = 0;
        } else {
            drop(queue);
            for node in due {
                if let Some(at) = node.expire(now) {
                    let entry = std::sync::Arc::downgrade(&node);
                    QUEUE.lock().heap.push(Entry { at, node: entry });
                }
            }
            queue = QUEUE.lock();
        }
    }
}
