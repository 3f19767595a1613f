//! Nothing is left: after heavy churn of every kind of context the live bytes are what they were.
//!
//! One test in a process of its own, since it counts the bytes of all threads. The slack covers what is kept on
//! purpose and does not grow: pooled timer entries, thread-local epoch garbage that waits for the next pin, and the
//! driver's thread. Every round moves ten times that slack and more, so a leak of one context in ten shows.
#![cfg(not(feature = "loom"))]

mod common;

use common::*;
use ripcord::{AfterFunc, CancelHandle, Context};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

struct Live;

static LIVE: AtomicIsize = AtomicIsize::new(0);

// SAFETY: every request goes to the system allocator unchanged; counting is one atomic addition.
unsafe impl GlobalAlloc for Live {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as isize, Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as isize, Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Live = Live;

const SLACK: isize = 128 * 1024;

const HOUR: Duration = Duration::from_secs(3600);

/// One context of every kind below `parent`.
fn one_of_each(random: &mut Random, parent: &Context, other: &Context) -> (Context, Option<CancelHandle>) {
    let (ctx, handle) = match random.below(9) {
        0 => return (parent.with_value([0u8; 40]), None),
        1 => return (parent.without_cancel(), None),
        2 => parent.with_timeout(HOUR),
        3 => parent.with_timeout_cause(HOUR, String::from("a cause of its own")),
        4 => parent.with_cancel_from(other),
        5 => parent.with_cancel_on(std::future::pending::<()>()),
        6 => parent.with_cancel_on(other.clone().into_done()),
        7 => parent.with_deadline(past()),
        _ => parent.with_cancel(),
    };
    (ctx, Some(handle))
}

/// Something held, and the function that was registered with it.
///
/// Whoever registers a function where a far deadline or a future could still call it has to stop it: until then it
/// keeps its context, by the rules.
struct Held(Context, #[expect(dead_code)] Option<CancelHandle>, Option<AfterFunc>);

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(after) = &self.2 {
            after.stop();
        }
    }
}

fn churn(seed: u64, root: &Context, rounds: usize) {
    let mut random = Random::new(seed);
    let mut held = vec![Held(root.clone(), None, None)];
    for _ in 0..rounds {
        let parent = held[random.below(held.len())].0.clone();
        let other = held[random.below(held.len())].0.clone();
        let (ctx, handle) = one_of_each(&mut random, &parent, &other);
        let mut after = None;
        match (random.below(8), &handle) {
            (0 | 1, _) => after = Some(ctx.after_func(|| ())),
            (2, _) => drop(poll(&mut ctx.done())),
            (3, Some(handle)) => drop(handle.reset_timeout(HOUR * 2)),
            (4, Some(handle)) => handle.cancel_cause("a cause that is boxed"),
            (5, Some(handle)) => drop(handle.reset_timeout(Duration::from_millis(1))),
            _ => (),
        }
        held.push(Held(ctx, handle, after));
        if held.len() > 64 {
            let at = 1 + random.below(held.len() - 1);
            held.swap_remove(at);
        }
    }
}

/// Live bytes when nothing moves any more: waits for the driver and lets the epoch's garbage be swept.
fn settle() -> isize {
    let mut least = LIVE.load(Relaxed);
    let mut unchanged = 0;
    while unchanged < 25 {
        // A canceled parent with children, on this thread: pins the epoch and so sweeps what waits in it.
        let (root, handle) = Context::background().with_cancel();
        let children: Vec<_> = (0..50).map(|_| root.with_cancel()).collect();
        handle.cancel();
        drop((root, handle, children));
        thread::sleep(Duration::from_millis(1));
        let live = LIVE.load(Relaxed);
        unchanged = if live < least { 0 } else { unchanged + 1 };
        least = least.min(live);
    }
    least
}

fn assert_flat(what: &str, rounds: usize, mut round: impl FnMut(u64)) {
    // First for warmth: pools, thread-locals, the driver.
    for seed in 0..4 {
        round(seed);
    }
    let before = settle();
    for seed in 0..rounds {
        round(seed as u64 + 4);
    }
    let grown = settle() - before;
    assert!(grown <= SLACK, "{what}: {grown} bytes more than before");
}

#[test]
fn o1_d5_g6_live_bytes_return_to_the_start_after_heavy_churn() {
    assert_flat("every kind on one thread", 4, |seed| {
        let (root, handle) = Context::background().with_cancel();
        churn(seed, &root, 10_000);
        if seed % 2 == 0 {
            handle.cancel();
        }
    });
    assert_flat("every kind on three threads", 3, |seed| {
        let (root, handle) = Context::background().with_cancel();
        thread::scope(|scope| {
            for n in 0..3 {
                let root = &root;
                scope.spawn(move || churn(seed * 10 + n, root, 3_000));
            }
            if seed % 2 == 0 {
                handle.cancel();
            }
        });
    });
    let (root, _root) = Context::background().with_cancel();
    assert_flat("short children of a root that lives on", 4, |_| {
        for _ in 0..stress(25_000) {
            drop(root.with_cancel());
        }
    });
    assert_flat("canceled children of a root that lives on", 4, |_| {
        for _ in 0..stress(12_000) {
            let (_child, handle) = root.with_timeout(HOUR);
            handle.cancel();
        }
    });
    assert_flat("functions registered and stopped on a root that lives on", 4, |_| {
        for _ in 0..stress(12_000) {
            assert!(root.after_func(|| ()).stop());
        }
    });
    assert_flat("waiters that come and go on a root that lives on", 4, |_| {
        for _ in 0..stress(12_000) {
            assert!(poll(&mut root.done()).is_pending());
        }
    });
    assert_flat("merges with a root that lives on", 4, |_| {
        for _ in 0..stress(8_000) {
            drop(Context::background().with_cancel_from(&root));
            drop(root.with_cancel().0.with_cancel_from(&root));
        }
    });
    assert_flat("a burst of children under a root that lives on", 4, |_| {
        let all: Vec<_> = (0..20_000).map(|_| root.with_cancel()).collect();
        drop(all);
    });
    assert_flat("deadlines that fire", 2, |_| {
        let all: Vec<_> = (0..4_000).map(|_| root.with_timeout(Duration::from_micros(500))).collect();
        for (ctx, _) in &all {
            wait_for(ctx);
        }
    });
}
