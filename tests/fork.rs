//! Rule D8: the child of a `fork` that goes on without `exec` has no thread of the timer, and loses no deadline by it,
//! whatever that thread was at. In the middle of a pass: `fork_midway.rs`.
//!
//! One test at a time, in a process of its own; the child does its work and leaves by `_exit`, past the test harness.
#![cfg(all(not(feature = "loom"), target_os = "linux"))]

mod common;

use common::alone::alone;
use common::child::{Child, deadlines_work, end_with};
use common::*;
use ripcord::{Context, Error};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// The timer has nothing to do, and sleeps.
fn fall_asleep() {
    deadlines_work();
    thread::sleep(Duration::from_millis(30));
}

/// Something that a function or a waker can be stuck in.
#[derive(Clone, Default)]
struct Gate(Arc<(AtomicBool, AtomicUsize)>);

impl Gate {
    /// Stuck until somebody opens.
    fn pass(&self) {
        self.0.1.fetch_add(1, SeqCst);
        eventually("the gate", || self.0.0.load(SeqCst));
    }

    fn wait_for(&self, stuck: usize) {
        eventually("somebody at the gate", || self.0.1.load(SeqCst) == stuck);
    }

    fn open(&self) {
        self.0.0.store(true, SeqCst);
    }
}

/// A context that nobody waits for, and a way to let its deadline come.
fn coming(f: impl FnOnce() + Send + 'static) -> (Context, ripcord::CancelHandle) {
    let (ctx, handle) = Context::background().with_deadline(far());
    ctx.after_func(f);
    assert!(handle.reset_timeout(Duration::from_millis(1)));
    (ctx, handle)
}

#[test]
fn d8_after_a_fork_without_exec_the_child_still_has_its_deadlines() {
    let _alone = alone();
    let (far_off, _far_off) = Context::background().with_timeout(Duration::from_secs(3600));
    fall_asleep();

    let at = Instant::now() + Duration::from_millis(120);
    let (before, _before) = Context::background().with_deadline_cause(at, "armed before the fork");
    let child = Child::running(|| {
        assert_eq!(before.wait(), Error::DeadlineExceeded);
        assert!(Instant::now() >= at);
        assert_eq!(before.cause().unwrap().to_string(), "armed before the fork");
    });
    assert!(child.succeeds());

    // The child arms one of its own, and nobody waits for it but a function.
    let child = Child::running(|| {
        let (tell, told) = mpsc::channel();
        let at = Instant::now() + Duration::from_millis(10);
        let (ctx, _handle) = far_off.with_deadline(at);
        ctx.after_func(move || tell.send(Instant::now()).unwrap());
        assert!(told.recv().unwrap() >= at);
        let (again, _again) = Context::background().with_timeout(Duration::from_millis(1));
        assert_eq!(block_on(again.done()), Error::DeadlineExceeded);
    });
    assert!(child.succeeds());

    // What needs no deadline works as ever.
    let child = Child::running(|| {
        let (ctx, handle) = far_off.with_cancel();
        let tale = Tale::new();
        ctx.after_func(tale.function());
        handle.cancel();
        assert!(tale.has_run() && ctx.is_done());
    });
    assert!(child.succeeds());

    // And the parent never noticed.
    assert_eq!(before.wait(), Error::DeadlineExceeded);
    let (after, _after) = Context::background().with_timeout(Duration::from_millis(2));
    assert_eq!(after.wait(), Error::DeadlineExceeded);
    assert_live(&far_off);
}

/// The deadline for which the parent's timer would have woken passes before the child has one of its own.
#[test]
fn d8_a_child_that_comes_late_wakes_somebody_all_the_same() {
    let _alone = alone();
    fall_asleep();
    let (before, _before) = Context::background().with_timeout(Duration::from_millis(20));
    let child = Child::running(|| {
        thread::sleep(Duration::from_millis(60));
        deadlines_work();
        eventually("the deadline from before", || before.is_done());
    });
    assert!(child.succeeds());
    wait_for(&before);
}

/// Whoever waits without blocking a thread starts the timer, too.
#[test]
fn d8_a_child_that_polls_or_leaves_a_function_has_the_deadlines_from_before() {
    let _alone = alone();
    fall_asleep();
    let soon = || Context::background().with_timeout(Duration::from_millis(20));

    let (before, _before) = soon();
    let child = Child::running(|| assert_eq!(block_on(before.done()), Error::DeadlineExceeded));
    assert!(child.succeeds());

    // A poll that changes nothing is enough.
    let (before, _before) = soon();
    let mut done = before.done();
    let (_wakes, waker) = Wakes::new();
    assert!(poll_with(&mut done, &waker).is_pending());
    let child = Child::running(|| eventually("the deadline", || poll_with(&mut done, &waker).is_ready()));
    assert!(child.succeeds());

    let (before, _before) = soon();
    let child = Child::running(|| {
        let tale = Tale::new();
        before.after_func(tale.function());
        eventually("the function", || tale.has_run());
    });
    assert!(child.succeeds());
}

/// Nor does a child have to arm or wait, if it says what it is.
#[test]
fn d8_a_child_that_says_so_has_the_deadlines_from_before() {
    let _alone = alone();
    fall_asleep();
    let ran = Arc::new(AtomicU32::new(0));
    let (before, handle) = Context::background().with_deadline(far());
    let by = ran.clone();
    before.after_func(move || by.store(std::process::id(), SeqCst));
    assert!(handle.reset_timeout(Duration::from_millis(20)));
    let child = Child::running(|| {
        // Twice is as good as once.
        ripcord::after_fork_child();
        ripcord::after_fork_child();
        eventually("the function from before", || ran.load(SeqCst) == std::process::id());
        deadlines_work();
    });
    assert!(child.succeeds());
    eventually("the parent's own call", || ran.load(SeqCst) == std::process::id());
    // In a process that is no child it says nothing new.
    ripcord::after_fork_child();
    deadlines_work();
}

/// A function is being called, and the second thread drives meanwhile.
#[test]
fn d8_a_fork_while_a_function_is_called() {
    let _alone = alone();
    fall_asleep();
    let gate = Gate::default();
    let at_gate = gate.clone();
    let _slow = coming(move || at_gate.pass());
    gate.wait_for(1);
    // Two more come meanwhile, and are handed over, for the pass of a third has come after.
    let ran: [_; 2] = std::array::from_fn(|_| Arc::new(AtomicU32::new(0)));
    let _waiting = ran.clone().map(|ran| {
        let waiting = coming(move || ran.store(std::process::id(), SeqCst));
        wait_for(&waiting.0);
        waiting
    });
    wait_for(&Context::background().with_timeout(Duration::from_millis(3)).0);
    let child = Child::running(|| {
        deadlines_work();
        eventually("the functions that waited for their turn", || {
            ran.iter().all(|ran| ran.load(SeqCst) == std::process::id())
        });
        gate.wait_for(1);
    });
    assert!(child.succeeds());
    gate.open();
    eventually("the parent's own calls", || ran.iter().all(|ran| ran.load(SeqCst) == std::process::id()));
    deadlines_work();
}

/// A waker does not return: the first thread's, and then the second one's.
#[test]
fn d8_a_fork_while_a_waker_is_woken() {
    let _alone = alone();
    fall_asleep();
    for second in [false, true] {
        let (calls, wakes) = (Gate::default(), Gate::default());
        let in_call = calls.clone();
        let _slow = second.then(|| coming(move || in_call.pass()));
        calls.wait_for(usize::from(second));
        let (ctx, handle) = Context::background().with_deadline(far());
        let mut done = ctx.clone().into_done();
        let in_waker = wakes.clone();
        assert!(poll_with(&mut done, &waker_fn(move || in_waker.pass())).is_pending());
        assert!(handle.reset_timeout(Duration::from_millis(1)));
        wakes.wait_for(1);
        // Nobody fires this one before the fork.
        let (late, _late) = Context::background().with_timeout(Duration::from_millis(1));
        let child = Child::running(|| {
            deadlines_work();
            assert!(poll(&mut done).is_ready());
            eventually("the deadline from before", || late.is_done());
        });
        assert!(child.succeeds());
        wakes.open();
        calls.open();
        wait_for(&late);
    }
    deadlines_work();
}

/// A function that the timer's thread calls forks, and the child goes on with that thread alone.
#[test]
fn d8_a_function_of_a_deadline_may_fork_and_the_child_goes_on() {
    let _alone = alone();
    fall_asleep();
    let parent = std::process::id();
    let (tell, told) = mpsc::channel();
    let (first, its_handle) = Context::background().with_deadline(far());
    let (later, later_handle) = Context::background().with_deadline(far());
    later.after_func(move || {
        if std::process::id() != parent {
            end_with(|| ());
        }
    });
    first.after_func(move || {
        // `later` ends the child, for nobody is left there who would arm or wait.
        if let Some(child) = Child::fork() {
            tell.send(child).unwrap();
        }
    });
    // Armed so, `later` is in nobody's hands at the fork.
    assert!(later_handle.reset_timeout(Duration::from_millis(300)));
    assert!(its_handle.reset_timeout(Duration::from_millis(1)));
    assert!(told.recv().unwrap().succeeds());
    wait_for(&later);
}

/// The same with what waits for its turn behind that function, and with a child that needs deadlines before it returns.
#[test]
fn d8_a_function_that_forks_may_use_deadlines_and_what_waited_behind_it_is_called() {
    let _alone = alone();
    fall_asleep();
    let parent = std::process::id();
    let (gate, (tell, told)) = (Gate::default(), mpsc::channel());
    let at_gate = gate.clone();
    let _forks = coming(move || {
        at_gate.pass();
        match Child::fork() {
            Some(child) => tell.send(child).unwrap(),
            None => {
                deadlines_work();
                wait_for(&Context::background().with_timeout(Duration::from_millis(1)).0);
            }
        }
    });
    gate.wait_for(1);
    let behind = coming(move || {
        if std::process::id() != parent {
            // On a thread of its own: functions take turns.
            thread::spawn(|| end_with(deadlines_work));
        }
    });
    wait_for(&behind.0);
    wait_for(&Context::background().with_timeout(Duration::from_millis(3)).0);
    gate.open();
    assert!(told.recv().unwrap().succeeds());
    deadlines_work();
}

/// A waker forks: on the first thread, and on the second one. Functions of the same deadline are called in the child, too.
#[test]
fn d8_a_waker_on_the_timers_threads_may_fork() {
    let _alone = alone();
    fall_asleep();
    for second in [false, true] {
        let (parent, gate) = (std::process::id(), Gate::default());
        let at_gate = gate.clone();
        let _slow = second.then(|| coming(move || at_gate.pass()));
        gate.wait_for(usize::from(second));
        let (ctx, handle) = Context::background().with_deadline(far());
        let mut done = ctx.clone().into_done();
        let (tell, told) = mpsc::channel();
        let forks = waker_fn(move || {
            // The child's waker returns to the timer that is no more.
            if let Some(child) = Child::fork() {
                tell.send(child).unwrap();
            }
        });
        assert!(poll_with(&mut done, &forks).is_pending());
        ctx.after_func(move || {
            if std::process::id() != parent {
                // On a thread of its own: functions take turns.
                thread::spawn(|| {
                    end_with(|| {
                        (0..5).for_each(|_| deadlines_work());
                        // What was the timer's thread, this one, and one timer, not a new one for each deadline.
                        let threads = std::fs::read_dir("/proc/self/task").unwrap().count();
                        assert!(threads <= 4, "{threads} threads");
                    })
                });
            }
        });
        assert!(handle.reset_timeout(Duration::from_millis(1)));
        assert!(told.recv_timeout(Duration::from_secs(60)).unwrap().succeeds());
        gate.open();
    }
    deadlines_work();
}
