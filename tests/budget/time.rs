//! Is there enough time, and pauses that fit into it.

use crate::common::block_on;
use crate::{LONG, MS};
use ripcord::budget::{AttemptTimeout, Backoff};
use ripcord::{Context, Error};
use std::time::{Duration, Instant};

#[test]
fn permits_what_fits_and_nothing_once_it_is_over() {
    assert!(Context::background().permits(Duration::MAX));
    let (ctx, handle) = Context::background().with_timeout(LONG);
    assert!(ctx.permits(Duration::ZERO) && ctx.permits(LONG / 2));
    assert!(!ctx.permits(LONG + MS));
    assert!(handle.reset_timeout(2 * LONG));
    assert!(ctx.permits(LONG + MS), "moved with the deadline");
    handle.cancel();
    assert!(!ctx.permits(Duration::ZERO));
    assert!(!Context::background().with_timeout(Duration::ZERO).0.permits(Duration::ZERO));
}

#[test]
fn an_attempt_is_never_past_its_request() {
    let (request, handle) = Context::background().with_timeout_cause(LONG, "the request's hour is up");
    let (long, _a) = request.attempt(2 * LONG);
    let (short, _b) = request.attempt(LONG / 2);
    assert_eq!(long.deadline(), request.deadline());
    assert!(short.deadline() < request.deadline());
    handle.reset_timeout(Duration::ZERO);
    for attempt in [long, short] {
        assert_eq!(attempt.cause().unwrap().to_string(), "the request's hour is up");
    }
}

#[test]
fn an_attempt_says_that_it_was_one() {
    let (request, _handle) = Context::background().with_cancel();
    let (attempt, _) = request.attempt(2 * MS);
    assert_eq!(crate::common::wait_for(&attempt), Error::DeadlineExceeded);
    assert_eq!(attempt.cause().unwrap().downcast_ref(), Some(&AttemptTimeout(2 * MS)));
    assert_eq!(attempt.cause().unwrap().to_string(), "the attempt was not finished in 2ms");
    assert!(!request.is_done());
}

#[test]
fn a_sleep_is_never_short_unless_its_context_ends() {
    let began = Instant::now();
    assert_eq!(block_on(Context::background().sleep(8 * MS)), Ok(()));
    assert!(began.elapsed() >= 8 * MS);
    let (ctx, handle) = Context::background().with_timeout(5 * MS);
    assert_eq!(block_on(ctx.sleep(LONG)), Err(Error::DeadlineExceeded));
    handle.cancel();
    let (ctx, handle) = Context::background().with_cancel();
    let sleeper = std::thread::spawn({
        let ctx = ctx.clone();
        move || block_on(ctx.sleep(LONG))
    });
    handle.cancel();
    assert_eq!(sleeper.join().unwrap(), Err(Error::Canceled));
}

#[test]
fn pauses_double_up_to_their_limit_and_jitter_stays_below() {
    let limits: Vec<_> = Backoff::new(10 * MS, 100 * MS).without_jitter().take(6).collect();
    assert_eq!(limits, [10, 20, 40, 80, 100, 100].map(Duration::from_millis));
    let mut seen = std::collections::HashSet::new();
    for seed in 0..200 {
        let pauses: Vec<_> = Backoff::new(10 * MS, 100 * MS).seed(seed).take(6).collect();
        assert!(pauses.iter().zip(&limits).all(|(pause, limit)| pause <= limit));
        assert_eq!(pauses, Backoff::new(10 * MS, 100 * MS).seed(seed).take(6).collect::<Vec<_>>());
        seen.extend(pauses.into_iter().map(|pause| pause.as_millis()));
    }
    assert!(seen.len() > 60, "pauses are spread over the whole range: {seen:?}");
    assert_eq!(Backoff::new(LONG, 5 * MS).without_jitter().next(), Some(5 * MS));
    assert_eq!(Backoff::new(Duration::MAX, Duration::MAX).without_jitter().nth(3), Some(Duration::MAX));
}

#[test]
fn a_pause_that_would_outlast_the_deadline_is_refused_at_once() {
    let (ctx, _handle) = Context::background().with_timeout(LONG);
    let mut backoff = Backoff::new(LONG, LONG).without_jitter();
    assert_eq!(block_on(backoff.pause(&ctx, Duration::ZERO)), Err(Error::DeadlineExceeded));
    assert!(!ctx.is_done());
    let mut backoff = Backoff::new(4 * MS, LONG).without_jitter();
    assert_eq!(block_on(backoff.pause(&ctx, 2 * LONG)), Err(Error::DeadlineExceeded), "no time for what comes after");
    let began = Instant::now();
    assert_eq!(block_on(backoff.pause(&ctx, MS)), Ok(()));
    assert!(began.elapsed() >= 8 * MS, "the second pause");
}
