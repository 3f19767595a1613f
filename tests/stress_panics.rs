//! S10: wakers, functions, foreign futures, and the drops of values, causes and functions panic, on every thread there is.
//! Nobody is stranded, and every panic is heard of: it goes on in whoever ended or dropped the context, or, where a hook
//! is installed, each of them reaches the hook.
//!
//! A process of its own, and one test at a time: the hook is the process's.
#![cfg(not(feature = "loom"))]

mod common;

use common::alone::Configuring;
use common::watch::Watch;
use common::*;
use ripcord::{AfterFunc, CancelHandle, Cause, Config, Context, DoneOwned, Error};
use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex};
use std::task::Poll;
use std::thread;
use std::time::Duration;

/// The payload of a panic: which one it is. It does not pass through the process's panic hook, which would print it.
struct Number(usize);

fn panic_with(number: usize) -> ! {
    resume_unwind(Box::new(Number(number)))
}

fn number_of(payload: &(dyn Any + Send)) -> usize {
    payload.downcast_ref::<Number>().expect("a panic of this test's own").0
}

/// Panics when it is dropped. The number is written down first: a drop that panics has happened.
#[derive(Debug)]
struct Bomb(usize, Arc<Scene>);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.1.raised(self.0);
    }
}

impl fmt::Display for Bomb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bomb")
    }
}

impl std::error::Error for Bomb {}

/// What happens in one round.
#[derive(Debug, Default)]
struct Scene {
    /// The panics that were raised, by number.
    raised: Mutex<Vec<usize>>,
    next: AtomicUsize,
    /// Those who do not panic, and must not be stranded.
    quiet: Mutex<Vec<Arc<Tale>>>,
}

impl Scene {
    fn number(&self) -> usize {
        self.next.fetch_add(1, SeqCst)
    }

    fn raised(&self, number: usize) -> ! {
        self.raised.lock().unwrap().push(number);
        panic_with(number)
    }

    fn quiet(&self) -> Arc<Tale> {
        let tale = Tale::new();
        self.quiet.lock().unwrap().push(tale.clone());
        tale
    }
}

/// What one branch of a tree needs to be held.
struct Branch {
    handle: CancelHandle,
    after: Option<AfterFunc>,
    loud: Option<DoneOwned>,
    foreign: Option<Arc<Foreign<&'static str>>>,
}

/// A branch that panics in one of seven ways, and beside it and below it some who do not.
fn branch(scene: &Arc<Scene>, parent: &Context, kind: usize) -> (Context, Branch) {
    let number = scene.number();
    let inside = scene.clone();
    let (mut after, mut loud, mut foreign) = (None, None, None);
    let (ctx, handle) = match kind % 7 {
        0 => parent.with_value(Bomb(number, inside)).with_cancel(),
        1 => {
            let part = parent.with_deadline(far());
            after = Some(part.0.after_func(move || inside.raised(number)));
            part
        }
        2 => {
            let part = parent.with_cancel();
            let bomb = Bomb(number, inside);
            // Run, stopped, or dropped unrun: the capture goes in any case.
            after = Some(part.0.after_func(move || drop(bomb)));
            part
        }
        3 => {
            let part = parent.with_cancel();
            let mut done = part.0.clone().into_done();
            assert!(poll_with(&mut done, &waker_fn(move || inside.raised(number))).is_pending());
            loud = Some(done);
            part
        }
        4 => {
            let (other, mut inner) = Foreign::new();
            foreign = Some(other);
            parent.with_cancel_on(std::future::poll_fn(move |cx| {
                if poll_with(&mut inner, cx.waker()).is_ready() {
                    inside.raised(number);
                }
                Poll::<()>::Pending
            }))
        }
        5 => {
            let bomb = Bomb(number, inside);
            parent.with_cancel_on(async move {
                let _held = bomb;
                std::future::pending::<()>().await;
            })
        }
        _ => parent.with_deadline_cause(far(), Cause::new(Bomb(number, inside))),
    };
    ctx.after_func(scene.quiet().function());
    ctx.with_cancel().0.after_func(scene.quiet().function());
    (ctx, Branch { handle, after, loud, foreign })
}

/// A waiter that does not panic.
struct Waiter(DoneOwned, Arc<Wakes>);

impl Waiter {
    fn on(ctx: &Context) -> Waiter {
        let mut done = ctx.clone().into_done();
        let (wakes, waker) = Wakes::new();
        assert!(poll_with(&mut done, &waker).is_pending());
        Waiter(done, wakes)
    }
}

/// Several threads end and drop the branches of one tree. Returns the panics that were raised, and those that went on in
/// one of the threads.
fn storm(watch: &Watch, round: usize) -> (Vec<usize>, Vec<usize>) {
    let scene = Arc::new(Scene::default());
    let (root, root_handle) = Context::background().with_cancel();
    let mut random = Random::new(round as u64);
    let mut waiters = vec![Waiter::on(&root)];
    let mut branches = Vec::new();
    let mut parents = vec![root.clone()];
    for n in 0..42 {
        let (ctx, branch) = branch(&scene, &parents[random.below(parents.len())].clone(), n);
        // Whoever waits holds the context: so only for some.
        if random.below(3) == 0 {
            waiters.push(Waiter::on(&ctx));
        }
        parents.push(ctx);
        branches.push(branch);
    }
    drop(parents);
    random.shuffle(&mut branches);
    let start = Barrier::new(4);
    let surfaced: Mutex<Vec<usize>> = Mutex::default();
    let guarded = |f: &mut dyn FnMut()| {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
            surfaced.lock().unwrap().push(number_of(&*payload));
        }
    };
    watch.scope(|scope| {
        let mut third = || branches.split_off(branches.len().saturating_sub(14));
        for part in [third(), third(), third()] {
            let (start, guarded, post) = (&start, &guarded, watch.post("owner of branches"));
            let mut random = Random::new(part.len() as u64 + round as u64);
            scope.spawn(move || {
                start.wait();
                for branch in part {
                    let Branch { handle, after, loud, foreign } = branch;
                    match random.below(4) {
                        0 => post.during("cancel", || guarded(&mut || handle.cancel())),
                        1 => post.during("end by a deadline", || {
                            guarded(&mut || assert!(handle.reset_timeout(Duration::ZERO) || handle.context().is_done()))
                        }),
                        _ => {}
                    }
                    if let Some(foreign) = foreign.filter(|_| random.below(2) == 0) {
                        post.during("wake of a future", || guarded(&mut || foreign.complete("foreign")));
                    }
                    if let Some(after) = after.filter(|_| random.below(2) == 0) {
                        post.during("stop", || guarded(&mut || assert!(!(after.stop() && after.stop()))));
                    }
                    let mut rest = Some((loud, handle));
                    post.during("drop of a branch", || guarded(&mut || drop(rest.take())));
                }
            });
        }
        let post = watch.post("canceler of the root");
        start.wait();
        post.during("cancel of the root", || guarded(&mut || root_handle.cancel()));
    });
    assert!(root.is_done());
    for Waiter(mut done, wakes) in waiters {
        eventually("the wake of a waiter", || wakes.count() == 1);
        assert!(poll(&mut done).is_ready());
        let mut done = Some(done);
        guarded(&mut || drop(done.take()));
    }
    let mut rest = Some((root, root_handle));
    guarded(&mut || drop(rest.take()));
    let quiet = std::mem::take(&mut *scene.quiet.lock().unwrap());
    assert_eq!(quiet.len(), 84);
    for tale in quiet {
        eventually("a function beside those that panic", || tale.has_run());
    }
    let raised = scene.raised.lock().unwrap().clone();
    (raised, surfaced.into_inner().unwrap())
}

fn set(numbers: &[usize]) -> BTreeSet<usize> {
    let set: BTreeSet<_> = numbers.iter().copied().collect();
    assert_eq!(set.len(), numbers.len(), "one of them twice: {numbers:?}");
    set
}

#[test]
fn s10_panics_of_every_kind_strand_nobody_and_go_on_in_who_caused_them() {
    let _alone = Configuring::alone();
    let watch = Watch::new();
    for round in 0..stress(60) {
        let (raised, surfaced) = storm(&watch, round);
        assert!(!raised.is_empty() && !surfaced.is_empty(), "{raised:?}, {surfaced:?}");
        assert!(set(&surfaced).is_subset(&set(&raised)));
    }
}

#[test]
fn s10_every_panic_reaches_the_hook_and_none_goes_on() {
    let _alone = Configuring::alone();
    let watch = Watch::new();
    let heard: Arc<Mutex<Vec<usize>>> = Arc::default();
    let hears = heard.clone();
    Config::default().on_panic(move |payload| hears.lock().unwrap().push(number_of(&*payload))).install();
    for round in 0..stress(60) {
        let (raised, surfaced) = storm(&watch, round);
        assert_eq!(surfaced, [0; 0], "went on past the hook");
        assert_eq!(set(&std::mem::take(&mut *heard.lock().unwrap())), set(&raised));
        assert!(!raised.is_empty());
    }
}

/// On the timer's thread nobody is above to hear; the thread goes on, and so do all other deadlines.
#[test]
fn s10_panics_on_the_timers_thread_cost_nobody_a_deadline() {
    let _alone = Configuring::alone();
    let watch = Watch::new();
    let heard = Arc::new(AtomicUsize::new(0));
    for hooked in [false, true] {
        if hooked {
            let heard = heard.clone();
            let hook = move |_| {
                heard.fetch_add(1, SeqCst);
            };
            Config::default().on_panic(hook).install();
        }
        let post = watch.post("waiter");
        for _ in 0..stress(6) {
            let before = heard.load(SeqCst);
            let quiet: Vec<_> = (0..60).map(|_| Tale::new()).collect();
            let contexts: Vec<_> = (0..60)
                .map(|n| {
                    let (ctx, handle) = Context::background().with_deadline(far());
                    if n % 3 == 0 {
                        ctx.after_func(|| panic_with(0));
                    }
                    ctx.after_func(quiet[n].function());
                    (ctx, handle)
                })
                .collect();
            // All is registered: now they may come, one after another.
            for ((_, handle), n) in contexts.iter().zip(0..) {
                assert!(handle.reset_timeout(Duration::from_micros(2_000 + 50 * n)));
            }
            for ((ctx, _), tale) in contexts.iter().zip(&quiet) {
                post.during("wait", || assert_eq!(wait_for(ctx), Error::DeadlineExceeded));
                eventually("a function beside one that panics", || tale.has_run());
            }
            if hooked {
                eventually("every panic", || heard.load(SeqCst) == before + 20);
            }
        }
    }
}

/// A hook may use contexts, and end trees whose functions panic in turn.
#[test]
fn s10_a_hook_that_cancels_what_panics_again() {
    let _alone = Configuring::alone();
    let watch = Watch::new();
    let post = watch.post("canceler");
    let chain: Arc<Mutex<Vec<CancelHandle>>> = Arc::default();
    let (heard, pops) = (Arc::new(AtomicUsize::new(0)), chain.clone());
    let counts = heard.clone();
    Config::default()
        .on_panic(move |_| {
            counts.fetch_add(1, SeqCst);
            let next = pops.lock().unwrap().pop();
            if let Some(next) = next {
                next.cancel();
                assert!(next.context().with_cancel().0.is_done());
            }
        })
        .install();
    for _ in 0..stress(20) {
        heard.store(0, SeqCst);
        let parts: Vec<_> = (0..200).map(|_| Context::background().with_cancel()).collect();
        for (ctx, handle) in &parts {
            ctx.after_func(|| panic_with(0));
            chain.lock().unwrap().push(handle.clone());
        }
        let first = chain.lock().unwrap().pop().unwrap();
        post.during("cancel", || first.cancel());
        assert!(parts.iter().all(|(ctx, _)| ctx.is_done()));
        assert_eq!(heard.load(SeqCst), 200);
    }
}

/// A panic whose payload panics when it is dropped, as all but one of several panics are: what that panics with goes too.
#[test]
fn s10_payloads_that_panic_when_they_are_dropped_are_not_leaked() {
    struct Payload(Arc<Tale>);
    impl Drop for Payload {
        fn drop(&mut self) {
            resume_unwind(Box::new(self.0.probe()));
        }
    }
    let _alone = Configuring::alone();
    for _ in 0..stress(20) {
        let (root, handle) = Context::background().with_cancel();
        let second = Tale::new();
        let tales: Vec<_> = (0..8).map(|_| Tale::new()).collect();
        for tale in &tales {
            let (function, second) = (tale.function(), second.clone());
            root.with_cancel().0.after_func(move || {
                function();
                resume_unwind(Box::new(Payload(second)));
            });
        }
        let payload = catch_unwind(AssertUnwindSafe(|| handle.cancel())).unwrap_err();
        assert!(payload.is::<Payload>(), "the first goes on, as it was");
        assert!(tales.iter().all(|tale| tale.has_run()));
        assert_eq!(second.drops(), 7);
        assert!(catch_unwind(AssertUnwindSafe(|| drop(payload))).is_err());
        assert_eq!(second.drops(), 8);
    }
}

#[test]
fn s10_g8_panics_on_racing_threads_strand_nobody() {
    let _alone = Configuring::alone();
    for _ in 0..stress(40) {
        let (root, handle) = Context::background().with_cancel();
        let tales: Vec<_> = (0..20).map(|_| Tale::new()).collect();
        for (n, tale) in tales.iter().enumerate() {
            let function = tale.function();
            root.with_cancel().0.after_func(move || {
                function();
                // Not `panic!`: the hook of the process would print forty times.
                if n % 5 == 0 {
                    std::panic::resume_unwind(Box::new("quiet"));
                }
            });
        }
        let start = Barrier::new(2);
        let raised: usize = thread::scope(|scope| {
            let racers: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        handle.cancel();
                    })
                })
                .collect();
            racers.into_iter().map(|racer| usize::from(racer.join().is_err())).sum()
        });
        assert!((1..=2).contains(&raised), "{raised} cancels raised a panic");
        // The canceler that did not run a function may return before it has: none of them waits for another.
        eventually("every function", || tales.iter().all(|tale| tale.has_run()));
    }
}
