//! The first error ends the group with itself as the cause, and is the result.

use crate::support::{Dropped, Fine, Pool, block_on, group, text};
use ripcord::{Cause, Context, Error};
use std::future::pending;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex};
use std::thread::{self};
use std::time::Duration;

#[test]
fn the_first_error_of_a_thread_cancels_the_rest_with_it_as_cause() {
    let group = group();
    let seen = Arc::new(Mutex::new(Vec::new()));
    for _ in 0..3 {
        let seen = Arc::clone(&seen);
        group
            .spawn(move |ctx| {
                ctx.wait();
                seen.lock().unwrap().push(ctx.cause().unwrap().to_string());
                Err("came second")
            })
            .unwrap();
    }
    group.spawn(|_ctx| Err(Cause::new(io::Error::other("disk full")))).unwrap();
    let cause = group.wait().unwrap_err();
    assert_eq!(cause.downcast_ref::<io::Error>().unwrap().to_string(), "disk full");
    assert_eq!(*seen.lock().unwrap(), ["disk full"; 3]);
    assert_eq!(group.context().err(), Some(Error::Canceled));
    assert!(group.context().cause().unwrap().downcast_ref::<io::Error>().is_some());
}

#[test]
fn the_first_error_of_a_future_drops_the_others() {
    let (group, dropped) = (group(), Arc::new(AtomicUsize::new(0)));
    let pool = Pool::new(2);
    for _ in 0..5 {
        let guard = Dropped(Arc::clone(&dropped));
        pool.spawn(group.task(async move {
            let _guard = guard;
            pending::<Fine>().await
        }));
    }
    pool.spawn(group.task(async { Err::<(), _>("connection refused") }));
    assert_eq!(text(block_on(group.join())), "connection refused");
    assert_eq!(dropped.load(SeqCst), 5, "what a future holds is dropped before it leaves");
    pool.finish();
}

#[test]
fn threads_and_futures_are_members_of_one_group() {
    let group = group();
    let hangs = group.task(pending::<Fine>());
    group
        .spawn(|ctx| {
            ctx.wait();
            Fine::Ok(())
        })
        .unwrap();
    let (other, failed) = (group.clone(), group.clone());
    let runs = thread::spawn(move || other.run(|ctx| Ok::<_, Cause>(ctx.wait())));
    failed.spawn(|_ctx| Err("no more")).unwrap();
    assert_eq!(block_on(hangs).unwrap_err().to_string(), "no more");
    // Whether it came in before the end or not.
    assert!(matches!(runs.join().unwrap(), Ok(Error::Canceled) | Err(_)));
    assert_eq!(text(group.wait()), "no more");
}

#[test]
fn of_racing_errors_one_wins_for_everybody() {
    for _ in 0..150 {
        let (group, start) = (group(), Arc::new(Barrier::new(4)));
        for name in ["a", "b"] {
            let start = Arc::clone(&start);
            let fails = move |_: &Context| {
                start.wait();
                Err::<(), _>(name)
            };
            group.spawn(fails).unwrap();
        }
        let (other, begin) = (group.task(async { Err::<(), _>("c") }), Arc::clone(&start));
        let task = thread::spawn(move || {
            begin.wait();
            let own = block_on(other).unwrap_err().to_string();
            own == "c" || ["a", "b"].contains(&own.as_str())
        });
        start.wait();
        let first = text(group.wait());
        assert!(["a", "b", "c"].contains(&first.as_str()));
        assert_eq!(group.context().cause().unwrap().to_string(), first);
        assert_eq!(text(group.wait()), first, "for ever");
        assert!(task.join().unwrap());
    }
}

#[test]
fn a_member_that_has_failed_left_an_ended_group() {
    for _ in 0..150 {
        let (group, start) = (group(), Barrier::new(2));
        thread::scope(|scope| {
            for name in ["a", "b"] {
                let (group, start) = (&group, &start);
                scope.spawn(move || {
                    start.wait();
                    assert!(group.run(|_ctx| Err::<(), _>(name)).is_err());
                    assert!(group.context().is_done(), "also the one that came second");
                });
            }
        });
    }
}

#[test]
fn the_result_is_the_members_error_as_it_was() {
    let group = group();
    group
        .spawn(|ctx| {
            let (attempt, _handle) = ctx.with_timeout(Duration::ZERO);
            Err::<(), _>(attempt.cause().unwrap())
        })
        .unwrap();
    assert_eq!(group.wait().unwrap_err().error(), Error::DeadlineExceeded);
    assert_eq!(group.context().err(), Some(Error::Canceled), "a member's error cancels");
}
