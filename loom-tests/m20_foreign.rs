//! M20: a foreign parent is ready while its context is canceled or dropped, and while others wake it. The phase gives the
//! future to one thread at a time, no wake-up is lost, and the future is dropped once, after its last poll.

use crate::support::{ALL, Dropped, Note, Token, both, explore, preemptions, root, said, three};
use loom::future::AtomicWaker;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use ripcord::{CancelHandle, Context};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as Task, Poll, Waker};

/// What a foreign parent waits for. Nothing here orders anything but the waker cell: that is the phase's job.
#[derive(Clone)]
struct Gate(Arc<Inner>);

struct Inner {
    open: AtomicUsize,
    cell: AtomicWaker,
    /// Every waker that was ever given: kept, so that the task goes with the last thread of the model.
    kept: Mutex<Vec<Waker>>,
    /// Written by every poll, and by the drop.
    touched: Note,
    dropped: Dropped,
}

struct Parent {
    gate: Gate,
    _held: Token,
}

impl Future for Parent {
    type Output = &'static str;

    fn poll(self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<&'static str> {
        let gate = &self.gate.0;
        gate.touched.write(1);
        gate.kept.lock().unwrap().push(cx.waker().clone());
        gate.cell.register_by_ref(cx.waker());
        if gate.open.load(Relaxed) == 1 { Poll::Ready("open") } else { Poll::Pending }
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        self.gate.0.touched.write(2);
    }
}

impl Gate {
    fn shut() -> Gate {
        Gate(Arc::new(Inner {
            open: AtomicUsize::new(0),
            cell: AtomicWaker::new(),
            kept: Mutex::default(),
            touched: Note::blank(),
            dropped: Dropped::default(),
        }))
    }

    fn future(&self) -> Parent {
        Parent { gate: self.clone(), _held: self.0.dropped.token() }
    }

    fn below(&self, parent: &Context) -> (Context, CancelHandle) {
        parent.with_cancel_on(self.future())
    }

    fn open(&self) {
        self.0.open.store(1, Relaxed);
        self.0.cell.wake();
    }

    /// A waker of the task, as a foreign runtime may keep one: it wakes at any time.
    fn waker(&self) -> Waker {
        self.0.kept.lock().unwrap()[0].clone()
    }

    /// The end of a run.
    fn check(&self) {
        assert_eq!(self.0.dropped.get(), 1, "dropped once");
        assert_eq!(self.0.touched.read(), 2, "not polled after it was dropped");
        self.0.kept.lock().unwrap().clear();
    }
}

#[test]
fn opens_as_it_is_canceled() {
    explore("M20 opens as it is canceled", ALL, || {
        let gate = Gate::shut();
        let (ctx, handle) = gate.below(&Context::background());
        let theirs = gate.clone();
        both(
            move || theirs.open(),
            || {
                handle.cancel_cause("canceled");
                assert!(ctx.is_done(), "the cancel has returned");
            },
        );
        assert!(matches!(said(&ctx).as_deref(), Some("open" | "canceled")));
        drop((ctx, handle));
        gate.check();
    });
}

#[test]
fn opens_as_it_goes() {
    explore("M20 opens as it goes", ALL, || {
        let gate = Gate::shut();
        let held = gate.below(&Context::background());
        let theirs = gate.clone();
        both(move || theirs.open(), move || drop(held));
        gate.check();
    });
}

#[test]
fn opens_during_the_first_poll() {
    explore("M20 opens during the first poll", ALL, || {
        let gate = Gate::shut();
        let theirs = gate.clone();
        let mut held = None;
        both(move || theirs.open(), || held = Some(gate.below(&Context::background())));
        assert_eq!(held.as_ref().and_then(|(ctx, _)| said(ctx)).as_deref(), Some("open"), "a wake-up was lost");
        drop(held);
        gate.check();
    });
}

#[test]
fn woken_by_two() {
    explore("M20 woken by two", ALL, || {
        let gate = Gate::shut();
        let (ctx, handle) = gate.below(&Context::background());
        let (theirs, waker) = (gate.clone(), gate.waker());
        both(move || theirs.open(), move || waker.wake());
        assert_eq!(said(&ctx).as_deref(), Some("open"), "a wake-up was lost");
        drop((ctx, handle));
        gate.check();
    });
}

#[test]
fn woken_as_it_is_canceled() {
    explore("M20 woken as it is canceled", ALL, || {
        let gate = Gate::shut();
        let (ctx, handle) = gate.below(&Context::background());
        let waker = gate.waker();
        both(move || waker.wake(), || handle.cancel());
        drop((ctx, handle));
        gate.check();
    });
}

#[test]
fn storm_as_it_goes() {
    explore("M20 storm as it goes", preemptions(3, Some(4)), || {
        let gate = Gate::shut();
        let held = gate.below(&Context::background());
        let (theirs, waker) = (gate.clone(), gate.waker());
        three(move || theirs.open(), move || waker.wake(), move || drop(held));
        gate.check();
    });
}

#[test]
fn opens_as_its_parent_ends_and_it_goes() {
    explore("M20 opens, the parent ends, it goes", preemptions(3, Some(4)), || {
        let gate = Gate::shut();
        let (parent, handle) = root();
        let held = gate.below(&parent);
        let theirs = gate.clone();
        three(move || theirs.open(), move || handle.cancel(), move || drop(held));
        gate.check();
    });
}

#[test]
fn what_the_waker_did_is_seen() {
    explore("M20 a poll sees what its waker did", ALL, || {
        let gate = Gate::shut();
        let (ctx, handle) = gate.below(&Context::background());
        let wakers = [gate.waker(), gate.waker()];
        let [one, other] = wakers;
        let theirs = gate.clone();
        // Neither takes the waker cell: nothing but the phase orders the gate's opening and the poll.
        both(
            move || {
                theirs.0.open.store(1, Relaxed);
                one.wake();
            },
            move || other.wake(),
        );
        assert_eq!(said(&ctx).as_deref(), Some("open"), "a wake-up was lost");
        drop((ctx, handle));
        gate.check();
    });
}
