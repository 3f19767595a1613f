//! The benches' baseline does what it is measured doing: Go's rules hold for it, over both locks.

#[path = "../benches/mutex/mod.rs"]
mod mutex;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

/// Counts its wakes.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

macro_rules! baseline {
    ($build:ident) => {
        mod $build {
            use super::Count;
            use super::mutex::$build::{Cause, Context, Error, queued};
            use std::pin::{Pin, pin};
            use std::sync::atomic::{AtomicUsize, Ordering};
            use std::sync::{Arc, Barrier, Mutex, MutexGuard, PoisonError};
            use std::task::{Poll, Waker};
            use std::thread;
            use std::time::{Duration, Instant};

            const LONG: Duration = Duration::from_secs(600);

            /// The timer heap is one per process: the tests that count its entries take turns.
            static TURN: Mutex<()> = Mutex::new(());

            fn turn() -> MutexGuard<'static, ()> {
                TURN.lock().unwrap_or_else(PoisonError::into_inner)
            }

            fn poll<F: Future>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
                future.poll(&mut std::task::Context::from_waker(waker))
            }

            fn wait(context: &Context) {
                while !context.is_done() {
                    thread::sleep(Duration::from_millis(1));
                }
            }

            #[test]
            fn a_cancel_ends_what_is_below_and_nothing_else() {
                let (root, _handle) = Context::background().with_cancel();
                let (sibling, _s) = root.with_cancel();
                let (parent, cancel) = root.with_cancel();
                let (child, _c) = parent.with_cancel();
                let grandchild = child.with_value(1u8);
                cancel.cancel();
                for ended in [&parent, &child, &grandchild] {
                    assert_eq!(ended.err(), Some(Error::Canceled));
                    assert_eq!(ended.cause().unwrap().to_string(), "context canceled");
                }
                assert!(!root.is_done() && !sibling.is_done());
                assert_eq!(root.children(), 1);
            }

            #[test]
            fn a_child_of_an_ended_parent_is_born_ended() {
                let (parent, cancel) = Context::background().with_cancel();
                cancel.cancel_cause(std::io::Error::other("pulled"));
                let (child, _c) = parent.with_cancel();
                assert_eq!(child.err(), Some(Error::Canceled));
                assert_eq!(child.cause().unwrap().to_string(), "pulled");
                assert_eq!(parent.children(), 0);
            }

            #[test]
            fn the_first_cause_stays() {
                let (parent, up) = Context::background().with_cancel();
                let (child, down) = parent.with_cancel();
                down.cancel_cause(std::io::Error::other("first"));
                up.cancel_cause(std::io::Error::other("second"));
                down.cancel();
                assert_eq!(child.cause().unwrap().to_string(), "first");
                assert!(matches!(parent.cause(), Some(Cause::Given(given)) if given.to_string() == "second"));
            }

            #[test]
            fn a_dropped_child_leaves_the_map_and_the_heap_is_swept() {
                let _turn = turn();
                let (parent, _handle) = Context::background().with_cancel();
                let kept: Vec<_> = (0..10).map(|_| parent.with_timeout(LONG)).collect();
                for _ in 0..10_000 {
                    drop(parent.with_timeout(LONG));
                    drop(parent.with_cancel());
                }
                assert_eq!(parent.children(), kept.len());
                assert!(queued() < 1000, "{} entries for {} deadlines", queued(), kept.len());
            }

            #[test]
            fn a_deadline_ends_what_is_below_and_is_never_early() {
                let at = Instant::now() + Duration::from_millis(20);
                let (parent, _handle) = Context::background().with_deadline(at);
                let (child, _c) = parent.with_cancel();
                wait(&child);
                assert!(Instant::now() >= at);
                assert_eq!(child.err(), Some(Error::DeadlineExceeded));
                assert_eq!(child.cause().unwrap().to_string(), "context deadline exceeded");
            }

            #[test]
            fn the_earlier_deadline_rules() {
                let at = Instant::now() + LONG;
                let (parent, _handle) = Context::background().with_deadline(at);
                let (later, _l) = parent.with_deadline(at + LONG);
                let (sooner, _s) = parent.with_value(0u8).with_deadline(at - LONG / 2);
                assert_eq!(later.deadline(), Some(at));
                assert_eq!(sooner.with_value(0u8).deadline(), Some(at - LONG / 2));
                assert_eq!(Context::background().deadline(), None);
                let (passed, _p) = parent.with_timeout(Duration::ZERO);
                assert_eq!(passed.err(), Some(Error::DeadlineExceeded));
                assert_eq!(parent.children(), 2);
            }

            #[test]
            fn a_deadline_pushed_back_fires_at_its_new_time() {
                let start = Instant::now();
                let (context, handle) = Context::background().with_timeout(Duration::from_millis(200));
                let at = start + Duration::from_millis(300);
                let moved = handle.push_back(at);
                wait(&context);
                assert!(!moved || Instant::now() >= at);
                assert!(!handle.push_back(at + LONG), "it has ended");
            }

            #[test]
            fn done_wakes_whoever_waits_and_only_those() {
                let (parent, handle) = Context::background().with_cancel();
                let (child, _c) = parent.with_cancel();
                let (stays, leaves) = (Arc::new(Count::default()), Arc::new(Count::default()));
                let (here, gone) = (Waker::from(stays.clone()), Waker::from(leaves.clone()));
                let mut first = pin!(child.done());
                assert_eq!(poll(first.as_mut(), &gone), Poll::Pending);
                assert_eq!(poll(first.as_mut(), &here), Poll::Pending);
                assert_eq!(poll(first.as_mut(), &here), Poll::Pending);
                for _ in 0..3 {
                    assert_eq!(poll(pin!(child.done()), &gone), Poll::Pending);
                }
                assert_eq!(Arc::strong_count(&leaves), 2, "a dropped wait keeps its waker");
                handle.cancel();
                assert_eq!(stays.0.load(Ordering::SeqCst), 1);
                assert_eq!(leaves.0.load(Ordering::SeqCst), 0);
                assert_eq!(poll(first.as_mut(), &here), Poll::Ready(Error::Canceled));
                assert_eq!(poll(pin!(child.done()), &here), Poll::Ready(Error::Canceled));
                assert_eq!(poll(pin!(Context::background().done()), &here), Poll::Pending);
            }

            #[test]
            fn a_function_runs_once_after_the_end_unless_stopped() {
                static RUNS: AtomicUsize = AtomicUsize::new(0);
                let (context, handle) = Context::background().with_cancel();
                let count = || {
                    RUNS.fetch_add(1, Ordering::SeqCst);
                };
                let runs = context.after_func(count);
                let stopped = context.after_func(count);
                drop(context.after_func(count));
                assert!(stopped.stop());
                assert!(!stopped.stop());
                assert_eq!(RUNS.load(Ordering::SeqCst), 0);
                handle.cancel();
                handle.cancel();
                assert_eq!(RUNS.load(Ordering::SeqCst), 2);
                assert!(!runs.stop());
                assert!(!context.after_func(count).stop());
                assert_eq!(RUNS.load(Ordering::SeqCst), 3);
            }

            #[test]
            fn the_nearest_value_of_a_type_wins() {
                let (middle, _m) = Context::background().with_value(1u32).with_value("word").with_cancel();
                let leaf = middle.with_value(2u32);
                assert_eq!(leaf.value::<u32>(), Some(&2));
                assert_eq!(middle.value::<u32>(), Some(&1));
                assert_eq!(leaf.value::<&str>(), Some(&"word"));
                assert_eq!(leaf.value::<u64>(), None);
            }

            #[test]
            fn what_a_canceled_child_held_is_dropped_under_no_lock() {
                struct Looks(Context, Arc<AtomicUsize>);
                impl Drop for Looks {
                    fn drop(&mut self) {
                        self.1.fetch_add(self.0.with_cancel().0.is_done().into(), Ordering::SeqCst);
                    }
                }
                for _ in 0..100 {
                    let dropped = Arc::new(AtomicUsize::new(0));
                    let (root, handle) = Context::background().with_cancel();
                    let start = Barrier::new(2);
                    thread::scope(|scope| {
                        scope.spawn(|| {
                            start.wait();
                            loop {
                                let last = root.is_done();
                                let held = root.with_value(Looks(root.clone(), dropped.clone()));
                                drop(held.with_cancel());
                                drop(held);
                                if last {
                                    break;
                                }
                            }
                        });
                        start.wait();
                        handle.cancel();
                    });
                    assert!(dropped.load(Ordering::SeqCst) > 0);
                    assert_eq!(root.children(), 0);
                }
            }

            #[test]
            fn every_child_is_reached_or_born_ended_whatever_the_race() {
                for _ in 0..200 {
                    let (root, handle) = Context::background().with_cancel();
                    let start = Barrier::new(3);
                    thread::scope(|scope| {
                        let derive = || {
                            start.wait();
                            let made = (0..50).map(|n| match n % 3 {
                                0 => root.with_timeout(LONG),
                                _ => root.with_cancel(),
                            });
                            made.step_by(2).collect::<Vec<_>>()
                        };
                        let (one, two) = (scope.spawn(derive), scope.spawn(derive));
                        start.wait();
                        handle.cancel();
                        for (child, _c) in one.join().unwrap().into_iter().chain(two.join().unwrap()) {
                            assert_eq!(child.err(), Some(Error::Canceled));
                        }
                    });
                    assert_eq!(root.children(), 0);
                }
            }
        }
    };
}

baseline!(on_std);
baseline!(on_parking_lot);
