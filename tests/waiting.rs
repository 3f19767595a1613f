//! Waiting for the end: as a future, as a thread, or beside other work.
#![cfg(not(feature = "loom"))]

mod common;

use common::*;
use ripcord::{Context, Error};
use std::future::{pending, poll_fn, ready};
use std::pin::pin;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{self, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn done_is_pending_while_live_and_ready_with_the_error_afterwards() {
    let (ctx, handle) = Context::background().with_cancel();
    let mut borrowed = ctx.done();
    let mut owned = ctx.clone().into_done();
    let (wakes, waker) = Wakes::new();
    for _ in 0..3 {
        assert!(poll_with(&mut borrowed, &waker).is_pending());
        assert!(poll_with(&mut owned, &waker).is_pending());
    }
    assert_eq!(wakes.count(), 0);
    handle.cancel();
    assert_eq!(wakes.count(), 2, "each future wakes its task once, however often it was polled");
    assert_eq!(poll(&mut borrowed), Poll::Ready(Error::Canceled));
    assert_eq!(poll(&mut owned), Poll::Ready(Error::Canceled));
    assert_eq!(poll(&mut ctx.done()), Poll::Ready(Error::Canceled));
}

#[test]
fn only_the_waker_of_the_last_poll_is_woken() {
    let (ctx, handle) = Context::background().with_cancel();
    let mut done = ctx.done();
    let wakers: Vec<_> = (0..5).map(|_| Wakes::new()).collect();
    for (_, waker) in &wakers {
        assert!(poll_with(&mut done, waker).is_pending());
    }
    handle.cancel();
    let counts: Vec<_> = wakers.iter().map(|(wakes, _)| wakes.count()).collect();
    assert_eq!(counts, [0, 0, 0, 0, 1]);
}

#[test]
fn a_replaced_or_dropped_wakers_memory_is_given_back() {
    let (ctx, _handle) = Context::background().with_cancel();
    let mut done = ctx.done();
    let (first, waker) = Wakes::new();
    assert!(poll_with(&mut done, &waker).is_pending());
    drop(waker);
    let (second, waker) = Wakes::new();
    assert!(poll_with(&mut done, &waker).is_pending());
    drop(waker);
    assert_eq!(std::sync::Arc::strong_count(&first), 1, "the first waker was replaced");
    drop(done);
    assert_eq!(std::sync::Arc::strong_count(&second), 1, "the second went with the future");
}

#[test]
fn a_dropped_future_is_never_woken() {
    let (ctx, handle) = Context::background().with_cancel();
    let (wakes, waker) = Wakes::new();
    for _ in 0..100 {
        let mut done = ctx.done();
        assert!(poll_with(&mut done, &waker).is_pending());
    }
    let mut unpolled = ctx.done();
    handle.cancel();
    assert_eq!(wakes.count(), 0);
    assert_eq!(poll(&mut unpolled), Poll::Ready(Error::Canceled));
}

#[test]
fn who_waits_first_may_go_first_or_last() {
    for first_goes in [false, true] {
        let (ctx, handle) = Context::background().with_cancel();
        let wakers: Vec<_> = (0..3).map(|_| Wakes::new()).collect();
        let mut first = ctx.clone().into_done();
        let mut second = ctx.done();
        assert!(poll_with(&mut first, &wakers[0].1).is_pending());
        assert!(poll_with(&mut second, &wakers[1].1).is_pending());
        if first_goes {
            drop(first);
        } else {
            drop(second);
        }
        // Where there is room now.
        let mut third = ctx.clone().into_done();
        assert!(poll_with(&mut third, &wakers[2].1).is_pending());
        handle.cancel();
        let counts: Vec<_> = wakers.iter().map(|(wakes, _)| wakes.count()).collect();
        assert_eq!(counts, if first_goes { [0, 1, 1] } else { [1, 0, 1] });
    }
}

#[test]
fn many_waiters_are_all_woken_once() {
    let (ctx, handle) = Context::background().with_cancel();
    let over = ctx.with_value(1u8);
    let (wakes, waker) = Wakes::new();
    let mut waiting: Vec<_> = (0..10_000).map(|n| if n % 2 == 0 { ctx.done() } else { over.done() }).collect();
    for done in &mut waiting {
        assert!(poll_with(done, &waker).is_pending());
    }
    let mut random = Random::new(1);
    random.shuffle(&mut waiting);
    waiting.truncate(5_000);
    handle.cancel();
    assert_eq!(wakes.count(), 5_000);
    for done in &mut waiting {
        assert_eq!(poll(done), Poll::Ready(Error::Canceled));
    }
}

#[test]
fn done_of_a_context_that_never_ends_is_pending_for_ever() {
    let (wakes, waker) = Wakes::new();
    for ctx in [Context::background(), Context::todo(), Context::background().with_value(1u8), {
        Context::background().with_cancel().0.without_cancel()
    }] {
        let mut done = ctx.done();
        let mut owned = ctx.clone().into_done();
        assert!(poll_with(&mut done, &waker).is_pending());
        assert!(poll_with(&mut owned, &waker).is_pending());
    }
    assert_eq!(wakes.count(), 0);
}

#[test]
fn a_done_future_survives_its_context() {
    let (ctx, handle) = Context::background().with_cancel();
    let mut done = ctx.with_cancel().0.into_done();
    let (wakes, waker) = Wakes::new();
    assert!(poll_with(&mut done, &waker).is_pending());
    drop(ctx);
    handle.cancel();
    drop(handle);
    assert_eq!(wakes.count(), 1);
    assert_eq!(poll(&mut done), Poll::Ready(Error::Canceled));
}

#[test]
fn no_wake_is_lost_between_a_poll_and_a_cancel() {
    within_a_minute(|| {
        for round in 0..stress(400) {
            let (ctx, handle) = Context::background().with_cancel();
            let target = if round % 2 == 0 { ctx.clone() } else { ctx.with_cancel().0 };
            thread::scope(|scope| {
                let waiter = scope.spawn(|| block_on(target.done()));
                handle.cancel();
                assert_eq!(waiter.join().unwrap(), Error::Canceled);
            });
        }
    });
}

#[test]
fn no_wake_is_lost_while_the_waker_changes() {
    for round in 0..stress(200) {
        let (ctx, handle) = Context::background().with_cancel();
        // The first who waits and the others wait in different places.
        let mut other = ctx.done();
        assert!(round % 2 == 0 || poll(&mut other).is_pending());
        let start = Barrier::new(2);
        let (mut done, mut last) = (ctx.done(), None);
        thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                handle.cancel();
            });
            start.wait();
            for _ in 0..50 {
                let (wakes, waker) = Wakes::new();
                if poll_with(&mut done, &waker).is_ready() {
                    last = None;
                    break;
                }
                last = Some(wakes);
            }
        });
        // Pending at the last look: then that look's waker, and no later one, has to be told.
        if let Some(wakes) = last {
            assert_eq!(wakes.count(), 1);
            assert_eq!(poll(&mut done), Poll::Ready(Error::Canceled));
        }
    }
}

#[test]
fn pending_futures_are_dropped_while_the_context_ends() {
    let woken = AtomicUsize::new(0);
    for _ in 0..stress(100) {
        let (ctx, handle) = Context::background().with_cancel();
        let start = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut waiting: Vec<_> = (0..60).map(|_| ctx.done()).collect();
                let (wakes, waker) = Wakes::new();
                for done in &mut waiting {
                    assert!(poll_with(done, &waker).is_pending());
                }
                start.wait();
                drop(waiting);
                woken.fetch_add(wakes.count(), SeqCst);
            });
            start.wait();
            handle.cancel();
        });
    }
    assert!(woken.load(SeqCst) <= stress(100) * 60);
}

#[test]
fn wait_blocks_until_the_end() {
    let (ctx, handle) = Context::background().with_cancel();
    let over = ctx.with_value(1u8);
    thread::scope(|scope| {
        let waiters: Vec<_> =
            [&ctx, &over, &ctx, &over].into_iter().map(|ctx| scope.spawn(|| (ctx.wait(), ctx.is_done()))).collect();
        thread::sleep(Duration::from_millis(5));
        assert!(waiters.iter().all(|waiter| !waiter.is_finished()));
        handle.cancel();
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), (Error::Canceled, true));
        }
    });
    assert_eq!(ctx.wait(), Error::Canceled);
}

#[test]
fn wait_timeout_gives_up_no_earlier_than_asked() {
    let (ctx, handle) = Context::background().with_cancel();
    for millis in [0, 1, 7] {
        let asked = Duration::from_millis(millis);
        let start = Instant::now();
        assert_eq!(ctx.wait_timeout(asked), None);
        assert!(start.elapsed() >= asked);
    }
    thread::scope(|scope| {
        let waiter = scope.spawn(|| ctx.wait_timeout(Duration::MAX));
        let other = scope.spawn(|| ctx.wait_timeout(Duration::from_secs(3600)));
        handle.cancel();
        assert_eq!(waiter.join().unwrap(), Some(Error::Canceled));
        assert_eq!(other.join().unwrap(), Some(Error::Canceled));
    });
    assert_eq!(ctx.wait_timeout(Duration::ZERO), Some(Error::Canceled));
    assert_eq!(ctx.wait_timeout(Duration::MAX), Some(Error::Canceled));
}

#[test]
fn a_waiting_thread_hears_of_deadlines_parents_and_foreign_ends() {
    let (ctx, _handle) = Context::background().with_timeout(Duration::from_millis(3));
    assert_eq!(ctx.with_cancel().0.wait(), Error::DeadlineExceeded);
    let (foreign, future) = Foreign::<()>::new();
    let (ctx, _handle) = Context::background().with_cancel_on(future);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| ctx.wait());
        foreign.complete(());
        assert_eq!(waiter.join().unwrap(), Error::Canceled);
    });
}

#[test]
fn stray_unparks_do_not_end_a_wait() {
    let (ctx, handle) = Context::background().with_cancel();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            thread::current().unpark();
            ctx.wait()
        });
        for _ in 0..20 {
            waiter.thread().unpark();
            thread::sleep(Duration::from_micros(100));
        }
        assert!(!waiter.is_finished());
        handle.cancel();
        assert_eq!(waiter.join().unwrap(), Error::Canceled);
    });
}

#[test]
fn wait_panics_only_where_no_end_can_come() {
    let (ctx, handle) = Context::background().with_cancel();
    let endless = [
        Context::background(),
        Context::todo(),
        ctx.without_cancel(),
        Context::background().with_value(1u8),
        ctx.without_cancel().with_value(1u8).with_value("over"),
    ];
    for endless in &endless {
        assert!(!panic_of(|| endless.wait()).is_empty(), "{endless}");
        assert_eq!(endless.wait_timeout(Duration::ZERO), None, "wait_timeout never panics");
        assert_eq!(endless.wait_timeout(Duration::from_millis(1)), None);
    }
    handle.cancel();
    assert_eq!(ctx.wait(), Error::Canceled);
    // Nobody holds a handle that could end these, yet an end could have come: they may wait.
    let (orphan, _) = Context::background().with_cancel();
    let (merged, _) = Context::background().with_cancel_from(&Context::background());
    for may_wait in [orphan, merged] {
        assert_eq!(may_wait.wait_timeout(Duration::from_millis(1)), None);
    }
}

#[test]
fn run_gives_the_output_of_the_future() {
    let (ctx, _handle) = Context::background().with_cancel();
    assert_eq!(block_on(ctx.run(ready(5))), Ok(5));
    assert_eq!(block_on(Context::background().run(async { "out" })), Ok("out"));
    let mut polls = 0;
    let yields = poll_fn(|cx: &mut task::Context<'_>| {
        polls += 1;
        cx.waker().wake_by_ref();
        if polls == 3 { Poll::Ready(polls) } else { Poll::Pending }
    });
    assert_eq!(block_on(ctx.run(yields)), Ok(3));
}

#[test]
fn run_is_biased_an_ended_context_never_polls_the_future() {
    let (ctx, handle) = Context::background().with_deadline_cause(far(), "late");
    assert!(handle.reset_timeout(Duration::ZERO));
    let tale = Tale::new();
    let probe = tale.probe();
    let result = block_on(ctx.run(poll_fn(move |_| {
        probe.run();
        Poll::Ready(())
    })));
    assert_eq!(result, Err(Error::DeadlineExceeded));
    assert!(tale.is_dropped_unrun());
}

#[test]
fn run_ends_with_the_context_and_drops_the_future() {
    let (ctx, handle) = Context::background().with_cancel();
    let tale = Tale::new();
    let probe = tale.probe();
    let (wakes, waker) = Wakes::new();
    let mut cx = task::Context::from_waker(&waker);
    {
        let mut run = pin!(ctx.run(poll_fn(move |_| {
            probe.run();
            Poll::<()>::Pending
        })));
        assert!(run.as_mut().poll(&mut cx).is_pending());
        assert_eq!((tale.runs(), wakes.count()), (1, 0));
        handle.cancel();
        assert_eq!(wakes.count(), 1, "the end wakes the task");
        assert_eq!(run.as_mut().poll(&mut cx), Poll::Ready(Err(Error::Canceled)));
        assert_eq!(tale.runs(), 1, "not polled again");
        assert_eq!(tale.drops(), 1, "dropped when it is over, not when `run` itself is dropped");
    }
    assert_eq!(tale.drops(), 1);
}

#[test]
fn run_prefers_the_end_to_an_output_that_is_ready_too() {
    let (ctx, handle) = Context::background().with_cancel();
    let (foreign, future) = Foreign::<u8>::new();
    let mut run = pin!(ctx.run(future));
    let mut cx = task::Context::from_waker(Waker::noop());
    assert!(run.as_mut().poll(&mut cx).is_pending());
    foreign.complete(1);
    handle.cancel();
    assert_eq!(run.as_mut().poll(&mut cx), Poll::Ready(Err(Error::Canceled)));
}

#[test]
fn run_may_cancel_its_own_context_from_inside() {
    let (ctx, handle) = Context::background().with_cancel();
    let result = block_on(ctx.run(async {
        handle.cancel();
        pending::<()>().await;
    }));
    assert_eq!(result, Err(Error::Canceled));
    let (ctx, handle) = Context::background().with_cancel();
    let result = block_on(ctx.run(async {
        handle.cancel();
        9
    }));
    assert_eq!(result, Ok(9), "the poll had begun while the context was live");
}

#[test]
fn run_nests_and_borrows() {
    let (outer, outer_handle) = Context::background().with_cancel();
    let (inner, _inner) = outer.with_cancel();
    let mut text = String::from("borrowed");
    let result = block_on(outer.run(inner.run(async {
        text.push('!');
        7
    })));
    assert_eq!(result, Ok(Ok(7)));
    assert_eq!(text, "borrowed!");
    outer_handle.cancel();
    assert_eq!(block_on(inner.run(pending::<()>())), Err(Error::Canceled));
}
