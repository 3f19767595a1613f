//! M17: a task that waits moves to another waker, or goes, while the context is canceled: in the word of its state, or in a slot
//! since another one waits there. Either it sees the end, or the canceler takes the new waker.

use crate::support::{ALL, Count, both, explore, root, waits_beside};
use std::pin::pin;
use std::task::{Context as Task, Poll};

#[test]
fn second_poll_with_another_waker() {
    polls_again("M17 second poll with another waker", false);
}

#[test]
fn second_poll_with_another_waker_beside_another() {
    polls_again("M17 second poll with another waker, beside another", true);
}

fn polls_again(name: &str, beside: bool) {
    explore(name, ALL, move || {
        let (ctx, handle) = root();
        let _other = beside.then(|| waits_beside(&ctx));
        let (old, new) = (Count::default(), Count::default());
        let mut done = pin!(ctx.done());
        assert_eq!(done.as_mut().poll(&mut Task::from_waker(&old.waker())), Poll::Pending);
        let waker = new.waker();
        let mut pending = false;
        both(move || handle.cancel(), || pending = done.as_mut().poll(&mut Task::from_waker(&waker)).is_pending());
        if pending {
            assert!(new.get() > 0, "pending, and the waker it was told of never came");
        }
        assert!(old.get() + new.get() >= 1 || !pending);
    });
}

/// It comes to sit elsewhere than it did, and goes from there.
#[test]
fn moves_from_a_slot_to_the_word() {
    explore("M17 moves from a slot to the word", ALL, || {
        let (ctx, handle) = root();
        let other = waits_beside(&ctx);
        let (old, new) = (Count::default(), Count::default());
        let mut done = Box::pin(ctx.clone().into_done());
        assert_eq!(done.as_mut().poll(&mut Task::from_waker(&old.waker())), Poll::Pending);
        drop(other);
        let waker = new.waker();
        let (polled, ()) = both(
            move || {
                let polled = done.as_mut().poll(&mut Task::from_waker(&waker));
                drop(done);
                polled
            },
            move || handle.cancel(),
        );
        assert!(old.get() + new.get() <= 1, "one wake at most");
        assert!(polled.is_ready() || old.get() == 0, "the old waker is gone");
        assert!(ctx.is_done());
    });
}

#[test]
fn dropped_while_woken() {
    drops("M17 dropped while woken", false);
}

#[test]
fn dropped_while_woken_beside_another() {
    drops("M17 dropped while woken, beside another", true);
}

fn drops(name: &str, beside: bool) {
    explore(name, ALL, move || {
        let (ctx, handle) = root();
        let _other = beside.then(|| waits_beside(&ctx));
        let wakes = Count::default();
        let mut done = Box::pin(ctx.clone().into_done());
        assert_eq!(done.as_mut().poll(&mut Task::from_waker(&wakes.waker())), Poll::Pending);
        drop(ctx);
        both(move || handle.cancel(), move || drop(done));
        assert!(wakes.get() <= 1);
    });
}

#[test]
fn changed_then_dropped_while_woken() {
    changes_and_drops("M17 changed, then dropped while woken", false);
}

#[test]
fn changed_then_dropped_while_woken_beside_another() {
    changes_and_drops("M17 changed, then dropped while woken, beside another", true);
}

fn changes_and_drops(name: &str, beside: bool) {
    explore(name, ALL, move || {
        let (ctx, handle) = root();
        let _other = beside.then(|| waits_beside(&ctx));
        let (old, new) = (Count::default(), Count::default());
        let mut done = Box::pin(ctx.clone().into_done());
        assert_eq!(done.as_mut().poll(&mut Task::from_waker(&old.waker())), Poll::Pending);
        drop(ctx);
        let waker = new.waker();
        both(
            move || handle.cancel(),
            move || {
                let _ = done.as_mut().poll(&mut Task::from_waker(&waker));
                drop(done);
            },
        );
        assert!(old.get() + new.get() <= 1);
    });
}

/// By the walk through its parent.
#[test]
fn dropped_while_woken_through_the_parent() {
    explore("M17 dropped while woken through the parent", ALL, || {
        let (parent, handle) = root();
        let (child, _own) = parent.with_cancel();
        let waiter = waits_beside(&child);
        both(move || handle.cancel(), move || drop(waiter));
        assert!(child.is_done());
    });
}
