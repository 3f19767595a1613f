//! Retries: how many, on what, until when, and at whose cost.

use crate::common::{block_on, in_time, stress};
use crate::{LONG, MS, text};
use ripcord::Context;
use ripcord::budget::{AttemptTimeout, Backoff, Retry, RetryBudget};
use std::cell::{Cell, RefCell};
use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

#[test]
fn tries_until_one_is_good() {
    let contexts = RefCell::new(Vec::new());
    let answer = block_on(Retry::up_to(5).run(
        &Context::background(),
        |ctx, number| {
            contexts.borrow_mut().push(ctx);
            async move { if number < 3 { Err("reset") } else { Ok(number) } }
        },
        |failure| *failure.failed().unwrap() == "reset",
    ));
    assert_eq!(answer.unwrap(), 3);
    let causes: Vec<_> = contexts.borrow().iter().map(|ctx| ctx.cause().map(|cause| cause.to_string())).collect();
    let failed = Some("the attempt has failed".to_owned());
    assert_eq!(causes, [failed.clone(), failed, None], "what a failed try left behind ends");
}

#[test]
fn gives_up_after_the_last_and_on_what_is_not_worth_it() {
    let tries = Cell::new(0);
    let fail = |_, _| {
        tries.set(tries.get() + 1);
        async { Err::<(), _>("refused") }
    };
    let ctx = Context::background();
    assert_eq!(text(block_on(Retry::up_to(3).run(&ctx, fail, |_| true))), "refused");
    assert_eq!(tries.get(), 3);
    assert_eq!(text(block_on(Retry::up_to(3).run(&ctx, fail, |_| false))), "refused");
    assert_eq!(tries.get(), 4);
}

#[test]
fn a_try_that_takes_too_long_is_a_failed_one() {
    let (answer, seen) = in_time(3 * MS, |time| {
        let (seen, polled) = (Cell::new(0), Cell::new(false));
        let answer = block_on(Retry::up_to(2).per_try(time).run(
            &Context::background(),
            |_, number| {
                let polled = &polled;
                async move {
                    if number == 1 {
                        pending::<()>().await;
                    }
                    polled.set(true);
                    Ok::<_, &str>("second")
                }
            },
            |failure| {
                seen.set(seen.get() + 1);
                failure.ended().unwrap().downcast_ref() == Some(&AttemptTimeout(time))
            },
        ));
        polled.get().then(|| (answer.unwrap(), seen.get()))
    });
    assert_eq!((answer, seen), ("second", 1));
}

#[test]
fn the_end_of_the_request_ends_it_and_is_the_cause() {
    let (request, _handle) = Context::background().with_timeout_cause(5 * MS, "the request's time is up");
    let answer = block_on(Retry::up_to(9).per_try(LONG).run(&request, |_, _| pending::<Result<(), &str>>(), |_| true));
    assert_eq!(text(answer), "the request's time is up");
    let tried = Cell::new(false);
    let answer = block_on(Retry::up_to(9).run(
        &request,
        |_, _| {
            tried.set(true);
            async { Ok::<_, &str>(()) }
        },
        |_| true,
    ));
    assert_eq!(text(answer), "the request's time is up");
    assert!(!tried.get(), "an ended request is not tried at all");
}

#[test]
fn nothing_is_tried_that_cannot_succeed_in_time() {
    let (request, _handle) = Context::background().with_timeout(LONG);
    let tries = Cell::new(0);
    let fail = |_, _| {
        tries.set(tries.get() + 1);
        async { Err::<(), _>("reset") }
    };
    let slow = Backoff::new(2 * LONG, 2 * LONG).without_jitter();
    for retry in [Retry::up_to(9).need(2 * LONG), Retry::up_to(9).backoff(slow)] {
        tries.set(0);
        assert_eq!(text(block_on(retry.run(&request, fail, |_| true))), "reset");
        assert_eq!(tries.get(), 1);
    }
}

#[test]
fn pauses_come_between_tries() {
    let began = std::time::Instant::now();
    let retry = Retry::up_to(3).backoff(Backoff::new(2 * MS, LONG).without_jitter());
    let answer = block_on(retry.run(&Context::background(), |_, _| async { Err::<(), _>("reset") }, |_| true));
    assert_eq!(text(answer), "reset");
    assert!(began.elapsed() >= 6 * MS);
}

#[test]
fn a_budget_makes_retries_a_share_of_requests() {
    let budget = RetryBudget::new(0.25, 0);
    let retry = Retry::up_to(3).budget(&budget);
    let tries = Cell::new(0);
    for _ in 0..100 {
        let fail = |_, _| {
            tries.set(tries.get() + 1);
            async { Err::<(), _>("down") }
        };
        assert_eq!(text(block_on(retry.run(&Context::background(), fail, |_| true))), "down");
    }
    assert_eq!(tries.get(), 125, "without a budget it would be 300");
    assert_eq!(budget.balance(), 0);
}

#[test]
fn a_reserve_is_there_from_the_start() {
    let budget = RetryBudget::new(0.0, 3);
    assert_eq!(budget.balance(), 3);
    assert!(budget.withdraw() && budget.withdraw() && budget.withdraw());
    let short = RetryBudget::new(1.0, 0).window(LONG);
    short.deposit();
    assert_eq!((short.balance(), short.withdraw(), short.withdraw()), (1, true, false));
}

#[test]
#[should_panic(expected = "a retry budget of -1")]
fn a_negative_ratio_is_refused() {
    let _ = RetryBudget::new(-1.0, 0);
}

/// Threads pay in and take out at once: nothing is spent twice, and what is left at the end can be spent.
#[test]
fn threads_share_a_budget() {
    for _ in 0..stress(20) {
        let budget = RetryBudget::new(0.1, 0).window(LONG);
        let (paid, spent) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for round in 0..2000 {
                        paid.fetch_add(1, Relaxed);
                        budget.deposit();
                        if round % 3 == 0 && budget.withdraw() {
                            spent.fetch_add(1, Relaxed);
                        }
                    }
                });
            }
        });
        while budget.withdraw() {
            spent.fetch_add(1, Relaxed);
        }
        assert_eq!(spent.load(Relaxed), paid.load(Relaxed) / 10);
    }
}
