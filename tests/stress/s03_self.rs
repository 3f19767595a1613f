//! S3: functions, wakers and futures that take away the ground under their own feet: stop or drop their own `AfterFunc`,
//! `Done`, context or handles, and cancel the tree they run for; alone, and against another thread that does the same.

use crate::common::watch::Watch;
use crate::common::*;
use ripcord::{AfterFunc, CancelHandle, Context, DoneOwned};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex};

/// What a function will take, left here for it by whoever registers it.
struct Cell<T>(Arc<Mutex<Option<T>>>);

impl<T> Clone for Cell<T> {
    fn clone(&self) -> Self {
        Cell(self.0.clone())
    }
}

impl<T> Cell<T> {
    fn new() -> Self {
        Cell(Arc::default())
    }
    fn put(&self, it: T) {
        let before = self.0.lock().unwrap().replace(it);
        assert!(before.is_none());
    }
    /// Taken out under the lock, used outside.
    fn take(&self) -> Option<T> {
        self.0.lock().unwrap().take()
    }
}

#[test]
fn s3_a_function_stops_and_drops_its_own_after_func() {
    for stop in [false, true] {
        let (ctx, handle) = Context::background().with_cancel();
        let (own, tale) = (Cell::<AfterFunc>::new(), Tale::new());
        let (inside, function) = (own.clone(), tale.function());
        own.put(ctx.after_func(move || {
            let own = inside.take().expect("left for us");
            if stop {
                assert!(!own.stop(), "it runs already");
            }
            drop(own);
            function();
        }));
        handle.cancel();
        assert!(tale.has_run());
    }
}

#[test]
fn s3_a_function_drops_the_last_handles_of_its_context_and_of_those_above() {
    let (root, handle) = Context::background().with_cancel();
    let (held, tale, value) = (Cell::new(), Tale::new(), Tale::new());
    let middle = root.with_value(value.probe()).with_cancel();
    let ctx = middle.0.with_cancel();
    let (inside, function) = (held.clone(), tale.function());
    ctx.0.after_func(move || {
        drop(inside.take().expect("left for us"));
        function();
    });
    held.put((ctx, middle, root));
    handle.cancel();
    assert!(tale.has_run());
    drop(handle);
    assert_eq!(value.drops(), 1);
}

#[test]
fn s3_a_function_cancels_its_own_tree_from_the_bottom_and_from_the_top() {
    let (root, handle) = Context::background().with_cancel();
    let runs = Tale::new();
    let mut all = vec![(root.clone(), handle.clone())];
    for n in 0..60 {
        let next = all[n / 2].0.with_cancel();
        let (again, mine, probe) = (handle.clone(), next.1.clone(), runs.probe());
        next.0.after_func(move || {
            mine.cancel_cause(oops(1));
            again.cancel_cause(oops(2));
            probe.run();
        });
        all.push(next);
    }
    let (_, bottom) = &all[60];
    bottom.cancel_cause(oops(0));
    assert!(all.iter().all(|(ctx, _)| ctx.is_done()), "the first function cancels the root");
    assert_eq!(runs.runs(), 60);
    assert_eq!(oops_of(&all[60].0), Some(0));
    assert_eq!(oops_of(&root), Some(2));
}

#[test]
fn s3_a_function_on_an_ended_context_drops_what_it_runs_for() {
    let (ctx, handle) = Context::background().with_cancel();
    handle.cancel();
    let tale = Tale::new();
    let (held, function) = (Cell::new(), tale.function());
    held.put((ctx.clone(), handle));
    let after = ctx.with_cancel().0.after_func(move || {
        drop(held.take());
        function();
    });
    drop(ctx);
    assert!(tale.has_run());
    assert!(!after.stop());
}

#[test]
fn s3_a_function_may_stop_itself_and_others() {
    let (ctx, handle) = Context::background().with_cancel();
    let slot: Arc<Mutex<Vec<AfterFunc>>> = Arc::default();
    let tales: Vec<_> = (0..10).map(|_| Tale::new()).collect();
    let stopped = Arc::new(AtomicUsize::new(0));
    for tale in &tales {
        let (function, all, count) = (tale.function(), slot.clone(), stopped.clone());
        let after = ctx.after_func(move || {
            function();
            let others = std::mem::take(&mut *all.lock().unwrap());
            count.fetch_add(others.iter().filter(|after| after.stop()).count(), SeqCst);
        });
        slot.lock().unwrap().push(after);
    }
    handle.cancel();
    let ran = tales.iter().filter(|tale| tale.has_run()).count();
    let dropped = tales.iter().filter(|tale| tale.is_dropped_unrun()).count();
    assert_eq!(ran + dropped, 10, "each run or dropped, never both");
    assert_eq!(dropped, stopped.load(SeqCst));
    assert!(ran >= 1);
}

#[test]
fn s3_a_waker_drops_its_own_done() {
    let (ctx, handle) = Context::background().with_cancel();
    let held = Cell::<DoneOwned>::new();
    let woken = Tale::new();
    let (inside, probe) = (held.clone(), woken.clone());
    let mut done = ctx.into_done();
    let waker = waker_fn(move || {
        probe.probe().run();
        drop(inside.take().expect("left for us"));
    });
    assert!(poll_with(&mut done, &waker).is_pending());
    held.put(done);
    handle.cancel();
    assert_eq!(woken.runs(), 1);
}

#[test]
fn s3_a_future_drops_the_context_it_would_end() {
    let (parent, parent_handle) = Context::background().with_cancel();
    let held = Cell::<(Context, CancelHandle)>::new();
    let (foreign, mut inner) = Foreign::<&'static str>::new();
    let inside = held.clone();
    held.put(parent.with_cancel_on(std::future::poll_fn(move |cx| {
        let polled = poll_with(&mut inner, cx.waker());
        if polled.is_ready() {
            drop(inside.take().expect("left for us"));
        }
        polled
    })));
    foreign.complete("foreign");
    assert!(foreign.dropped());
    assert_live(&parent);
    parent_handle.cancel();
}

#[test]
fn s3_a_value_drops_the_tree_it_hangs_in() {
    struct Holds(Cell<(Context, CancelHandle)>, Arc<Tale>);
    impl Drop for Holds {
        fn drop(&mut self) {
            drop(self.0.take());
            self.1.probe().run();
        }
    }
    let tale = Tale::new();
    let cell = Cell::new();
    let root = Context::background().with_cancel();
    let ctx = root.0.with_value(Holds(cell.clone(), tale.clone())).with_cancel();
    cell.put(root);
    drop(ctx);
    assert_eq!(tale.runs(), 1);
}

/// The function drops everything it can reach, while another thread stops it, or drops the same things.
#[test]
fn s3_self_dropping_functions_x_stop_x_drop() {
    let watch = Watch::new();
    for round in 0..stress(400) {
        let (root, handle) = Context::background().with_cancel();
        let (own, tale) = (Cell::new(), Tale::new());
        let ctx = if round % 2 == 0 { root.with_cancel() } else { root.with_deadline(far()) };
        let (inside, function, mine) = (own.clone(), tale.function(), ctx.1.clone());
        let after = ctx.0.after_func(move || {
            mine.cancel();
            function();
            drop(inside.take());
        });
        own.put((after, ctx, root));
        let start = Barrier::new(2);
        let prevented = watch.scope(|scope| {
            let (start, post) = (&start, watch.post("canceler"));
            scope.spawn(move || {
                start.wait();
                post.during("cancel, and drop of the last handle", || {
                    handle.cancel();
                    drop(handle);
                });
            });
            let post = watch.post("stopper");
            start.wait();
            let Some((after, ctx, root)) = own.take() else { return false };
            let prevented = post.during("stop", || after.stop());
            post.during("drop of everything", || drop((after, ctx, root)));
            prevented
        });
        assert!(if prevented { tale.is_dropped_unrun() } else { tale.has_run() }, "{prevented}: {tale:?}");
    }
}
