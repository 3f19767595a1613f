//! Foreign parents: futures that are polled inside their own wake-ups, against cancels, drops and each other.

use crate::support::{Call, Crew, explore, root};
use shuttle::sync::Mutex;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

/// A future that somebody else completes.
#[derive(Clone, Default)]
struct Switch(Arc<Mutex<(bool, Option<Waker>)>>);

impl Switch {
    fn flip(&self) {
        let waker = {
            let mut state = self.0.lock().unwrap();
            state.0 = true;
            state.1.clone()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Wakes whoever polls it, for nothing.
    fn shake(&self) {
        let waker = self.0.lock().unwrap().1.clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn future(&self, held: impl Send + 'static) -> impl Future<Output = &'static str> + Send + 'static {
        let switch = self.clone();
        poll_fn(move |cx| {
            let _held = &held;
            let old = {
                let mut state = switch.0.lock().unwrap();
                if state.0 {
                    return Poll::Ready("foreign");
                }
                state.1.replace(cx.waker().clone())
            };
            drop(old);
            Poll::Pending
        })
    }
}

#[test]
fn wakes_cancels_and_drops() {
    explore("foreign wakes, cancels and drops", || {
        let (parent, parent_handle) = root();
        let (switch, future, call) = (Switch::default(), Call::default(), Call::default());
        let (ctx, handle) = parent.with_cancel_on(switch.future(future.token()));
        let below = ctx.with_cancel().0;
        drop(below.after_func(call.function(|| ())));
        let mut crew = Crew::default();
        for flips in [true, false, true] {
            let switch = switch.clone();
            crew.spawn(move || if flips { switch.flip() } else { switch.shake() });
        }
        crew.spawn(move || parent_handle.cancel_cause("parent"));
        crew.spawn(move || handle.cancel_cause("own"));
        crew.spawn(move || drop(ctx));
        crew.join();
        assert!(call.has_run());
        let words = below.cause().unwrap().to_string();
        assert!(["foreign", "parent", "own"].contains(&words.as_str()), "{words}");
        assert_eq!(future.drops.get(), 1, "the future goes with the end");
        // The waker that the switch holds is the last thing of the context.
        drop((below, switch.0.lock().unwrap().1.take()));
    });
}

/// A circle: each context ends when the next one does, and they are ended and dropped all round it.
#[test]
fn a_circle_of_foreign_parents() {
    explore("a circle of foreign parents", || {
        let (roots, handles): (Vec<_>, Vec<_>) = (0..3).map(|_| root()).unzip();
        let followers: Vec<_> =
            (0..3).map(|n| roots[n].with_cancel_on(roots[(n + 1) % 3].clone().into_done())).collect();
        let calls: Vec<Call> = (0..3).map(|_| Call::default()).collect();
        for n in 0..3 {
            let back = handles[(n + 2) % 3].clone();
            drop(followers[n].0.after_func(calls[n].function(move || back.cancel())));
        }
        let mut crew = Crew::default();
        for handle in [&handles[0], &handles[1]] {
            let handle = handle.clone();
            crew.spawn(move || handle.cancel());
        }
        drop((roots, handles));
        let seen: Vec<_> = followers.iter().map(|(ctx, _)| ctx.clone()).collect();
        for part in followers {
            crew.spawn(move || drop(part));
        }
        crew.join();
        assert!(seen.iter().all(ripcord::Context::is_done));
        assert!(calls.iter().all(Call::has_run));
    });
}
