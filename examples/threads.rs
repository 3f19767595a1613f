//! Waiting, and functions that run after the end: a small pool of threads that goes down together.
//!
//! ```text
//! cargo run --example threads
//! ```

use ripcord::{Context, Error};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

fn main() {
    let (ctx, handle) = Context::background().with_cancel();

    // Four threads sleep until the end, without a clock between them.
    let woken = Arc::new(AtomicUsize::new(0));
    let sleepers: Vec<_> = (0..4)
        .map(|_| {
            let (ctx, woken) = (ctx.clone(), Arc::clone(&woken));
            thread::spawn(move || {
                let error = ctx.wait();
                woken.fetch_add(1, Ordering::Relaxed);
                error
            })
        })
        .collect();
    assert_eq!(ctx.wait_timeout(Duration::from_millis(20)), None, "nobody has ended it");
    assert_eq!(woken.load(Ordering::Relaxed), 0);

    // A worker that blocks in something which knows no context: the end reaches it through what it blocks on.
    let (jobs, inbox) = mpsc::channel::<Option<u32>>();
    let worker = thread::spawn(move || {
        let mut sum = 0;
        while let Ok(Some(job)) = inbox.recv() {
            sum += job;
        }
        sum
    });
    let stop_worker = jobs.clone();
    let stopped = ctx.after_func(move || {
        // The worker has gone if this fails, and that is all this is about.
        let _ = stop_worker.send(None);
    });
    for job in 1..=10 {
        jobs.send(Some(job)).expect("the worker runs until it is told to stop");
    }

    // A function that is stopped in time never runs; stop says which of the two it was.
    let ran = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ran);
    let never = ctx.after_func(move || {
        count.fetch_add(1, Ordering::Relaxed);
    });
    assert!(never.stop(), "prevented");
    assert!(!never.stop(), "once is enough");
    assert_eq!(Arc::strong_count(&ran), 1, "and the function is gone");

    handle.cancel();

    for sleeper in sleepers {
        assert_eq!(sleeper.join().expect("a sleeper does not panic"), Error::Canceled);
    }
    println!("{} sleepers woken by one cancel", woken.load(Ordering::Relaxed));
    let sum = worker.join().expect("the worker does not panic");
    println!("the worker did what it had ({sum}) and left");
    assert_eq!(sum, 55);
    assert!(!stopped.stop(), "too late: it has run");
    assert_eq!(ran.load(Ordering::Relaxed), 0, "a stopped function never runs");

    // After the end there is nothing to wait for: a new function runs before after_func returns.
    let count = Arc::clone(&ran);
    let at_once = ctx.after_func(move || {
        count.fetch_add(1, Ordering::Relaxed);
    });
    assert_eq!(ran.load(Ordering::Relaxed), 1);
    assert!(!at_once.stop());
    println!("a function registered after the end ran at once");

    // A guard cancels when it goes out of scope, by return, by `?` or by panic - unless it is disarmed.
    let (kept, handle) = Context::background().with_cancel();
    let (scoped, guard) = kept.with_cancel();
    {
        let _guard = guard.drop_guard();
        assert!(!scoped.is_done());
    }
    assert!(scoped.is_done() && !kept.is_done());
    let handle = handle.drop_guard().disarm();
    assert!(!kept.is_done());
    handle.cancel();
    println!("a guard ended its scope: {:?}", scoped.err());
}
