//! S7: wakers and functions use the tree they are called from, while other threads end other parts of it. Each looks at
//! the whole of its own context's subtree first: a tree that is half marked is never seen from inside.

use crate::common::watch::{Post, Watch};
use crate::common::*;
use ripcord::{AfterFunc, CancelHandle, Context, DoneOwned};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, Weak};
use std::time::Duration;

/// A node of the tree under test and everything that hangs on it.
struct Vertex {
    ctx: Context,
    handle: CancelHandle,
    /// Indices of what is below it.
    below: Vec<usize>,
    after: Option<AfterFunc>,
    done: Option<DoneOwned>,
}

#[derive(Default)]
struct Tree {
    vertices: Vec<Mutex<Vertex>>,
    /// All contexts, by index.
    all: Vec<Context>,
    /// Per vertex, the indices of what is below it.
    below: Vec<Vec<usize>>,
    calls: AtomicUsize,
    wakes: AtomicUsize,
    faults: Mutex<Vec<String>>,
}

impl Tree {
    /// What user code does when it is called for vertex `n`.
    fn meddle(&self, n: usize, what: &str, post: &Post) {
        let ctx = &self.all[n];
        if !ctx.is_done() {
            self.faults.lock().unwrap().push(format!("{what} of {n}, which has not ended"));
        }
        let live = self.below[n].iter().find(|&&m| !self.all[m].is_done());
        if let Some(m) = live {
            self.faults.lock().unwrap().push(format!("{what} of {n} sees {m} below it live: half marked"));
        }
        // Derive, look, wait, register: all of it on an ended context.
        post.at("derive inside");
        let (child, its_handle) = ctx.with_deadline(far());
        if !child.is_done() {
            self.faults.lock().unwrap().push(format!("{what} of {n} derived a live child"));
        }
        post.at("wait inside");
        child.wait();
        post.at("function inside");
        drop(child.after_func(|| ()));
        post.at("merge inside");
        drop(Context::background().with_cancel_from(ctx));
        post.at("cancel inside");
        its_handle.cancel();
        // Somebody else's registrations: stopped, dropped, canceled.
        let other = (n * 7 + 3) % self.all.len();
        let (after, done, handle) = {
            let mut vertex = self.vertices[other].lock().unwrap();
            (vertex.after.take(), vertex.done.take(), vertex.handle.clone())
        };
        if let Some(after) = after {
            post.at("stop inside");
            after.stop();
        }
        post.at("drop of a Done inside");
        drop(done);
        if n % 5 == 0 {
            post.at("cancel of another branch inside");
            handle.cancel_cause(oops(u32::try_from(n).unwrap()));
        }
        if n % 3 == 0 {
            post.at("reset inside");
            handle.reset_timeout(Duration::from_secs(60));
        }
        post.during("the way out", || ());
    }
}

/// A random tree in which every vertex has a function and a waiter that meddle.
fn grow(watch: &Watch, random: &mut Random, n: usize) -> Arc<Tree> {
    let (root, root_handle) = Context::background().with_cancel();
    let vertex = |ctx, handle| Vertex { ctx, handle, below: Vec::new(), after: None, done: None };
    let mut vertices = vec![vertex(root, root_handle)];
    let mut parents = vec![0];
    for m in 1..n {
        let parent = random.below(m);
        let above = &vertices[parent].ctx;
        let (ctx, handle) = match random.below(5) {
            0 => above.with_deadline(far()),
            1 => Context::background().with_cancel_from(above),
            2 => above.with_value(m).with_cancel(),
            _ => above.with_cancel(),
        };
        vertices.push(vertex(ctx, handle));
        parents.push(parent);
        let mut up = parent;
        loop {
            vertices[up].below.push(m);
            if up == 0 {
                break;
            }
            up = parents[up];
        }
    }
    let all: Vec<_> = vertices.iter().map(|vertex| vertex.ctx.clone()).collect();
    let below = vertices.iter_mut().map(|vertex| std::mem::take(&mut vertex.below)).collect();
    let tree =
        Arc::new(Tree { vertices: vertices.into_iter().map(Mutex::new).collect(), all, below, ..Tree::default() });
    for m in 0..n {
        // Weak: the tree holds the functions' stoppers and the wakers' futures.
        let (inside, post): (Weak<Tree>, _) = (Arc::downgrade(&tree), watch.post("function"));
        let after = tree.all[m].after_func(move || {
            let tree = inside.upgrade().expect("held by the test");
            tree.calls.fetch_add(1, SeqCst);
            tree.meddle(m, "a function", &post);
        });
        let (inside, post) = (Arc::downgrade(&tree), watch.post("waker"));
        let mut done = tree.all[m].clone().into_done();
        let waker = waker_fn(move || {
            let tree = inside.upgrade().expect("held by the test");
            tree.wakes.fetch_add(1, SeqCst);
            tree.meddle(m, "a waker", &post);
        });
        assert!(poll_with(&mut done, &waker).is_pending());
        let mut vertex = tree.vertices[m].lock().unwrap();
        (vertex.after, vertex.done) = (Some(after), Some(done));
    }
    tree
}

#[test]
fn s7_wakers_and_functions_use_the_tree_while_it_ends_in_several_places() {
    let watch = Watch::new();
    let mut random = Random::new(7);
    let (mut calls, mut wakes) = (0, 0);
    for round in 0..stress(25) {
        let tree = grow(&watch, &mut random, 60);
        let places = [0, random.below(60), random.below(60)];
        let start = Barrier::new(3);
        watch.scope(|scope| {
            for at in places {
                let (tree, start, post) = (&tree, &start, watch.post("canceler"));
                scope.spawn(move || {
                    start.wait();
                    let handle = tree.vertices[at].lock().unwrap().handle.clone();
                    post.during("cancel", || handle.cancel_cause(oops(1)));
                    let live = tree.below[at].iter().find(|&&m| !tree.all[m].is_done());
                    assert_eq!(live, None, "the cancel has returned");
                });
            }
        });
        assert!(tree.all.iter().all(Context::is_done));
        let faults = tree.faults.lock().unwrap();
        assert!(faults.is_empty(), "round {round}: {faults:#?}");
        let (called, woken) = (tree.calls.load(SeqCst), tree.wakes.load(SeqCst));
        assert!(called <= 60 && woken <= 60, "each once at most: {called} calls, {woken} wakes");
        (calls, wakes) = (calls + called, wakes + woken);
    }
    assert!(calls > 0 && wakes > 0, "{calls} calls, {wakes} wakes");
}

/// On the timer's thread too, where the whole tree ends by one deadline.
#[test]
fn s7_wakers_and_functions_use_the_tree_on_the_timers_thread() {
    let watch = Watch::new();
    let mut random = Random::new(17);
    for _ in 0..stress(8) {
        let tree = grow(&watch, &mut random, 40);
        let handle = tree.vertices[0].lock().unwrap().handle.clone();
        assert!(handle.reset_timeout(Duration::from_millis(1)));
        let post = watch.post("waiter");
        for ctx in &tree.all {
            post.during("wait for the deadline", || wait_for(ctx));
        }
        // The last function may be under way yet.
        eventually("the last of the functions", || Arc::strong_count(&tree) == 1);
        let faults = tree.faults.lock().unwrap();
        assert!(faults.is_empty(), "{faults:#?}");
    }
}

#[test]
fn s7_g7_callbacks_of_one_tree_meet_on_several_threads_without_a_lock() {
    let watch = Watch::new();
    for _ in 0..stress(60) {
        let (root, handle) = Context::background().with_cancel();
        let runs = Tale::new();
        let parts: Vec<_> = (0..30).map(|_| root.with_cancel()).collect();
        for (n, (ctx, _)) in parts.iter().enumerate() {
            let (probe, across) = (runs.clone(), parts[(n * 7 + 3) % parts.len()].1.clone());
            ctx.after_func(move || {
                across.cancel();
                assert!(across.context().is_done());
                probe.probe().run();
            });
        }
        let start = Barrier::new(3);
        watch.scope(|scope| {
            let (start, parts, post) = (&start, &parts, watch.post("canceler of the root"));
            scope.spawn(move || {
                start.wait();
                post.during("cancel of the root", || handle.cancel());
            });
            let post = watch.post("canceler of the parts");
            scope.spawn(move || {
                start.wait();
                parts.iter().for_each(|(_, handle)| post.during("cancel of a part", || handle.cancel()));
            });
            let post = watch.post("canceler from behind");
            start.wait();
            parts.iter().rev().for_each(|(_, handle)| post.during("cancel of a part", || handle.cancel()));
        });
        assert_eq!(runs.runs(), 30);
    }
}
