//! Everything at once: threads that derive, merge, cancel, time, wait, register, stop and drop in one shared tree.
//!
//! No model can foretell such a run, but some things hold in every one: what has ended stays as it ended; whoever
//! canceled finds everything below ended; every function, value and future goes exactly once; every waiter is woken.

use crate::common::watch::{Post, Watch};
use crate::common::*;
use ripcord::{AfterFunc, CancelHandle, Context, DoneOwned, Error};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

const THREADS: u64 = 4;
const POOL: usize = 48;

/// What the threads share: contexts to work on, and what must have gone in the end.
struct Shared {
    root: Context,
    pool: Mutex<Vec<(Context, Option<CancelHandle>)>>,
    functions: Mutex<Vec<Arc<Tale>>>,
    values: Arc<Tale>,
    bound: AtomicUsize,
    futures: Mutex<Vec<Arc<Foreign<&'static str>>>>,
    waiting: Mutex<Vec<(DoneOwned, Arc<Wakes>)>>,
}

/// A context that was seen ended, and how.
struct Seen(Context, Error, String);

struct Worker<'a> {
    shared: &'a Shared,
    post: Post,
    random: Random,
    stoppers: Vec<(AfterFunc, Arc<Tale>)>,
    seen: Vec<Seen>,
}

impl Worker<'_> {
    fn pick(&mut self) -> (Context, Option<CancelHandle>) {
        let pool = self.shared.pool.lock().unwrap();
        pool[self.random.below(pool.len())].clone()
    }

    /// Puts a context into the pool in place of another, which is dropped outside the lock.
    fn put(&mut self, ctx: Context, handle: Option<CancelHandle>) {
        let handle = handle.filter(|_| self.random.below(4) > 0);
        let gone = {
            let mut pool = self.shared.pool.lock().unwrap();
            pool.push((ctx, handle));
            let at = self.random.below(pool.len());
            if pool.len() > POOL { Some(pool.swap_remove(at)) } else { None }
        };
        drop(gone);
    }

    fn derive(&mut self) {
        let (parent, _) = self.pick();
        let was_ended = parent.err();
        let soon = Duration::from_micros(self.random.next() % 3_000);
        let (child, handle) = match self.random.below(9) {
            0 => parent.with_deadline(Instant::now() + soon),
            1 => parent.with_timeout_cause(soon, "late"),
            2 => parent.with_deadline(far()),
            3 => {
                let (other, _) = self.pick();
                parent.with_cancel_from(&other)
            }
            4 => self.shared.root.with_cancel_from(&parent),
            5 => {
                let (foreign, future) = Foreign::new();
                self.shared.futures.lock().unwrap().push(foreign);
                parent.with_cancel_on(future)
            }
            6 => {
                let (other, _) = self.pick();
                parent.with_cancel_on(other.into_done())
            }
            7 => {
                self.shared.bound.fetch_add(1, SeqCst);
                let over = parent.with_value(self.shared.values.probe());
                assert!(over.value::<Probe>().is_some());
                return self.put(over, None);
            }
            _ => parent.with_cancel(),
        };
        if let Some(error) = was_ended {
            // Of a merge's two parents the first wins, and where the other was derived from, the root is first.
            let first = if self.shared.root.is_done() { child.err() } else { Some(error) };
            assert!(child.is_done() && child.err() == first, "born ended as its parent");
        }
        self.put(child, Some(handle));
    }

    fn end(&mut self) {
        let (ctx, Some(handle)) = self.pick() else { return };
        let below: Vec<_> = (0..3).map(|_| ctx.with_cancel().0.with_value(1u8)).collect();
        match self.random.below(6) {
            0 => drop(handle.drop_guard()),
            1 => {
                // Refused: somebody else is ending it, and may not be through with what is below.
                let ended_here = handle.reset_timeout(Duration::ZERO);
                assert!(ctx.is_done());
                if !ended_here {
                    return;
                }
            }
            2 => {
                handle.reset_timeout(Duration::from_micros(self.random.next() % 2_000));
                return;
            }
            3 => {
                handle.reset_timeout(Duration::MAX);
                return;
            }
            _ => handle.cancel_cause(oops(7)),
        }
        assert!(ctx.is_done());
        let cause = ctx.cause().unwrap().to_string();
        for child in below {
            assert_eq!(child.err(), ctx.err());
            assert_eq!(child.cause().unwrap().to_string(), cause);
        }
        if self.seen.len() < 400 {
            self.seen.push(Seen(ctx.clone(), ctx.err().unwrap(), cause));
        }
    }

    fn register(&mut self) {
        let (ctx, _) = self.pick();
        match self.random.below(6) {
            0 | 1 => {
                let tale = Tale::new();
                let after = ctx.after_func(tale.function());
                self.shared.functions.lock().unwrap().push(tale.clone());
                if self.random.below(2) == 0 {
                    self.stoppers.push((after, tale));
                }
            }
            2 | 3 => {
                let Some((after, tale)) = self.stoppers.pop() else { return };
                if after.stop() {
                    assert!(tale.is_dropped_unrun(), "{tale:?}");
                }
                assert!(!after.stop());
            }
            4 => {
                let mut done = ctx.into_done();
                let (wakes, waker) = Wakes::new();
                if poll_with(&mut done, &waker).is_pending() && self.random.below(2) == 0 {
                    self.shared.waiting.lock().unwrap().push((done, wakes));
                }
            }
            _ => {
                let futures = self.shared.futures.lock().unwrap();
                let Some(foreign) = futures.get(self.random.below(futures.len().max(1))).cloned() else { return };
                drop(futures);
                foreign.complete("foreign");
            }
        }
    }

    fn work(mut self, steps: usize) {
        for step in 0..steps {
            match self.random.below(10) {
                0 | 1 => {
                    self.post.at("end");
                    self.end();
                }
                2..=4 => {
                    self.post.at("register, stop, wake");
                    self.register();
                }
                5 => {
                    self.post.at("wait");
                    let _ = self.pick().0.wait_timeout(Duration::from_micros(50));
                }
                _ => {
                    self.post.at("derive, drop");
                    self.derive();
                }
            }
            if step % 200 == 0 {
                for Seen(ctx, error, cause) in &self.seen {
                    assert_eq!(ctx.err(), Some(*error));
                    assert_eq!(&ctx.cause().unwrap().to_string(), cause, "an end changed");
                }
            }
        }
    }
}

fn churn(watch: &Watch, seed: u64, steps: usize) {
    let (root, root_handle) = Context::background().with_cancel();
    let shared = Shared {
        pool: Mutex::new(vec![(root.with_cancel().0, None), (root.clone(), None)]),
        root,
        functions: Mutex::default(),
        values: Tale::new(),
        bound: AtomicUsize::new(0),
        futures: Mutex::default(),
        waiting: Mutex::default(),
    };
    watch.scope(|scope| {
        for n in 0..THREADS {
            let shared = &shared;
            let (post, random) = (watch.post("worker"), Random::new(seed * THREADS + n));
            scope.spawn(move || Worker { shared, post, random, stoppers: Vec::new(), seen: Vec::new() }.work(steps));
        }
        // In every other run the root ends in the middle of it.
        if seed % 2 == 1 {
            thread::sleep(Duration::from_millis(5));
            root_handle.cancel_cause(oops(0));
        }
    });
    root_handle.cancel_cause(oops(0));
    for (ctx, _) in shared.pool.lock().unwrap().iter() {
        assert!(ctx.is_done(), "{ctx:?} hangs below the root");
    }
    for (mut done, wakes) in shared.waiting.lock().unwrap().drain(..) {
        assert!(wakes.count() <= 1, "woken {} times", wakes.count());
        assert!(matches!(poll(&mut done), Poll::Ready(_)));
        eventually("the wake of a waiter", || wakes.count() == 1);
    }
    shared.pool.lock().unwrap().clear();
    let functions = shared.functions.into_inner().unwrap();
    for tale in &functions {
        eventually("a function to run or go", || tale.drops() == 1);
        assert!(tale.runs() <= 1, "{tale:?}");
    }
    for foreign in shared.futures.into_inner().unwrap() {
        eventually("a future to go", || foreign.dropped());
    }
    drop(shared.root);
    let (bound, values) = (shared.bound.into_inner(), shared.values);
    eventually("every value to go", || values.drops() >= bound);
    assert_eq!(values.drops(), bound);
}

#[test]
fn a_tree_under_fire_from_all_sides_keeps_its_promises() {
    let watch = Watch::new();
    for seed in 0..stress(6) as u64 {
        churn(&watch, seed, 1_500);
    }
}
