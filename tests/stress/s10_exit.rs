//! S10: threads that go while something of theirs is registered: by a panic, by returning, and in the destructors of
//! thread-locals, before and after the crate's own thread-locals have gone. Nobody is stranded, nothing leaks.

use crate::common::watch::Watch;
use crate::common::*;
use ripcord::{AfterFunc, CancelGuard, CancelHandle, Context, DoneOwned};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

/// A panic that the process's hook does not print.
fn quiet() -> ! {
    resume_unwind(Box::new("quiet"))
}

/// What a thread leaves behind in a thread-local, to be dropped and used by its destructor.
struct Estate {
    root: Context,
    parts: Vec<(Context, CancelHandle)>,
    guard: Option<CancelGuard>,
    after: AfterFunc,
    done: Option<DoneOwned>,
    tale: Arc<Tale>,
}

impl Drop for Estate {
    fn drop(&mut self) {
        // Everything there is, in a thread that has lost its thread-locals.
        drop(self.done.take());
        let (child, handle) = self.root.with_timeout(Duration::from_secs(3600));
        // Somebody else may be ending it meanwhile: what was said before holds, or it has ended by now.
        assert!(handle.reset_timeout(Duration::from_secs(7200)) || child.is_done());
        assert!(handle.reset_timeout(Duration::ZERO) || self.root.is_done());
        assert!(child.is_done());
        let below = self.root.with_value(5u8).with_cancel().0;
        assert_eq!(below.value::<u8>(), Some(&5));
        let was_done = self.root.is_done();
        let ended = below.wait_timeout(Duration::from_millis(1)).is_some();
        assert!(ended || !was_done);
        assert!(self.root.is_done() || !ended);
        let mut done = below.clone().into_done();
        assert!(poll(&mut done).is_ready() || !ended);
        let many: Vec<_> =
            (0..40).map(|n| if n % 2 == 0 { below.with_cancel() } else { below.with_deadline(far()) }).collect();
        let probe = self.tale.probe();
        below.after_func(move || probe.run());
        // Ends the tree that it is all in: a walk, wakers and functions, and memory through the epoch.
        drop(self.guard.take());
        assert!(many.iter().all(|(ctx, _)| ctx.is_done()));
        assert!(self.parts.iter().all(|(ctx, _)| ctx.is_done()));
        assert!(!self.after.stop());
        self.tale.probe().run();
    }
}

thread_local! {
    static ESTATE: RefCell<Option<Estate>> = const { RefCell::new(None) };
}

/// Everything of the crate that keeps something per thread is used.
fn use_the_crate() {
    let (root, handle) = Context::background().with_cancel();
    let children: Vec<_> = (0..20).map(|_| root.with_deadline(far())).collect();
    let _ = root.wait_timeout(Duration::from_micros(1));
    handle.cancel();
    drop(children);
}

fn estate(tale: &Arc<Tale>) -> Estate {
    let (root, handle) = Context::background().with_cancel();
    let parts = (0..30).map(|n| if n % 3 == 0 { root.with_deadline(far()) } else { root.with_cancel() }).collect();
    let after = root.after_func(tale.function());
    let mut done = root.clone().into_done();
    assert!(poll(&mut done).is_pending());
    Estate { root, parts, guard: Some(handle.drop_guard()), after, done: Some(done), tale: tale.clone() }
}

/// The destructors of thread-locals run in the order in which they were registered, or in the reverse: so once with the
/// estate before the crate's own, and once after them.
#[test]
fn s10_contexts_are_used_in_the_destructors_of_thread_locals() {
    let watch = Watch::new();
    for round in 0..stress(40) {
        let tale = Tale::new();
        let post = watch.post("joiner");
        let (inside, crate_first) = (tale.clone(), round % 2 == 0);
        let thread = thread::spawn(move || {
            if crate_first {
                use_the_crate();
            }
            ESTATE.with_borrow(|estate| assert!(estate.is_none()));
            use_the_crate();
            ESTATE.set(Some(estate(&inside)));
        });
        post.during("join of a thread that leaves an estate", || thread.join().unwrap());
        assert_eq!(tale.runs(), 3, "the function, the function of the destructor, the destructor to its end");
        assert_eq!(tale.drops(), 3);
    }
}

/// The same while another thread cancels what the estate hangs on, so that they meet in the walk.
#[test]
fn s10_thread_exit_x_cancel() {
    let watch = Watch::new();
    for _ in 0..stress(60) {
        let (root, handle) = Context::background().with_cancel();
        let tale = Tale::new();
        let start = Barrier::new(3);
        watch.scope(|scope| {
            for n in 0..2 {
                let (root, start, tale) = (root.clone(), &start, &tale);
                let post = watch.post("thread that goes");
                scope.spawn(move || {
                    let mut estate = estate(tale);
                    let (below, its_handle) = root.with_cancel();
                    estate.parts.extend((0..20).map(|_| below.with_cancel()));
                    estate.guard = Some(its_handle.drop_guard());
                    estate.root = below;
                    ESTATE.set(Some(estate));
                    start.wait();
                    post.at("going");
                    if n == 1 {
                        quiet_unless_caught();
                    }
                });
            }
            let post = watch.post("canceler");
            start.wait();
            post.during("cancel", || handle.cancel());
        });
        assert!(root.is_done());
    }
}

/// A panic that is caught, so that the thread's drops have run under unwinding before it goes.
fn quiet_unless_caught() {
    let caught = catch_unwind(|| {
        let (ctx, handle) = Context::background().with_cancel();
        let _guard = handle.drop_guard();
        let _children: Vec<_> = (0..10).map(|_| ctx.with_cancel()).collect();
        quiet();
    });
    assert!(caught.is_err());
}

/// A thread that is unwound while it waits, as a future and by what it holds: its entries leave, the others hear.
#[test]
fn s10_a_panic_unwinds_a_thread_that_is_registered_everywhere() {
    let watch = Watch::new();
    for round in 0..stress(60) {
        let (root, handle) = Context::background().with_cancel();
        let (outside, wakes) = {
            let mut done = root.clone().into_done();
            let (wakes, waker) = Wakes::new();
            assert!(poll_with(&mut done, &waker).is_pending());
            (done, wakes)
        };
        let (own, kept) = (Tale::new(), Tale::new());
        root.after_func(kept.function());
        let start = Barrier::new(2);
        watch.scope(|scope| {
            let (root, start, own, post) = (&root, &start, &own, watch.post("unwound thread"));
            let dying = scope.spawn(move || {
                let mut pending: Vec<_> = (0..10).map(|_| root.done()).collect();
                let (_wakes, waker) = Wakes::new();
                for done in &mut pending {
                    let _ = poll_with(done, &waker);
                }
                let (ctx, child_handle) = root.with_value(own.probe()).with_deadline(far());
                let _below: Vec<_> = (0..10).map(|_| ctx.with_cancel()).collect();
                let _guard = child_handle.drop_guard();
                let after = ctx.after_func(own.function());
                let _stops_late = Stops(after);
                start.wait();
                post.at("unwinding");
                quiet();
            });
            let post = watch.post("canceler");
            start.wait();
            if round % 2 == 0 {
                post.during("cancel", || handle.cancel());
            }
            assert!(dying.join().is_err());
        });
        assert_eq!(own.drops(), 2, "the value and the function: {own:?}");
        if round % 2 == 1 {
            assert_live(&root);
            assert_eq!(wakes.count(), 0);
            handle.cancel();
        }
        assert_eq!(wakes.count(), 1);
        assert!(kept.has_run());
        drop(outside);
    }
}

/// Stops its function when it is dropped.
struct Stops(AfterFunc);

impl Drop for Stops {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// A second panic while unwinding would abort the process: it is kept back.
#[test]
fn s10_a_guard_dropped_by_a_panic_may_call_functions_that_panic() {
    let (ctx, handle) = Context::background().with_cancel();
    let tales: Vec<_> = (0..5).map(|_| Tale::new()).collect();
    for tale in &tales {
        let function = tale.function();
        ctx.with_cancel().0.after_func(move || {
            function();
            quiet();
        });
    }
    let caught = catch_unwind(AssertUnwindSafe(move || {
        let _guard = handle.drop_guard();
        resume_unwind(Box::new("the first"));
    }));
    assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"the first"));
    assert!(tales.iter().all(|tale| tale.has_run()));
    assert_canceled(&ctx);
}

/// Threads in `wait()` hear of the end although a neighbour of theirs, registered before them and after them, panics.
#[test]
fn s10_waiting_threads_hear_of_the_end_beside_wakers_that_panic() {
    let watch = Watch::new();
    for _ in 0..stress(40) {
        let (root, handle) = Context::background().with_cancel();
        let bad = waker_fn(|| quiet());
        let mut loud: Vec<_> = (0..6).map(|_| root.clone().into_done()).collect();
        for done in &mut loud[..3] {
            assert!(poll_with(done, &bad).is_pending());
        }
        watch.scope(|scope| {
            let waiters: Vec<_> = (0..3)
                .map(|_| {
                    let (root, post) = (root.with_cancel().0, watch.post("waiter"));
                    scope.spawn(move || post.during("wait", || root.wait()))
                })
                .collect();
            for done in &mut loud[3..] {
                assert!(poll_with(done, &bad).is_pending());
            }
            assert!(catch_unwind(AssertUnwindSafe(|| handle.cancel())).is_err(), "the panic resurfaces");
            for waiter in waiters {
                waiter.join().unwrap();
            }
        });
    }
}
