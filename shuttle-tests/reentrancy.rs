//! User code that uses the tree it is called from: functions and wakers that derive, cancel, stop, wait and drop, while
//! other threads end other parts of it. None of them sees its own subtree half marked.

use crate::support::{Count, Crew, explore, root};
use ripcord::{AfterFunc, Context};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as Task, Wake, Waker};

/// A waker that does something.
struct Act<F>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for Act<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

/// What is left for functions to take; only touched between two points where threads may switch.
type Left = Arc<Mutex<Vec<AfterFunc>>>;

fn meddle(own: &Context, below: &[Context], left: &Left) {
    assert!(own.is_done());
    assert!(below.iter().all(Context::is_done), "half marked");
    let (child, handle) = own.with_cancel();
    assert!(child.is_done(), "derived inside");
    handle.cancel();
    child.wait();
    drop(child.after_func(|| ()));
    let other = left.lock().unwrap().pop();
    if let Some(after) = other {
        after.stop();
    }
}

#[test]
fn functions_and_wakers_meddle() {
    explore("functions and wakers meddle", || {
        let (top, handle) = root();
        let (left_ctx, left_handle) = top.with_cancel();
        let (right, _right) = top.with_cancel();
        let leaf = left_ctx.with_cancel().0;
        let merged = right.with_cancel_from(&left_ctx).0;
        let runs = Count::default();
        let left: Left = Arc::default();
        let mut afters = Vec::new();
        let parts: [(&Context, Vec<&Context>); 4] = [
            (&top, vec![&left_ctx, &right, &leaf, &merged]),
            (&left_ctx, vec![&leaf, &merged]),
            (&right, vec![&merged]),
            (&leaf, vec![]),
        ];
        for (ctx, below) in &parts {
            let below: Vec<Context> = below.iter().map(|ctx| (*ctx).clone()).collect();
            let (own, runs, left) = ((*ctx).clone(), runs.clone(), left.clone());
            afters.push(ctx.after_func(move || {
                meddle(&own, &below, &left);
                runs.up();
            }));
        }
        left.lock().unwrap().extend(afters);
        let woken = Count::default();
        let (own, below, count, inside) =
            (left_ctx.clone(), vec![leaf.clone(), merged.clone()], woken.clone(), left.clone());
        let waker = Waker::from(Arc::new(Act(move || {
            count.up();
            meddle(&own, &below, &inside);
        })));
        let mut done = left_ctx.clone().into_done();
        assert!(Pin::new(&mut done).poll(&mut Task::from_waker(&waker)).is_pending());
        drop(waker);
        let mut crew = Crew::default();
        for handle in [handle.clone(), handle, left_handle] {
            crew.spawn(move || handle.cancel());
        }
        crew.spawn(move || drop(leaf));
        crew.join();
        assert!(top.is_done() && merged.is_done());
        assert!(runs.get() <= 4, "each once at most: some were stopped");
        assert_eq!(woken.get(), 1);
        left.lock().unwrap().clear();
        drop(done);
    });
}

/// Trees that end each other through their functions, in both directions, started at both ends.
#[test]
fn trees_that_end_each_other() {
    explore("trees that end each other", || {
        let all: Vec<_> = (0..4).map(|_| root()).collect();
        let runs = Count::default();
        for n in 0..4 {
            let (next, before, runs) = (all[(n + 1) % 4].1.clone(), all[(n + 3) % 4].1.clone(), runs.clone());
            drop(all[n].0.with_cancel().0.after_func(move || {
                next.cancel();
                before.cancel();
                assert!(next.context().is_done() && before.context().is_done());
                runs.up();
            }));
        }
        let mut crew = Crew::default();
        for n in [0, 2, 3] {
            let handle = all[n].1.clone();
            crew.spawn(move || handle.cancel());
        }
        crew.join();
        assert!(all.iter().all(|(ctx, _)| ctx.is_done()));
        assert_eq!(runs.get(), 4);
    });
}
