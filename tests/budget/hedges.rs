//! Hedges: who starts when, who wins, and what the others are told.

use crate::common::{block_on, in_time};
use crate::{LONG, MS, text};
use ripcord::budget::{AttemptTimeout, Hedge, Outrun, RetryBudget};
use ripcord::{Context, Error};
use std::cell::{Cell, RefCell};
use std::future::{pending, ready};
use std::rc::Rc;
use std::time::{Duration, Instant};

#[test]
fn a_first_that_is_quick_stays_alone() {
    let started = Cell::new(0);
    let answer = block_on(Hedge::after(LONG).run(&Context::background(), |_, number| {
        started.set(number);
        ready(Ok::<_, &str>("quick"))
    }));
    assert_eq!((answer.unwrap(), started.get()), ("quick", 1));
}

#[test]
fn the_second_starts_not_early_wins_and_the_first_is_told_and_dropped() {
    let began = Instant::now();
    let contexts = RefCell::new(Vec::new());
    let held = Rc::new(());
    let answer = block_on(Hedge::after(6 * MS).run(&Context::background(), |ctx, number| {
        contexts.borrow_mut().push(ctx);
        let held = Rc::clone(&held);
        async move {
            let _held = held;
            if number == 1 { pending().await } else { Ok::<_, &str>(number) }
        }
    }));
    assert_eq!(answer.unwrap(), 2);
    assert!(began.elapsed() >= 6 * MS);
    assert_eq!(Rc::strong_count(&held), 1, "the loser is dropped");
    let cause = contexts.borrow()[0].cause().unwrap();
    let outrun = cause.downcast_ref::<Outrun>().unwrap();
    assert_eq!((outrun.winner, outrun.loser, cause.error()), (2, 1, Error::Canceled));
    assert_eq!(cause.to_string(), "attempt 1 was outrun by attempt 2");
    assert!(!contexts.borrow()[1].is_done(), "the winner goes on");
}

#[test]
fn the_first_may_still_win() {
    let second = RefCell::new(None);
    let answer = block_on(Hedge::after(MS).run(&Context::background(), |ctx, number| {
        let parent = Context::background();
        if number == 2 {
            *second.borrow_mut() = Some(ctx);
        }
        async move {
            if number == 2 {
                pending::<()>().await;
            }
            parent.sleep(30 * MS).await.map(|()| number).map_err(|_| "never")
        }
    }));
    assert_eq!(answer.unwrap(), 1);
    // Where the machine was slow enough, the second was never needed.
    if let Some(second) = second.into_inner() {
        assert_eq!(second.cause().unwrap().downcast_ref::<Outrun>().unwrap().winner, 1);
    }
}

#[test]
fn a_failure_starts_the_next_at_once() {
    let (hedge, ctx) = (Hedge::after(LONG).at_most(3), Context::background());
    let answer = block_on(hedge.run(&ctx, |_, number| ready(if number < 3 { Err("reset") } else { Ok(number) })));
    assert_eq!(answer.unwrap(), 3);
    let answer = block_on(
        hedge.run(&ctx, |_, number| ready(Err::<(), _>(if number == 3 { "the last" } else { "an earlier one" }))),
    );
    assert_eq!(text(answer), "the last");
}

#[test]
fn a_limit_per_try_is_a_failure() {
    let ctx = Context::background();
    let hedge = in_time(3 * MS, |time| {
        let (hedge, polled) = (Hedge::after(LONG).per_try(time), Cell::new(false));
        let polled = &polled;
        let answer = block_on(hedge.run(&ctx, |_, number| async move {
            if number == 1 {
                pending::<()>().await;
            }
            polled.set(true);
            Err::<(), _>("second")
        }));
        polled.get().then(|| assert_eq!(text(answer), "second"))?;
        Some(hedge)
    });
    let answer = block_on(hedge.at_most(1).run(&ctx, |_, _| pending::<Result<(), &str>>()));
    assert!(answer.unwrap_err().ended().unwrap().downcast_ref::<AttemptTimeout>().is_some());
}

#[test]
fn many_are_started_one_after_another() {
    let (began, started) = (Instant::now(), Cell::new(0));
    let answer = block_on(Hedge::after(2 * MS).at_most(4).run(&Context::background(), |_, number| {
        started.set(number);
        async move { if number < 4 { pending().await } else { Ok::<_, &str>(()) } }
    }));
    answer.unwrap();
    assert_eq!(started.get(), 4);
    assert!(began.elapsed() >= 6 * MS);
}

#[test]
fn without_time_or_budget_there_is_no_second() {
    let budget = RetryBudget::new(0.0, 0);
    let (request, handle) = Context::background().with_timeout(LONG);
    for hedge in [Hedge::after(MS).budget(&budget), Hedge::after(MS).need(2 * LONG)] {
        let started = Cell::new(0);
        let mut answer = std::pin::pin!(hedge.run(&request, |_, number| {
            started.set(number);
            pending::<Result<(), &str>>()
        }));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        for _ in 0..5 {
            assert!(answer.as_mut().poll(&mut cx).is_pending());
            std::thread::sleep(2 * MS);
        }
        assert_eq!(started.get(), 1);
    }
    handle.cancel_cause("client gone");
    let hedge = Hedge::after(MS);
    let answer = hedge.run(&request, |_, _| -> std::future::Ready<Result<(), &str>> { unreachable!() });
    assert_eq!(text(block_on(answer)), "client gone");
}

#[test]
fn the_end_of_the_request_ends_all_and_dropping_it_does_too() {
    let (request, handle) = Context::background().with_cancel();
    let contexts = RefCell::new(Vec::new());
    let hedge = Hedge::after(Duration::ZERO);
    let mut answer = std::pin::pin!(hedge.run(&request, |ctx, _| {
        contexts.borrow_mut().push(ctx);
        pending::<Result<(), &str>>()
    }));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    while contexts.borrow().len() < 2 {
        assert!(answer.as_mut().poll(&mut cx).is_pending());
    }
    handle.cancel_cause("client gone");
    assert_eq!(text(block_on(answer)), "client gone");
    assert!(contexts.borrow().iter().all(|ctx| ctx.cause().unwrap().to_string() == "client gone"));

    let kept = RefCell::new(None);
    {
        let (hedge, ctx) = (Hedge::after(LONG), Context::background());
        let mut answer = std::pin::pin!(hedge.run(&ctx, |ctx, _| {
            *kept.borrow_mut() = Some(ctx);
            pending::<Result<(), &str>>()
        }));
        assert!(answer.as_mut().poll(&mut cx).is_pending());
    }
    assert_eq!(kept.into_inner().unwrap().cause().unwrap().to_string(), "the attempt was given up");
}
