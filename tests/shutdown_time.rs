//! Shutdown and budgets by a clock that is moved by hand: what comes at which moment, to the nanosecond.
#![cfg(not(feature = "loom"))]

use ripcord::budget::RetryBudget;
use ripcord::shutdown::Stage;
use ripcord::{Config, Context, Shutdown, time};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_nanos(1);

/// One test: the clock is the whole process's.
#[test]
fn stages_and_budgets_keep_to_the_clock() {
    Config::default().timer_window(Duration::ZERO).install();
    time::pause();

    let shutdown = Shutdown::new(&Context::background(), 60 * SECOND).shares(5, 50, 5);
    let guard = shutdown.guard("work");
    time::advance(7 * SECOND);
    assert_eq!((guard.age(), shutdown.stage()), (7 * SECOND, None));
    shutdown.begin("SIGTERM");
    for (stage, seconds) in [(Stage::Drain, 5), (Stage::Cancel, 50), (Stage::Abort, 5)] {
        time::advance(seconds * SECOND - TICK);
        assert!(!shutdown.until(stage).is_done(), "{stage} is early");
        time::advance(TICK);
        assert!(shutdown.until(stage).is_done(), "{stage} is late");
    }
    let report = shutdown.wait();
    let after: Vec<_> = report.stages.iter().map(|reached| reached.after).collect();
    assert_eq!(after, [0, 5, 55, 60].map(Duration::from_secs));
    assert_eq!((report.took, report.left[0].oldest), (60 * SECOND, 67 * SECOND));

    // A signal skips the rest of a stage, and the next has its share from there.
    let shutdown = Shutdown::new(&Context::background(), 60 * SECOND).shares(0, 50, 10);
    let _guard = shutdown.guard("work");
    shutdown.begin("one");
    time::advance(SECOND);
    assert_eq!(shutdown.remaining(), Some(59 * SECOND));
    shutdown.advance("two");
    time::advance(10 * SECOND - TICK);
    assert!(!shutdown.until(Stage::Abort).is_done());
    time::advance(TICK);
    assert_eq!(shutdown.wait().took, 11 * SECOND);

    let budget = RetryBudget::new(0.5, 1).window(16 * SECOND);
    assert_eq!(budget.balance(), 1, "the free one");
    assert!(budget.withdraw() && !budget.withdraw());
    (0..4).for_each(|_| budget.deposit());
    time::advance(15 * SECOND);
    assert_eq!(budget.balance(), 3);
    time::advance(SECOND);
    assert_eq!(budget.balance(), 1, "what was paid in is too old");
    time::resume();
}
