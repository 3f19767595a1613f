//! Rule D8, where a `fork` meets the timer in the middle of something: caught there by an allocator that does not return.
//!
//! One test at a time, in a process of its own; the children leave by `_exit`.
#![cfg(all(not(feature = "loom"), target_os = "linux"))]

mod common;

use common::alone::Configuring;
use common::child::{self, Child, deadlines_work};
use common::trap::{self, Trap};
use common::*;
use ripcord::{CancelHandle, Config, Context};
use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: Trap = Trap;

/// How often the timer has reported a loss, from now on.
fn count_reports() -> &'static AtomicUsize {
    static REPORTS: AtomicUsize = AtomicUsize::new(0);
    REPORTS.store(0, SeqCst);
    let count = |payload: Box<dyn Any + Send>| {
        let message = payload.downcast::<String>().expect("a report");
        assert!(message.contains("lost"), "{message}");
        REPORTS.fetch_add(1, SeqCst);
    };
    Config::default().on_panic(count).install();
    &REPORTS
}

/// Deadlines that come together, one of which a function hears of, and some that come later.
struct Batch {
    due: Vec<(Context, CancelHandle)>,
    later: Vec<(Context, CancelHandle)>,
}

impl Batch {
    /// So many that a pass's hands have to grow each time.
    fn armed(at: Instant) -> Batch {
        let mut due: Vec<_> = (0..5_000).map(|_| Context::background().with_deadline(at)).collect();
        let (heard_of, handle) = Context::background().with_deadline(far());
        heard_of.after_func(|| ());
        assert!(handle.reset_deadline(at) || heard_of.is_done());
        due.push((heard_of, handle));
        let later = (0..100).map(|_| Context::background().with_deadline(at + Duration::from_millis(40))).collect();
        Batch { due, later }
    }

    fn is_over(&self) -> bool {
        self.due.iter().chain(&self.later).all(|(ctx, _)| ctx.is_done())
    }
}

/// A batch, and a trap for the timer at this step of what it does about it; true if it is caught there.
fn caught(step: i64) -> (Batch, bool) {
    let mut lead = Duration::from_millis(20);
    loop {
        // On a machine with other things to do it takes longer to arm so many.
        let at = Instant::now() + lead;
        let batch = Batch::armed(at);
        trap::set_for_timer(step);
        if Instant::now() >= at {
            trap::release();
            eventually("a batch that came too early", || batch.is_over() && !trap::is_sprung());
            lead *= 2;
            continue;
        }
        eventually("somebody caught, or nothing left to do", || trap::is_sprung() || batch.is_over());
        return (batch, trap::is_sprung());
    }
}

/// A pass is caught at each of its steps that allocate, one after the other, and goes on while somebody forks: the fork waits.
#[test]
fn d8_a_fork_waits_for_a_pass_and_no_deadline_is_lost() {
    let _alone = Configuring::alone();
    let reports = count_reports();
    let mut steps = 0;
    loop {
        let forks = AtomicBool::new(false);
        let (batch, caught) = thread::scope(|scope| {
            scope.spawn(|| {
                eventually("the fork", || forks.load(SeqCst));
                thread::sleep(Duration::from_millis(5));
                trap::release();
            });
            let (batch, caught) = caught(steps);
            forks.store(true, SeqCst);
            let child = Child::running(|| {
                trap::release();
                deadlines_work();
                eventually("the deadlines from before", || batch.is_over());
                // A call that the timer had in hand.
                assert!(reports.load(SeqCst) <= 1);
            });
            assert!(child.succeeds(), "caught at step {steps}: {caught}");
            (batch, caught)
        });
        eventually("the parent's own", || batch.is_over() && !trap::is_sprung());
        assert_eq!(reports.load(SeqCst), 0);
        if !caught {
            break;
        }
        steps += 1;
    }
    assert!(steps > 2, "what a pass does takes more than {steps} steps");
}

/// The same, but nobody goes on: the fork does after a while. What is lost then is reported, and new deadlines are none the
/// worse for it.
#[test]
fn d8_a_fork_does_not_wait_for_ever_and_says_what_is_lost() {
    let _alone = Configuring::alone();
    let reports = count_reports();
    let mut lost = 0;
    for step in 0.. {
        let (batch, caught) = caught(step);
        let child = Child::fork();
        let Some(child) = child else {
            child::end_with(|| {
                trap::release();
                deadlines_work();
                // Said when the child's timer is started.
                if reports.load(SeqCst) == 0 {
                    eventually("the deadlines from before", || batch.is_over());
                    child::exit(7);
                }
            });
        };
        let status = child.status();
        assert!(status == 0 || status == 7 << 8, "caught at step {step}: {caught}; status {status}");
        lost += usize::from(status == 0);
        trap::release();
        eventually("the parent's own", || batch.is_over() && !trap::is_sprung());
        if !caught {
            break;
        }
    }
    assert!(lost > 0, "somewhere a pass holds what the child would need");
    assert_eq!(reports.load(SeqCst), 0);
}

/// The thread that arms first in a process without a timer, and starts it, is caught at each step.
#[test]
fn d8_a_fork_during_the_start_of_the_timer() {
    let _alone = Configuring::alone();
    deadlines_work();
    for step in 0.. {
        // A child has no timer, until it arms.
        let child = Child::running(|| {
            let [ran, through, forked]: [&AtomicBool; 3] =
                std::array::from_fn(|_| &*Box::leak(Box::new(AtomicBool::new(false))));
            let arms = thread::spawn(move || {
                trap::set_for_me(step);
                let (ctx, handle) = Context::background().with_timeout(Duration::from_millis(1));
                ctx.after_func(|| ran.store(true, SeqCst));
                trap::release();
                through.store(true, SeqCst);
                eventually("the fork", || forked.load(SeqCst));
                (ctx, handle)
            });
            eventually("caught, or through", || trap::is_sprung() || through.load(SeqCst));
            let caught = trap::is_sprung();
            // Nobody is starting or ending by then.
            thread::sleep(Duration::from_millis(10));
            let grandchild = Child::running(deadlines_work);
            forked.store(true, SeqCst);
            assert!(grandchild.succeeds(), "caught at step {step}: {caught}");
            trap::release();
            let _armed = arms.join().unwrap();
            eventually("the function", || ran.load(SeqCst));
            deadlines_work();
            child::exit_saying(caught);
        });
        if !child.said().unwrap_or_else(|status| panic!("at step {step}: status {status}")) {
            assert!(step > 5, "arming and starting takes more than {step} steps");
            break;
        }
    }
}

/// Everybody arms, fires, cancels and grooms, and somebody forks.
#[test]
fn d8_forks_amid_it_all() {
    let _alone = Configuring::alone();
    let reports = count_reports();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for seed in 0..3_u64 {
            let over = &over;
            scope.spawn(move || {
                let mut held = std::collections::VecDeque::new();
                let mut micros = seed;
                while !over.load(SeqCst) {
                    micros = (micros + 617) % 3_000;
                    let armed = Context::background().with_timeout(Duration::from_micros(micros));
                    armed.0.after_func(|| ());
                    held.push_back(armed);
                    // Some fire, some are released before.
                    if held.len() > 300 {
                        held.pop_front();
                    }
                    // The timer keeps pace.
                    if micros % 16 == 0 {
                        thread::sleep(Duration::from_micros(500));
                    }
                }
            });
        }
        // Nobody is starting by then.
        thread::sleep(Duration::from_millis(10));
        for _ in 0..stress(40) {
            let soon = Context::background().with_timeout(Duration::from_millis(1));
            let later: Vec<_> =
                (0..300).map(|ms| Context::background().with_timeout(Duration::from_millis(ms / 10))).collect();
            let child = Child::running(|| {
                deadlines_work();
                eventually("the deadlines from before", || {
                    soon.0.is_done() && later.iter().all(|(ctx, _)| ctx.is_done())
                });
                assert!(reports.load(SeqCst) <= 1);
            });
            assert!(child.succeeds());
        }
        over.store(true, SeqCst);
    });
    assert_eq!(reports.load(SeqCst), 0);
    deadlines_work();
}
