//! S2: dropping and `stop()` never wait. Somebody's code is stuck half-way (in a function, a waker, a future, the drop of
//! a value, on the timer's thread), and everybody else goes on: a call that waited would be named by the watchdog.

use crate::common::watch::{Post, Watch};
use crate::common::*;
use ripcord::{AfterFunc, CancelHandle, Context, Error};
use std::sync::{Arc, Mutex, mpsc};
use std::task::Poll;
use std::time::Duration;

/// Code that stops where it is until it is told to go on.
struct Stuck {
    is_in: mpsc::Receiver<()>,
    go_on: mpsc::Sender<()>,
}

impl Stuck {
    fn new() -> (Stuck, impl Fn() + Send + Sync + Clone + 'static) {
        let (tell, is_in) = mpsc::channel();
        let (go_on, may_go) = mpsc::channel();
        let may_go = Arc::new(Mutex::new(may_go));
        let code = move || {
            tell.send(()).unwrap();
            may_go.lock().unwrap().recv().unwrap();
        };
        (Stuck { is_in, go_on }, code)
    }

    /// Waits until the code is stuck; it goes on when the token is dropped, also by a panic.
    fn token(&self) -> Token<'_> {
        self.is_in.recv_timeout(Duration::from_secs(60)).expect("the code was never called");
        Token(self)
    }
}

struct Token<'a>(&'a Stuck);

impl Drop for Token<'_> {
    fn drop(&mut self) {
        let _ = self.0.go_on.send(());
    }
}

/// Everything that must come back while somebody else is stuck in code that belongs to `ctx`.
fn everything(post: &Post, ctx: Context, handle: CancelHandle, after: &AfterFunc, siblings: Vec<Part>) {
    for (sibling, its_handle, its_after, mut done) in siblings {
        post.during("stop of another function", || its_after.stop());
        post.during("drop of an AfterFunc", || drop(its_after));
        let _ = post.during("poll", || poll(&mut done));
        post.during("drop of a Done", || drop(done));
        post.during("reset of a deadline", || its_handle.reset_timeout(Duration::from_secs(60)));
        post.during("drop of a sibling", || drop((sibling, its_handle)));
    }
    post.during("stop of the function that runs", || assert!(!after.stop()));
    post.during("second cancel", || handle.cancel());
    post.during("derive", || assert!(ctx.with_deadline(far()).0.is_done()));
    post.during("wait", || ctx.wait());
    post.during("function at once", || drop(ctx.after_func(|| ())));
    post.during("drop of the context and its handle", || drop((ctx, handle)));
}

type Part = (Context, CancelHandle, AfterFunc, ripcord::DoneOwned);

fn parts(root: &Context, n: usize) -> Vec<Part> {
    (0..n)
        .map(|n| {
            let (ctx, handle) = if n % 2 == 0 { root.with_cancel() } else { root.with_deadline(far()) };
            let after = ctx.after_func(|| ());
            let mut done = ctx.clone().into_done();
            assert!(poll(&mut done).is_pending());
            (ctx, handle, after, done)
        })
        .collect()
}

#[test]
fn s2_nothing_waits_for_a_function_that_runs() {
    let (watch, (stuck, code)) = (Watch::new(), Stuck::new());
    let (root, root_handle) = Context::background().with_cancel();
    let siblings = parts(&root, 20);
    let (ctx, handle) = root.with_cancel();
    let after = ctx.after_func(code);
    watch.scope(|scope| {
        scope.spawn(|| root_handle.cancel());
        let _stuck = stuck.token();
        everything(&watch.post("another thread"), ctx, handle, &after, siblings);
    });
    assert_canceled(&root);
}

#[test]
fn s2_stop_never_waits_for_the_function_it_came_too_late_for() {
    let (watch, (stuck, code)) = (Watch::new(), Stuck::new());
    let (ctx, handle) = Context::background().with_cancel();
    let after = ctx.after_func(code);
    watch.scope(|scope| {
        scope.spawn(|| handle.cancel());
        let _stuck = stuck.token();
        let post = watch.post("stopper");
        assert!(!post.during("stop", || after.stop()));
        post.during("drop", || drop(after));
    });
    assert_canceled(&ctx);
}

/// The deadlock of those who wait: `stop()` under a lock that the function wants.
#[test]
fn s2_stop_under_the_lock_that_the_function_wants() {
    let watch = Watch::new();
    for _ in 0..stress(60) {
        let lock = Arc::new(Mutex::new(0));
        let (ctx, handle) = Context::background().with_cancel();
        let inside = lock.clone();
        let after = ctx.after_func(move || *inside.lock().unwrap() += 1);
        let prevented = watch.scope(|scope| {
            let post = watch.post("canceler");
            scope.spawn(move || post.during("cancel", || handle.cancel()));
            let post = watch.post("stopper");
            let mut runs = post.during("lock", || lock.lock().unwrap());
            let prevented = post.during("stop under the lock", || after.stop());
            // Under the lock still: the function may wait for it meanwhile, and for nothing else.
            post.during("drop under the lock", || drop((after, ctx)));
            *runs += usize::from(prevented);
            prevented
        });
        assert_eq!(*lock.lock().unwrap(), 1, "run or prevented ({prevented}), and only one of them");
    }
}

#[test]
fn s2_nothing_waits_for_a_waker_that_runs() {
    let (watch, (stuck, code)) = (Watch::new(), Stuck::new());
    let (root, root_handle) = Context::background().with_cancel();
    let (ctx, handle) = root.with_cancel();
    let siblings = parts(&root, 20);
    let mut done = ctx.clone().into_done();
    assert!(poll_with(&mut done, &waker_fn(code)).is_pending());
    watch.scope(|scope| {
        scope.spawn(|| root_handle.cancel());
        let _stuck = stuck.token();
        let post = watch.post("another thread");
        // Wakers come first, so the function waits; it is claimed all the same.
        let after = ctx.after_func(|| ());
        post.during("poll by another waker", || assert_eq!(poll(&mut done), Poll::Ready(Error::Canceled)));
        post.during("drop of the Done that is being woken", || drop(done));
        everything(&post, ctx, handle, &after, siblings);
    });
    assert_canceled(&root);
}

#[test]
fn s2_nothing_waits_for_a_function_on_the_timers_thread() {
    let (watch, (stuck, code)) = (Watch::new(), Stuck::new());
    let (root, root_handle) = Context::background().with_deadline(far());
    let siblings = parts(&root, 20);
    let (ctx, handle) = root.with_cancel();
    let after = ctx.after_func(code);
    // All is registered: now it may come.
    assert!(root_handle.reset_timeout(Duration::from_millis(1)));
    let _stuck = stuck.token();
    let post = watch.post("another thread");
    // Deadlines too may be armed, moved and dropped while their thread is stuck.
    for n in 0..200 {
        let (other, its_handle) = post.during("arm", || Context::background().with_timeout(Duration::from_micros(n)));
        post.during("move", || its_handle.reset_timeout(Duration::from_micros(7 * n)));
        post.during("drop of an armed context", || drop((other, its_handle)));
    }
    everything(&post, ctx, handle, &after, siblings);
    assert_ended(&root, Error::DeadlineExceeded, "context deadline exceeded");
}

#[test]
fn s2_nothing_waits_for_a_foreign_future_that_is_polled() {
    let (watch, (stuck, code)) = (Watch::new(), Stuck::new());
    let (root, root_handle) = Context::background().with_cancel();
    let (foreign, mut inner) = Foreign::<&'static str>::new();
    let (ctx, handle) = root.with_cancel_on(std::future::poll_fn(move |cx| {
        let polled = poll_with(&mut inner, cx.waker());
        if polled.is_ready() {
            code();
        }
        polled
    }));
    let below = ctx.with_cancel();
    watch.scope(|scope| {
        scope.spawn(|| foreign.complete("foreign"));
        let _stuck = stuck.token();
        let post = watch.post("another thread");
        post.during("another wake of the future", || foreign.waker().unwrap().wake());
        post.during("drop of a child", || drop(below));
        post.during("cancel of the context", || handle.cancel());
        post.during("cancel of its parent", || root_handle.cancel());
        post.during("drop of the context", || drop((ctx, handle)));
    });
    assert!(foreign.dropped(), "dropped by the poll it was in");
    assert_canceled(&root);
}

#[test]
fn s2_nothing_waits_for_the_drop_of_a_value() {
    struct Slow<F: Fn()>(F);
    impl<F: Fn()> Drop for Slow<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }
    let (watch, (stuck, code)) = (Watch::new(), Stuck::new());
    let (root, handle) = Context::background().with_cancel();
    let held = root.with_cancel().0.with_value(Slow(code)).with_cancel();
    watch.scope(|scope| {
        scope.spawn(|| drop(held));
        let _stuck = stuck.token();
        let post = watch.post("another thread");
        post.during("derive", || drop(root.with_cancel()));
        post.during("cancel", || handle.cancel());
        post.during("drop of the parent", || drop((root, handle)));
    });
}
