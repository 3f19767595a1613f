//! The stages: their order, their causes, their times, and what skips them.

use crate::common::{block_on, eventually, poll_with, wait_for, waker_fn};
use ripcord::shutdown::{Overdue, Stage};
use ripcord::{Context, Error, Shutdown};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(3600);
const MS: Duration = Duration::from_millis(1);

fn shutdown(budget: Duration) -> Shutdown {
    Shutdown::new(&Context::background(), budget)
}

fn ended(shutdown: &Shutdown) -> [bool; 4] {
    Stage::ALL.map(|stage| shutdown.until(stage).is_done())
}

fn cause(shutdown: &Shutdown, stage: Stage) -> String {
    shutdown.until(stage).cause().expect("the stage has come").to_string()
}

#[test]
fn nothing_ends_before_it_begins() {
    let shutdown = shutdown(Duration::ZERO);
    assert_eq!((shutdown.stage(), ended(&shutdown), shutdown.remaining()), (None, [false; 4], None));
    drop(shutdown.guard("work"));
    assert!(!shutdown.report().over && !shutdown.report().is_clean());
    assert_eq!(shutdown.report().to_string(), "up; running: nothing");
}

#[test]
fn by_default_stop_and_drain_come_together_with_the_reason_given() {
    let shutdown = shutdown(LONG);
    let _guard = shutdown.guard("work");
    assert!(shutdown.begin("SIGTERM"));
    assert_eq!((shutdown.stage(), ended(&shutdown)), (Some(Stage::Drain), [true, true, false, false]));
    assert_eq!((cause(&shutdown, Stage::Stop), cause(&shutdown, Stage::Drain)), ("SIGTERM".into(), "SIGTERM".into()));
    assert!(shutdown.remaining().unwrap() <= LONG && !shutdown.remaining().unwrap().is_zero());
}

#[test]
fn it_begins_once() {
    let shutdown = shutdown(LONG);
    let _guard = shutdown.guard("work");
    assert!(shutdown.begin("first"));
    assert!(!shutdown.begin("second"));
    assert_eq!(shutdown.report().reason.unwrap().to_string(), "first");
    assert_eq!(shutdown.report().stages.len(), 2);
}

#[test]
fn nobody_at_work_means_over_at_once_and_everything_has_ended() {
    let shutdown = shutdown(LONG);
    let unguarded = shutdown.until(Stage::Cancel).with_cancel().0;
    shutdown.begin("SIGTERM");
    let report = shutdown.wait();
    assert!(report.is_clean(), "{report}");
    assert_eq!(ended(&shutdown), [true; 4]);
    assert_eq!(cause(&shutdown, Stage::Stop), "SIGTERM", "the stages that came keep their cause");
    assert_eq!(unguarded.cause().unwrap().to_string(), "the shutdown is complete");
    assert_eq!(report.running_at(Stage::Cancel), None);
}

#[test]
fn time_leads_from_drain_to_cancel_to_abort_never_early() {
    let shutdown = shutdown(40 * MS).shares(0, 1, 1);
    let _guard = shutdown.guard("stubborn");
    let began = Instant::now();
    shutdown.begin("SIGTERM");

    assert_eq!(wait_for(shutdown.until(Stage::Cancel)), Error::Canceled);
    assert!(began.elapsed() >= 20 * MS);
    let overdue = shutdown.until(Stage::Cancel).cause().unwrap();
    let overdue = overdue.downcast_ref::<Overdue>().expect("time led here");
    assert_eq!((overdue.stage(), overdue.reason().to_string()), (Stage::Cancel, "SIGTERM".to_owned()));
    assert!(overdue.to_string().starts_with("going down (SIGTERM), not finished within "));
    assert!(overdue.after() >= 20 * MS);

    let report = shutdown.wait();
    assert!(began.elapsed() >= 40 * MS);
    assert_eq!(cause(&shutdown, Stage::Drain), "SIGTERM");
    assert!(!report.is_clean() && report.over);
    assert_eq!(report.stages.iter().map(|reached| reached.stage).collect::<Vec<_>>(), Stage::ALL);
    assert_eq!((report.left[0].name, report.left[0].count), ("stubborn", 1));
    assert!(report.left[0].oldest >= 40 * MS && report.took >= 40 * MS);
}

#[test]
fn a_share_for_stop_keeps_the_drain_waiting() {
    let shutdown = shutdown(LONG).shares(1, 1, 1);
    let _guard = shutdown.guard("work");
    shutdown.begin("deploy");
    assert_eq!(ended(&shutdown), [true, false, false, false]);
    assert_eq!(shutdown.stage(), Some(Stage::Stop));
}

#[test]
fn every_further_signal_skips_a_stage() {
    let shutdown = shutdown(LONG);
    let _guard = shutdown.guard("work");
    assert_eq!(shutdown.advance("one"), Some(Stage::Drain));
    assert_eq!(shutdown.advance("two"), Some(Stage::Cancel));
    assert_eq!((ended(&shutdown), cause(&shutdown, Stage::Cancel)), ([true, true, true, false], "two".into()));
    assert_eq!(shutdown.advance("three"), Some(Stage::Abort));
    assert_eq!((ended(&shutdown), cause(&shutdown, Stage::Abort)), ([true; 4], "three".into()));
    assert_eq!(shutdown.advance("four"), None);
    let report = shutdown.wait();
    assert_eq!(report.reason.as_ref().unwrap().to_string(), "one");
    let causes: Vec<_> = report.stages.iter().map(|reached| reached.cause.to_string()).collect();
    assert_eq!(causes, ["one", "one", "two", "three"]);
}

#[test]
fn after_a_skip_the_next_stage_has_its_own_share() {
    // The drain would take for ever; the share of the cancel is short.
    let shutdown = shutdown(1000 * LONG).shares(0, 1_000_000_000, 1);
    let _guard = shutdown.guard("work");
    shutdown.begin("one");
    shutdown.advance("two");
    assert_eq!(wait_for(shutdown.until(Stage::Abort)), Error::Canceled);
    assert!(shutdown.wait().took >= 3600 * MS / 1000);
}

#[test]
fn the_end_of_the_parent_begins_it_with_its_cause() {
    struct Name(&'static str);
    let (signals, handle) = Context::background().with_value(Name("main")).with_cancel();
    let shutdown = Shutdown::new(&signals, LONG);
    let guard = shutdown.guard("work");
    assert_eq!(shutdown.until(Stage::Abort).value::<Name>().unwrap().0, "main");
    handle.cancel_cause("SIGINT");
    assert_eq!((shutdown.stage(), ended(&shutdown)), (Some(Stage::Drain), [true, true, false, false]));
    assert_eq!(shutdown.report().reason.unwrap().to_string(), "SIGINT");
    drop(guard);
    assert!(shutdown.wait().is_clean());
}

/// Wakers come before functions, and a function begins the shutdown: what is woken is already told why.
#[test]
fn who_sees_the_first_stage_come_by_the_parent_sees_it_in_the_report() {
    for act in [false, true] {
        let (signals, handle) = Context::background().with_cancel();
        let shutdown = Shutdown::new(&signals, LONG);
        let guard = shutdown.guard("work");
        let (tell, told) = mpsc::channel();
        let seen = shutdown.clone();
        let waker = waker_fn(move || {
            let looked = (seen.stage(), seen.report().reason.map(|reason| reason.to_string()), seen.begin("late"));
            let advanced = act.then(|| seen.advance("second"));
            tell.send((looked, advanced, ended(&seen))).unwrap();
        });
        let mut first = shutdown.until(Stage::Stop).done();
        assert!(poll_with(&mut first, &waker).is_pending());
        handle.cancel_cause("SIGINT");
        let (looked, advanced, stages) = told.recv().unwrap();
        assert_eq!(looked, (Some(Stage::Drain), Some("SIGINT".to_owned()), false));
        assert_eq!(advanced, act.then_some(Some(Stage::Cancel)));
        assert_eq!(stages, [true, true, act, false], "who comes to a stage tells of those before it, too");
        assert_eq!(cause(&shutdown, Stage::Drain), "SIGINT");
        drop(guard);
        assert!(shutdown.wait().over);
    }
}

#[test]
fn a_parent_that_has_ended_means_over_from_the_start() {
    let (parent, handle) = Context::background().with_cancel();
    handle.cancel_cause("gone");
    let report = Shutdown::new(&parent, LONG).wait();
    assert!(report.is_clean());
    assert_eq!(report.reason.unwrap().to_string(), "gone");
}

#[test]
fn who_waits_in_a_thread_or_a_task_is_told() {
    let shutdown = shutdown(LONG);
    let guard = shutdown.guard("work");
    let blocked = std::thread::spawn({
        let shutdown = shutdown.clone();
        move || shutdown.wait()
    });
    let awaited = std::thread::spawn({
        let shutdown = shutdown.clone();
        move || block_on(shutdown.into_future())
    });
    shutdown.begin("SIGTERM");
    drop(guard);
    assert!(blocked.join().unwrap().is_clean());
    assert!(awaited.join().unwrap().is_clean());
    assert!(block_on(shutdown.join()).is_clean());
}

#[test]
fn no_budget_means_everything_at_once() {
    let shutdown = shutdown(Duration::ZERO);
    let _guard = shutdown.guard("work");
    shutdown.begin("kill");
    assert_eq!((ended(&shutdown), cause(&shutdown, Stage::Abort)), ([true; 4], "kill".into()));
    assert_eq!(shutdown.wait().left[0].count, 1);
}

#[test]
fn a_budget_without_end_waits_for_signals() {
    let shutdown = shutdown(Duration::MAX);
    let guard = shutdown.guard("work");
    shutdown.begin("one");
    assert_eq!((shutdown.stage(), shutdown.remaining()), (Some(Stage::Drain), None));
    assert_eq!(shutdown.until(Stage::Cancel).wait_timeout(5 * MS), None);
    drop(guard);
    assert!(shutdown.wait().is_clean());
}

#[test]
#[should_panic(expected = "no stage has a share")]
fn shares_of_nothing_are_refused() {
    let _ = shutdown(LONG).shares(0, 0, 0);
}

#[test]
fn signals_from_many_threads_come_to_each_stage_once() {
    for _ in 0..100 {
        let shutdown = shutdown(LONG);
        let _guard = shutdown.guard("work");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| shutdown.advance("signal"));
            }
        });
        eventually("the abort", || shutdown.advance("once more").is_none());
        let stages: Vec<_> = shutdown.wait().stages.iter().map(|reached| reached.stage).collect();
        assert_eq!(stages, Stage::ALL);
    }
}

#[test]
fn whoever_is_told_may_ask_advance_and_leave() {
    let shutdown = shutdown(LONG);
    let guard = shutdown.guard("work");
    let inside = shutdown.clone();
    shutdown.until(Stage::Drain).after_func(move || {
        assert_eq!(inside.stage(), Some(Stage::Drain));
        inside.advance("from inside");
        drop(guard);
        assert!(format!("{inside:?}").contains("Cancel"));
    });
    shutdown.begin("SIGTERM");
    let report = shutdown.wait();
    assert_eq!(report.stages.last().unwrap().cause.to_string(), "from inside");
    assert!(report.left.is_empty());
}

#[test]
fn who_panics_when_told_does_not_hold_it_up() {
    let shutdown = shutdown(LONG);
    shutdown.until(Stage::Stop).after_func(|| panic!("told"));
    let told = std::panic::catch_unwind(|| shutdown.begin("SIGTERM"));
    assert_eq!(told.unwrap_err().downcast_ref(), Some(&"told"));
    assert!(shutdown.wait().is_clean());
}
