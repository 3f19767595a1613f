//! M14: a task begins to wait while the context is canceled, in the word of its state, or in a slot since another one waits there.
//! Its waker is in place before: never woken zero times, never pending for ever.

use crate::support::{ALL, Count, both, explore, noted, preemptions, root, waits_beside};
use ripcord::Error;
use std::pin::pin;
use std::task::{Context as Task, Poll};

#[test]
fn first_poll() {
    polls_first("M14 first poll", false);
}

#[test]
fn first_poll_beside_another() {
    polls_first("M14 first poll beside another", true);
}

fn polls_first(name: &str, beside: bool) {
    explore(name, ALL, move || {
        let (ctx, handle) = root();
        let _other = beside.then(|| waits_beside(&ctx));
        let wakes = Count::default();
        let waker = wakes.waker();
        let mut done = pin!(ctx.done());
        let mut pending = false;
        both(move || handle.cancel(), || pending = done.as_mut().poll(&mut Task::from_waker(&waker)).is_pending());
        assert_eq!(wakes.get(), usize::from(pending), "pending is woken once, ready never");
        assert_eq!(done.as_mut().poll(&mut Task::from_waker(&waker)), Poll::Ready(Error::Canceled));
    });
}

#[test]
fn two_waiters() {
    explore("M14 two waiters", preemptions(3, Some(4)), || {
        let (ctx, handle) = root();
        let (one, other) = (Count::default(), Count::default());
        let (first, second) = (one.waker(), other.waker());
        let theirs = ctx.clone().into_done();
        let thread = loom::thread::spawn(move || {
            let mut done = Box::pin(theirs);
            let pending = done.as_mut().poll(&mut Task::from_waker(&first)).is_pending();
            (done, pending)
        });
        let mut done = pin!(ctx.done());
        let mut pending = false;
        both(move || handle.cancel(), || pending = done.as_mut().poll(&mut Task::from_waker(&second)).is_pending());
        assert_eq!(other.get(), usize::from(pending));
        let (_held, pending) = thread.join().unwrap();
        assert_eq!(one.get(), usize::from(pending));
    });
}

#[test]
fn two_cancels() {
    two_cancel("M14 two cancels, one waiter", false);
}

#[test]
fn two_cancels_beside_another() {
    two_cancel("M14 two cancels, one waiter beside another", true);
}

fn two_cancel(name: &str, beside: bool) {
    explore(name, preemptions(3, Some(4)), move || {
        let (ctx, one) = root();
        let _other = beside.then(|| waits_beside(&ctx));
        let other = one.clone();
        let wakes = Count::default();
        let mut done = pin!(ctx.done());
        assert_eq!(done.as_mut().poll(&mut Task::from_waker(&wakes.waker())), Poll::Pending);
        both(move || one.cancel(), move || other.cancel());
        assert_eq!(wakes.get(), 1, "told once");
    });
}

#[test]
fn wake_shows_what_was_before() {
    shows("M14 ready shows what was before", false);
}

#[test]
fn wake_beside_another_shows_what_was_before() {
    shows("M14 ready beside another shows what was before", true);
}

fn shows(name: &str, beside: bool) {
    explore(name, ALL, move || {
        let (ctx, handle) = root();
        let _other = beside.then(|| waits_beside(&ctx));
        let (note, cancel) = noted(handle);
        let waker = Count::default().waker();
        both(cancel, || {
            if pin!(ctx.done()).poll(&mut Task::from_waker(&waker)).is_ready() {
                assert_eq!(note.read(), 7);
            }
        });
    });
}
