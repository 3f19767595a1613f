//! Guards: who holds one is waited for and reported; the last of them ends the shutdown, once.

use crate::common::{stress, within_a_minute};
use ripcord::shutdown::Stage;
use ripcord::{Context, Shutdown};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

fn shutdown() -> Shutdown {
    Shutdown::new(&Context::background(), Duration::from_secs(3600))
}

#[test]
fn guards_are_reported_by_name_count_and_age() {
    let shutdown = shutdown();
    let connections = shutdown.tracker("connection");
    let first = connections.guard();
    std::thread::sleep(Duration::from_millis(4));
    let (_second, _job) = (connections.guard(), shutdown.guard("job"));
    let running = shutdown.tracker("connection").running();
    assert_eq!((running.name, running.count), ("connection", 2));
    assert!(running.oldest >= Duration::from_millis(4) && first.age() >= Duration::from_millis(4));

    shutdown.begin("SIGTERM");
    drop(first);
    let text = shutdown.report().to_string();
    assert!(text.starts_with("SIGTERM: going down after "), "{text}");
    assert!(text.contains("running: 2 connection (oldest ") && text.contains(", 1 job (oldest "), "{text}");
    assert!(text.contains("left: 1 connection (oldest "), "{text}");
    assert_eq!(shutdown.report().running_at(Stage::Drain), Some(3));
}

#[test]
fn the_last_guard_ends_it_wherever_it_is_dropped() {
    let shutdown = shutdown();
    let (first, last) = (shutdown.guard("work"), shutdown.guard("work"));
    shutdown.begin("SIGTERM");
    drop(first);
    assert!(!shutdown.report().over);
    std::thread::spawn(move || drop(last)).join().unwrap();
    assert!(shutdown.report().over && shutdown.until(Stage::Abort).is_done());
}

#[test]
fn guards_are_taken_and_left_without_limit() {
    let shutdown = shutdown();
    let tracker = shutdown.tracker("request");
    let guards: Vec<_> = (0..100_000).map(|_| tracker.guard()).collect();
    assert_eq!(tracker.running().count, guards.len());
    shutdown.begin("SIGTERM");
    drop(guards);
    assert!(shutdown.wait().is_clean());
    assert_eq!(tracker.running().count, 0);
}

/// However guards and the beginning race: it ends once, after the last of them, and nobody waits for ever.
#[test]
fn the_beginning_races_with_guards_that_come_and_go() {
    within_a_minute(|| {
        for _ in 0..stress(300) {
            let shutdown = shutdown();
            let left = Arc::new(AtomicUsize::new(0));
            let threads: Vec<_> = (0..3)
                .map(|_| {
                    let (shutdown, left) = (shutdown.clone(), Arc::clone(&left));
                    let outer = shutdown.guard("loop");
                    std::thread::spawn(move || {
                        let tracker = shutdown.tracker("work");
                        while !shutdown.until(Stage::Stop).is_done() {
                            drop((tracker.guard(), tracker.guard()));
                        }
                        left.fetch_add(1, Relaxed);
                        drop(outer);
                    })
                })
                .collect();
            shutdown.begin("SIGTERM");
            let report = shutdown.wait();
            // What the guards did is seen by who waits, without any other order.
            assert_eq!(left.load(Relaxed), 3);
            assert!(report.is_clean(), "{report}");
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        }
    });
}

#[test]
fn the_handles_may_all_go_while_guards_keep_it() {
    let shutdown = shutdown().shares(0, 1, 1);
    let work = shutdown.until(Stage::Cancel).clone();
    let abort = shutdown.until(Stage::Abort).clone();
    let guard = shutdown.guard("work");
    shutdown.begin("SIGTERM");
    drop(shutdown);
    assert!(!work.is_done());
    drop(guard);
    assert!(work.is_done() && abort.is_done());
}

#[test]
fn nothing_is_kept_when_handles_and_guards_are_gone() {
    struct Told(Arc<AtomicUsize>);
    impl Drop for Told {
        fn drop(&mut self) {
            self.0.fetch_add(1, Relaxed);
        }
    }
    let told = Arc::new(AtomicUsize::new(0));
    let (parent, _handle) = Context::background().with_cancel();
    for begun in [false, true] {
        let values = parent.with_value(Told(Arc::clone(&told)));
        let shutdown = Shutdown::new(&values, Duration::from_secs(3600));
        drop(values);
        drop(shutdown.guard("work"));
        if begun {
            shutdown.begin("SIGTERM");
        }
    }
    assert_eq!(told.load(Relaxed), 2, "the live parent keeps nothing of it");
}
