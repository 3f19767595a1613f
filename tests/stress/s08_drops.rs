//! S8: the drop of a value, of a function that never ran, of a cause or of a foreign future uses the tree it hung in: it
//! derives, cancels, waits, stops and drops there, while other threads end and drop the same tree.

use crate::common::watch::Watch;
use crate::common::*;
use ripcord::{AfterFunc, CancelHandle, Cause, Context};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

/// Where the droppings of one round meet: what they work on, and how often they came.
#[derive(Default)]
struct Ground {
    parts: Mutex<Vec<(Context, CancelHandle)>>,
    afters: Mutex<Vec<AfterFunc>>,
    made: AtomicUsize,
    dropped: AtomicUsize,
}

/// Uses the tree when it is dropped.
struct Meddler(Arc<Ground>, usize);

impl Ground {
    fn meddler(self: &Arc<Self>) -> Meddler {
        Meddler(self.clone(), self.made.fetch_add(1, SeqCst))
    }

    fn pick(&self, n: usize) -> Option<(Context, CancelHandle)> {
        let parts = self.parts.lock().unwrap();
        parts.get(n % parts.len().max(1)).cloned()
    }
}

impl Drop for Meddler {
    fn drop(&mut self) {
        let Meddler(ground, n) = self;
        ground.dropped.fetch_add(1, SeqCst);
        let Some((ctx, handle)) = ground.pick(*n) else { return };
        let (child, its_handle) = ctx.with_value(*n).with_deadline(far());
        let after = child.after_func(|| ());
        let mut done = child.clone().into_done();
        match *n % 6 {
            0 => {
                handle.cancel();
                // Derived before, so ended now; derived here, so nobody can be half-way.
                assert_eq!(child.wait_timeout(Duration::from_secs(60)), ctx.err());
            }
            1 => drop(after.stop()),
            2 => drop(poll(&mut done)),
            3 => its_handle.cancel(),
            4 => drop(handle.reset_timeout(Duration::from_secs(60))),
            _ => drop(Context::background().with_cancel_from(&ctx)),
        }
        // The part goes here, if nobody else holds it: a drop inside a drop.
        let gone = {
            let mut parts = ground.parts.lock().unwrap();
            let last = parts.len();
            (last > 0).then(|| parts.swap_remove(*n % last))
        };
        drop(gone);
        after.stop();
    }
}

impl fmt::Debug for Meddler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meddler")
    }
}

impl fmt::Display for Meddler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("meddler")
    }
}

impl std::error::Error for Meddler {}

/// A context that takes a meddler with it, in one of five ways.
fn laden(ground: &Arc<Ground>, parent: &Context, n: usize) -> (Context, CancelHandle) {
    let meddler = ground.meddler();
    match n % 5 {
        0 => parent.with_value(meddler).with_cancel(),
        1 => {
            let part = parent.with_cancel();
            let after = part.0.after_func(move || drop(meddler));
            ground.afters.lock().unwrap().push(after);
            part
        }
        2 => parent.with_deadline_cause(far(), Cause::new(meddler)),
        3 => parent.with_cancel_on(async move {
            let _held = meddler;
            std::future::pending::<()>().await;
        }),
        _ => {
            let part = parent.with_cancel();
            part.1.cancel_cause(Cause::new(meddler));
            part
        }
    }
}

#[test]
fn s8_drops_of_user_things_use_the_tree_they_hang_in() {
    let watch = Watch::new();
    for round in 0..stress(60) {
        let ground = Arc::new(Ground::default());
        let (root, root_handle) = Context::background().with_cancel();
        let mut random = Random::new(round as u64);
        let mut all = vec![root.clone()];
        let mut held = Vec::new();
        for n in 0..50 {
            let parent = all[random.below(all.len())].clone();
            let part = laden(&ground, &parent, n);
            all.push(part.0.clone());
            if n % 2 == 0 {
                ground.parts.lock().unwrap().push(part);
            } else {
                held.push(part);
            }
        }
        drop(all);
        let start = Barrier::new(3);
        watch.scope(|scope| {
            for half in [held.split_off(held.len() / 2), held] {
                let (start, post) = (&start, watch.post("leaver"));
                scope.spawn(move || {
                    start.wait();
                    for part in half {
                        post.during("drop of a part", || drop(part));
                    }
                });
            }
            let post = watch.post("canceler");
            start.wait();
            if round % 2 == 0 {
                post.during("cancel of the root", || root_handle.cancel());
            }
            post.during("drop of the root", || drop((root, root_handle)));
        });
        watch.post("sweeper").during("drop of what is left", || {
            loop {
                let last = ground.parts.lock().unwrap().pop();
                if last.is_none() {
                    break;
                }
            }
        });
        // A far deadline or a future above a function keeps it, by the rules, until somebody stops it.
        let afters = std::mem::take(&mut *ground.afters.lock().unwrap());
        for after in &afters {
            after.stop();
        }
        // Meddlers that wait in the epoch go with the next pins; only causes of deadlines do.
        let made = ground.made.load(SeqCst);
        eventually("every value, cause, function and future to go", || {
            let (ctx, handle) = Context::background().with_cancel();
            let child = ctx.with_cancel();
            handle.cancel();
            drop(child);
            ground.dropped.load(SeqCst) == made
        });
        assert_eq!(ground.dropped.load(SeqCst), 50, "each once");
    }
}

/// The drop of a value ends the tree whose function drops the next value, and so on, on several threads.
#[test]
fn s8_drops_that_end_trees_whose_functions_drop() {
    struct Ends(CancelHandle, Arc<Tale>);
    impl Drop for Ends {
        fn drop(&mut self) {
            self.0.cancel();
            assert!(self.0.context().is_done());
            self.1.probe().run();
        }
    }
    let watch = Watch::new();
    for _ in 0..stress(30) {
        let tale = Tale::new();
        let chains: Vec<_> = (0..3)
            .map(|_| {
                let (first, handle) = Context::background().with_cancel();
                let mut last = first;
                for _ in 0..40 {
                    let (next, its_handle) = Context::background().with_cancel();
                    let laden = Context::background().with_value(Ends(its_handle, tale.clone()));
                    last.after_func(move || drop(laden));
                    last = next;
                }
                (handle, last)
            })
            .collect();
        watch.scope(|scope| {
            for (handle, last) in &chains {
                let post = watch.post("starter");
                scope.spawn(move || {
                    post.during("cancel of the first", || handle.cancel());
                    assert!(last.is_done(), "the marking is never deferred beyond the first cancel");
                });
            }
        });
        assert_eq!(tale.runs(), 3 * 40);
    }
}
