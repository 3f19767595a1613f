//! The thread that drives deadlines: when it exists, when it sleeps, what it survives.
//!
//! One test in a process of its own, since it counts threads; it reads them from `/proc`.
#![cfg(all(not(feature = "loom"), target_os = "linux"))]

mod common;
#[path = "common/threads.rs"]
mod threads;

use common::*;
use ripcord::{Context, Error};
use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use threads::{asleep, sleeps, threads};

/// Everything that needs no deadline.
fn use_contexts_without_deadlines() {
    for _ in 0..100 {
        let (ctx, handle) = Context::background().with_cancel();
        let (other, _other) = ctx.with_value(1u8).with_cancel();
        let (merged, _merged) = other.with_cancel_from(&Context::todo());
        let (_foreign, _its) = merged.with_cancel_on(std::future::pending::<()>());
        let (_never, _) = Context::background().with_timeout(Duration::MAX);
        let (past_one, _) = Context::background().with_deadline(past());
        assert!(past_one.is_done());
        merged.after_func(|| ());
        assert_eq!(merged.wait_timeout(Duration::from_micros(10)), None);
        handle.cancel();
        wait_for(&merged);
    }
}

#[test]
fn d7_the_driver_starts_with_the_first_deadline_sleeps_when_idle_and_survives_a_panic() {
    let before = threads();
    use_contexts_without_deadlines();
    assert_eq!(threads(), before, "no deadline, no thread");

    let (first, handle) = Context::background().with_timeout(Duration::from_secs(3600));
    let mut started = BTreeMap::new();
    eventually("a thread of its own", || {
        started = threads();
        started.retain(|id, _| !before.contains_key(id));
        // A new thread bears its maker's name until it has set its own.
        started.values().any(|name| name.to_lowercase().contains("ripcord"))
    });
    assert_eq!(started.len(), 1, "one driver: {started:?}");
    let (&driver, name) = started.first_key_value().unwrap();
    assert!(name.to_lowercase().contains("ripcord"), "named so that it is found: {name}");

    // With only a far deadline armed, and then with none, it stays asleep.
    let before = asleep(driver);
    use_contexts_without_deadlines();
    for _ in 0..1_000 {
        drop(Context::background().with_timeout(Duration::from_secs(7200)));
    }
    thread::sleep(Duration::from_millis(100));
    let woken = sleeps(driver) - before;
    assert!(woken <= 1, "woken {woken} times by deadlines that are later than its next wake");
    handle.cancel();
    drop((first, handle));
    let before = asleep(driver);
    thread::sleep(Duration::from_millis(300));
    let woken = sleeps(driver) - before;
    assert!(woken <= 1, "woken {woken} times with nothing armed");

    // A panicking callback and a panicking waker cost nobody else a deadline.
    let (loud, loud_handle) = Context::background().with_deadline(far());
    loud.after_func(|| panic!("a callback on the driver"));
    let mut done = loud.clone().into_done();
    assert!(poll_with(&mut done, &waker_fn(|| panic!("a waker on the driver"))).is_pending());
    // All is registered: now it may come.
    let at = Instant::now() + Duration::from_millis(2);
    assert!(loud_handle.reset_deadline(at));
    let (same_time, _same) = Context::background().with_deadline(at);
    assert_eq!(wait_for(&same_time), Error::DeadlineExceeded);
    assert_eq!(wait_for(&loud), Error::DeadlineExceeded);
    let (tell, told) = mpsc::channel();
    for n in 0..5 {
        let (ctx, _handle) = Context::background().with_timeout(Duration::from_millis(n));
        let tell = tell.clone();
        ctx.after_func(move || tell.send(thread::current().id()).unwrap());
    }
    drop(tell);
    let heard = std::iter::from_fn(|| told.recv_timeout(Duration::from_secs(60)).ok());
    assert_eq!(heard.count(), 5);
    // A second one came with the first function: it drives while the first one calls.
    let all = threads();
    let drivers = all.iter().filter(|(_, name)| name.to_lowercase().contains("ripcord")).map(|(&id, _)| id);
    let drivers: Vec<_> = drivers.collect();
    assert!(drivers.len() == 2 && drivers.contains(&driver), "{driver} and one more of {all:?}");
    let before = drivers.iter().map(|&id| asleep(id)).sum::<u64>();
    thread::sleep(Duration::from_millis(300));
    let woken = drivers.iter().map(|&id| sleeps(id)).sum::<u64>() - before;
    assert!(woken <= 2, "the two woke up {woken} times with nothing armed");
}
