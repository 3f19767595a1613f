//! Tasks that poll with one waker after the other, threads that wait, futures that are dropped, while the context ends by
//! two hands. Nobody sleeps on: a thread that would is a deadlock, which shuttle reports.

use crate::support::{Count, Crew, below, explore, root};
use ripcord::Error;
use std::pin::Pin;
use std::task::{Context as Task, Poll};

#[test]
fn threads_wait_and_tasks_change_their_wakers() {
    explore("threads wait, tasks change wakers", || {
        let (ctx, handle) = root();
        let (child, child_handle) = ctx.with_cancel();
        let mut crew = Crew::default();
        for n in 0..3 {
            let target = if n == 0 { ctx.clone() } else { child.clone() };
            crew.spawn(move || assert_eq!(target.wait(), Error::Canceled));
        }
        for _ in 0..3 {
            let target = child.clone();
            crew.spawn(move || {
                let mut done = target.into_done();
                for _ in 0..3 {
                    let wakes = Count::default();
                    let polled = Pin::new(&mut done).poll(&mut Task::from_waker(&wakes.waker()));
                    assert!(wakes.get() <= 1);
                    if polled.is_ready() {
                        assert_eq!(polled, Poll::Ready(Error::Canceled));
                        return;
                    }
                }
            });
        }
        crew.spawn(move || child_handle.cancel());
        handle.cancel();
        crew.join();
        assert!(child.is_done());
    });
}

#[test]
fn pending_polls_are_woken_once_and_dropped_ones_once_at_most() {
    explore("pending polls and dropped ones", || {
        let (ctx, handle) = root();
        let mut crew = Crew::default();
        let kept: Vec<_> = (0..4)
            .map(|_| {
                let (wakes, mut done) = (Count::default(), ctx.clone().into_done());
                let pending = Pin::new(&mut done).poll(&mut Task::from_waker(&wakes.waker())).is_pending();
                assert!(pending);
                (wakes, done)
            })
            .collect();
        for _ in 0..4 {
            let ctx = ctx.clone();
            crew.spawn(move || {
                let (wakes, mut done) = (Count::default(), ctx.into_done());
                let pending = Pin::new(&mut done).poll(&mut Task::from_waker(&wakes.waker())).is_pending();
                if below(2) == 0 {
                    drop(done);
                    assert!(wakes.get() <= usize::from(pending));
                } else if pending && wakes.get() == 0 {
                    // A last look: either it has ended, or the waker will come.
                    let again = Pin::new(&mut done).poll(&mut Task::from_waker(&wakes.waker()));
                    assert!(again.is_pending() || wakes.get() <= 1);
                }
            });
        }
        let again = handle.clone();
        crew.spawn(move || again.cancel());
        handle.cancel();
        crew.join();
        for (wakes, mut done) in kept {
            assert_eq!(wakes.get(), 1);
            assert!(Pin::new(&mut done).poll(&mut Task::from_waker(std::task::Waker::noop())).is_ready());
        }
    });
}
