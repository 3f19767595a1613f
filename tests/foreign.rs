//! `with_cancel_on`: a context that ends when a future does, polled from its own waker.
#![cfg(not(feature = "loom"))]

mod common;

use common::*;
use ripcord::{Cause, Context, Error};
use std::future::{pending, poll_fn, ready};
use std::sync::{Arc, Barrier, mpsc};
use std::task::Poll;
use std::thread;
use std::time::Duration;

#[test]
fn a_future_that_is_ready_at_once_ends_the_context_in_the_constructor() {
    let tale = Tale::new();
    let probe = tale.probe();
    let (ctx, handle) = Context::background().with_cancel_on(poll_fn(move |_| {
        probe.run();
        Poll::Ready("ready")
    }));
    assert_ended(&ctx, Error::Canceled, "ready");
    assert!(tale.has_run(), "polled once and dropped");
    handle.cancel();
    assert_ended(&ctx, Error::Canceled, "ready");
}

#[test]
fn a_pending_future_is_polled_once_in_the_constructor_and_then_when_woken() {
    let (foreign, future) = Foreign::<&'static str>::new();
    let (ctx, _handle) = Context::background().with_cancel_on(future);
    assert_eq!(foreign.polls(), 1);
    assert_live(&ctx);
    foreign.waker().unwrap().wake_by_ref();
    assert_eq!(foreign.polls(), 2, "polled inside wake");
    assert_live(&ctx);
    foreign.complete("done");
    assert_eq!(foreign.polls(), 3);
    assert_ended(&ctx, Error::Canceled, "done");
    assert!(foreign.dropped(), "a future that is done is dropped");
    foreign.waker().unwrap().wake();
    assert_eq!(foreign.polls(), 3, "and never polled again");
}

#[test]
fn the_wake_of_another_thread_ends_the_context_there() {
    let (foreign, future) = Foreign::<Error>::new();
    let (ctx, _handle) = Context::background().with_cancel_on(future);
    let below = ctx.with_cancel().0;
    let (tell, told) = mpsc::channel();
    below.after_func(move || tell.send(thread::current().id()).unwrap());
    let there = thread::spawn(move || {
        foreign.complete(Error::Canceled);
        thread::current().id()
    });
    assert_eq!(wait_for(&below), Error::Canceled);
    assert_eq!(told.recv(), Ok(there.join().unwrap()));
    assert_ended(&below, Error::Canceled, "context canceled");
}

#[test]
fn every_kind_of_output_becomes_a_cause() {
    fn ended_by<T: Into<Cause> + Send + 'static>(output: T) -> Context {
        let (at_once, _) = Context::background().with_cancel_on(pending::<T>());
        assert_live(&at_once);
        let (foreign, future) = Foreign::<T>::new();
        let (ctx, _handle) = Context::background().with_cancel_on(future);
        foreign.complete(output);
        ctx
    }
    assert_ended(&ended_by(()), Error::Canceled, "context canceled");
    assert_ended(&ended_by("text"), Error::Canceled, "text");
    assert_ended(&ended_by(String::from("string")), Error::Canceled, "string");
    assert_ended(&ended_by(Error::Canceled), Error::Canceled, "context canceled");
    assert_ended(&ended_by(oops(1)), Error::Canceled, "oops 1");
    let boxed: Box<dyn std::error::Error + Send + Sync> = Box::new(Oops(2));
    assert_eq!(oops_of(&ended_by(boxed)), Some(2));
}

#[test]
fn an_output_that_becomes_deadline_exceeded_ends_it_as_deadline_exceeded() {
    let (at_once, _h) = Context::background().with_cancel_on(ready(Error::DeadlineExceeded));
    assert_ended(&at_once, Error::DeadlineExceeded, "context deadline exceeded");
    let (late, _late) = Context::background().with_timeout(Duration::from_millis(2));
    let (follower, _follower) = Context::background().with_cancel_on(late.into_done());
    assert_eq!(wait_for(&follower), Error::DeadlineExceeded);
    assert_ended(&follower, Error::DeadlineExceeded, "context deadline exceeded");
}

#[test]
fn an_ended_parent_wins_over_the_future_and_drops_it() {
    let (parent, handle) = Context::background().with_cancel();
    handle.cancel_cause("parent");
    let (ready_one, _h) = parent.with_cancel_on(ready("future"));
    assert_ended(&ready_one, Error::Canceled, "parent");
    let (foreign, future) = Foreign::<&'static str>::new();
    let (ctx, _handle) = parent.with_cancel_on(future);
    assert!(foreign.dropped());
    foreign.complete("future");
    assert_ended(&ctx, Error::Canceled, "parent");
}

#[test]
fn any_other_end_drops_the_future_at_once() {
    for end in 0..3 {
        let (parent, parent_handle) = Context::background().with_cancel();
        let (foreign, future) = Foreign::<&'static str>::new();
        let (ctx, handle) = parent.with_cancel_on(future);
        match end {
            0 => parent_handle.cancel_cause("other"),
            1 => handle.cancel_cause("other"),
            _ => {
                assert!(handle.reset_deadline(past()));
            }
        }
        assert!(foreign.dropped(), "way {end}");
        let cause = if end == 2 { "context deadline exceeded" } else { "other" };
        assert_eq!(ctx.cause().unwrap().to_string(), cause);
        foreign.complete("future");
        assert_eq!(ctx.cause().unwrap().to_string(), cause);
    }
}

#[test]
fn dropping_the_context_drops_the_future_at_once_and_late_wakes_do_no_harm() {
    let (foreign, future) = Foreign::<()>::new();
    let (ctx, handle) = Context::background().with_cancel_on(future);
    drop((ctx, handle));
    assert!(foreign.dropped());
    let waker = foreign.waker().unwrap();
    waker.wake_by_ref();
    drop(foreign);
    let second = waker.clone();
    second.wake();
    waker.wake();
}

#[test]
fn a_future_that_wakes_itself_while_polled_is_polled_again_but_not_recursively() {
    let tale = Tale::new();
    let probe = tale.probe();
    let (mut depth, mut left) = (0, 10_000);
    let (ctx, _handle) = Context::background().with_cancel_on(poll_fn(move |cx| {
        assert_eq!(depth, 0, "polled inside its own poll");
        depth += 1;
        probe.run();
        left -= 1;
        cx.waker().wake_by_ref();
        depth -= 1;
        if left == 0 { Poll::Ready("at last") } else { Poll::Pending }
    }));
    assert_eq!((tale.runs(), tale.drops()), (10_000, 1));
    assert_ended(&ctx, Error::Canceled, "at last");
}

#[test]
fn a_future_may_use_its_own_context_and_parent() {
    within_a_minute(|| {
        let (parent, parent_handle) = Context::background().with_cancel();
        let (give, given) = mpsc::channel::<(Context, ripcord::CancelHandle)>();
        let (foreign, mut inner) = Foreign::<()>::new();
        let above = parent.clone();
        let (ctx, handle) = parent.with_cancel_on(poll_fn(move |cx| {
            drop(above.with_cancel().0.with_cancel().1.drop_guard());
            if poll_with(&mut inner, cx.waker()).is_pending() {
                return Poll::Pending;
            }
            let (own, handle) = given.recv().unwrap();
            assert_live(&own);
            handle.cancel_cause("from inside");
            assert!(own.is_done());
            Poll::Ready("output")
        }));
        give.send((ctx.clone(), handle)).unwrap();
        foreign.complete(());
        assert_ended(&ctx, Error::Canceled, "from inside");
        assert_live(&parent);
        parent_handle.cancel();
    });
}

#[test]
fn a_future_may_end_its_parent_while_it_is_polled() {
    let (parent, parent_handle) = Context::background().with_cancel();
    let (foreign, mut inner) = Foreign::<()>::new();
    let tale = Tale::new();
    let probe = tale.probe();
    let (ctx, _handle) = parent.with_cancel_on(poll_fn(move |cx| {
        if poll_with(&mut inner, cx.waker()).is_pending() {
            return Poll::Pending;
        }
        parent_handle.cancel_cause("parent");
        probe.run();
        Poll::Ready("future")
    }));
    foreign.complete(());
    assert_ended(&ctx, Error::Canceled, "parent");
    assert!(tale.has_run(), "dropped after the poll that canceled it");
}

#[test]
fn a_panicking_future_strands_nobody() {
    let (parent, parent_handle) = Context::background().with_cancel();
    let sibling = parent.with_cancel().0;
    let (foreign, mut inner) = Foreign::<()>::new();
    let tale = Tale::new();
    let probe = tale.probe();
    let (ctx, _handle) = parent.with_cancel_on(poll_fn(move |cx| {
        if poll_with(&mut inner, cx.waker()).is_ready() {
            probe.run();
            panic!("future");
        }
        Poll::<()>::Pending
    }));
    let below = ctx.with_cancel().0;
    assert_eq!(panic_of(|| foreign.complete(())), "future");
    assert!(tale.has_run(), "a future that panicked is dropped");
    assert_live(&parent);
    assert_live(&sibling);
    let before = ctx.err();
    parent_handle.cancel_cause("parent");
    assert!(ctx.is_done() && below.is_done() && sibling.is_done());
    assert!(before.is_some() || ctx.cause().unwrap().to_string() == "parent");
    // A wake that comes late finds nothing to poll.
    foreign.waker().unwrap().wake();
    assert_eq!(tale.runs(), 1);
}

#[test]
fn a_future_that_panics_in_the_constructor_resurfaces_there() {
    let (parent, handle) = Context::background().with_cancel();
    let text = panic_of(|| parent.with_cancel_on(poll_fn(|_| -> Poll<()> { panic!("first poll") })));
    assert_eq!(text, "first poll");
    assert_live(&parent);
    handle.cancel();
    assert_canceled(&parent);
}

#[test]
fn waiters_callbacks_and_children_hear_of_a_foreign_end() {
    let (foreign, future) = Foreign::<&'static str>::new();
    let (ctx, _handle) = Context::background().with_cancel_on(future);
    let (wakes, waker) = Wakes::new();
    let mut done = ctx.done();
    assert!(poll_with(&mut done, &waker).is_pending());
    let tale = Tale::new();
    ctx.with_value(1u8).with_cancel().0.after_func(tale.function());
    let merged = Context::background().with_cancel_from(&ctx).0;
    foreign.complete("foreign");
    assert_eq!(wakes.count(), 1);
    assert!(tale.has_run());
    assert_ended(&merged, Error::Canceled, "foreign");
}

#[test]
fn wakes_cancels_and_drops_race() {
    for round in 0..stress(300) {
        let (foreign, future) = Foreign::<&'static str>::new();
        let (ctx, handle) = Context::background().with_cancel_on(future);
        let below = ctx.with_cancel().0;
        let spurious = foreign.waker().unwrap();
        let start = Barrier::new(3);
        let completer = Arc::clone(&foreign);
        thread::scope(|scope| {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                completer.complete("foreign");
            });
            scope.spawn(move || {
                start.wait();
                spurious.wake_by_ref();
                spurious.wake();
            });
            start.wait();
            match round % 3 {
                0 => handle.cancel_cause("canceled"),
                1 => drop(handle),
                _ => drop((ctx, handle)),
            }
        });
        let cause = below.cause().expect("the future is ready and its relay remains").to_string();
        assert!(cause == "foreign" || (cause == "canceled" && round % 3 == 0), "{cause}");
        drop(below);
        assert!(foreign.dropped());
        assert_eq!(foreign.tale.drops(), 1);
    }
}

#[test]
fn no_foreign_wake_is_lost() {
    within_a_minute(|| {
        for _ in 0..stress(200) {
            let (source, source_handle) = Context::background().with_cancel();
            thread::scope(|scope| {
                scope.spawn(|| source_handle.cancel());
                let (follower, _h) = Context::background().with_cancel_on(source.clone().into_done());
                assert_eq!(wait_for(&follower), Error::Canceled);
            });
        }
    });
}

const DEEP: usize = 10_000;

/// Each context follows the one before it through a future: ending the first wakes the second, and so on.
fn chain() -> (ripcord::CancelHandle, Vec<Context>) {
    let (first, handle) = Context::background().with_cancel();
    let mut all = vec![first];
    for _ in 0..DEEP {
        let (next, _) = Context::background().with_cancel_on(all[all.len() - 1].clone().into_done());
        all.push(next);
    }
    (handle, all)
}

fn on_a_small_stack(f: impl FnOnce() + Send + 'static) {
    thread::Builder::new().stack_size(64 * 1024).spawn(f).unwrap().join().unwrap();
}

#[test]
fn a_long_chain_of_foreign_parents_ends_without_recursion() {
    on_a_small_stack(|| {
        let (handle, all) = chain();
        assert!(all.iter().all(|ctx| !ctx.is_done()));
        handle.cancel();
        assert!(all.iter().all(|ctx| ctx.err() == Some(Error::Canceled)));
    });
}

#[test]
fn a_long_chain_of_foreign_parents_is_dropped_without_recursion() {
    for end_first in [false, true] {
        on_a_small_stack(move || {
            let (handle, mut all) = chain();
            let value = Tale::new();
            let last = all.pop().unwrap().with_value(value.probe());
            drop(all);
            if end_first {
                handle.cancel();
                assert!(last.is_done());
            }
            drop(handle);
            drop(last);
            assert_eq!(value.drops(), 1);
        });
    }
}
