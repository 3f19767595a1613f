//! M17: a task that waits moves to another waker while the context is canceled. It registers the new one, then looks at
//! the state again: either it sees the end, or the canceler takes the new waker.

use crate::support::{ALL, Count, both, explore, root};
use std::pin::pin;
use std::task::{Context as Task, Poll};

#[test]
fn second_poll_with_another_waker() {
    explore("M17 second poll with another waker", ALL, || {
        let (ctx, handle) = root();
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

#[test]
fn dropped_while_woken() {
    explore("M17 dropped while woken", ALL, || {
        let (ctx, handle) = root();
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
    explore("M17 changed, then dropped while woken", ALL, || {
        let (ctx, handle) = root();
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
