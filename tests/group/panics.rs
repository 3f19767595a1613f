//! Panics end the group and are not lost; threads that cannot start are errors.

use crate::support::{Fine, block_on, group, poll, scopeguard, text};
use ripcord::group::{Panicked, SpawnError};
use ripcord::{Context, Group};
use std::future::pending;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

#[test]
fn a_panic_of_a_thread_ends_the_group_and_goes_on_in_who_waits() {
    let group = group();
    let hangs = group.task(pending::<Fine>());
    group.spawn(|_ctx| -> Fine { panic!("out of cheese") }).unwrap();
    let cause = block_on(hangs).unwrap_err();
    assert_eq!(cause.downcast_ref::<Panicked>().unwrap().message(), Some("out of cheese"));
    assert_eq!(cause.to_string(), "a member of the group panicked: out of cheese");
    let payload = catch_unwind(|| group.wait()).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"out of cheese"));
    assert!(group.wait().unwrap_err().downcast_ref::<Panicked>().is_some(), "later waits get the cause");
}

#[test]
fn a_panic_of_a_future_ends_the_group_and_goes_on_in_who_joins() {
    let group = group();
    let task = group.task(async { if true { std::panic::panic_any(42) } else { Fine::Ok(()) } });
    let cause = block_on(task).expect_err("the executor does not unwind");
    assert_eq!(cause.downcast_ref::<Panicked>().unwrap().message(), None);
    let payload = catch_unwind(|| block_on(group.join())).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&42));
    assert_eq!(text(group.wait()), "a member of the group panicked");
}

#[test]
fn a_panic_of_the_caller_goes_on_in_the_caller() {
    let group = group().limit(1);
    let payload = catch_unwind(|| group.run(|_ctx| -> Fine { panic!("{}", "mine") })).unwrap_err();
    assert_eq!(payload.downcast_ref::<String>().unwrap(), "mine");
    assert_eq!(group.wait().unwrap_err().downcast_ref::<Panicked>().unwrap().message(), Some("mine"));
}

#[test]
fn a_panic_is_not_lost_behind_an_error() {
    let group = group();
    group
        .spawn(|ctx| -> Fine {
            ctx.wait();
            panic!("while cleaning up")
        })
        .unwrap();
    group.spawn(|_ctx| Err("first")).unwrap();
    let payload = catch_unwind(|| group.wait()).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"while cleaning up"));
    assert_eq!(text(group.wait()), "first");
}

#[test]
fn a_thread_that_unwinds_may_wait() {
    let group = group();
    group.spawn(|_ctx| -> Fine { panic!("a member's") }).unwrap();
    let payload = catch_unwind(|| {
        let _waits = scopeguard(|| assert!(group.wait().is_err()));
        panic!("the caller's");
    });
    assert_eq!(payload.unwrap_err().downcast_ref(), Some(&"the caller's"));
    assert_eq!(catch_unwind(|| group.wait()).unwrap_err().downcast_ref(), Some(&"a member's"), "kept for the next");
}

#[test]
fn a_future_that_panics_when_dropped_leaves_its_place() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    let held = || async {
        let _bomb = Bomb;
        pending::<Fine>().await
    };
    let (parent, handle) = Context::background().with_cancel();
    let group = Group::new(&parent).limit(1);
    // By its owner: the panic is the owner's.
    let mut task = Box::pin(group.task(held()));
    assert!(poll(task.as_mut()).is_pending());
    assert!(catch_unwind(AssertUnwindSafe(|| drop(task))).is_err());
    // By the group's end: it is a member's.
    let mut task = Box::pin(group.task(held()));
    assert!(poll(task.as_mut()).is_pending());
    handle.cancel();
    let Poll::Ready(Err(cause)) = poll(task.as_mut()) else { panic!("the group has ended") };
    assert_eq!(cause.downcast_ref::<Panicked>().unwrap().message(), Some("dropped"));
    assert_eq!(catch_unwind(|| group.wait()).unwrap_err().downcast_ref(), Some(&"dropped"));
}

#[test]
fn a_callback_that_panics_is_heard_of_and_strands_nobody() {
    let group = group();
    let _after = group.context().after_func(|| panic!("callback"));
    let hangs = group.task(pending::<Fine>());
    assert_eq!(text(group.run(|_ctx| Err("over"))), "over", "the member has left in peace");
    assert_eq!(text(block_on(hangs)), "over");
    assert_eq!(catch_unwind(|| group.wait()).unwrap_err().downcast_ref(), Some(&"callback"));
    assert_eq!(text(group.wait()), "over");
}

/// The child process has a default stack size that no system has room for.
#[test]
fn a_thread_that_cannot_be_started_is_an_error() {
    const CHILD: &str = "RIPCORD_TEST_NO_THREADS";
    if std::env::var_os(CHILD).is_some() {
        let group = group().limit(1);
        let refused = group.spawn(|_ctx| Fine::Ok(())).unwrap_err();
        assert_eq!(refused.to_string(), "no thread could be started");
        let SpawnError::Thread(cause) = refused else { panic!("{refused:?}") };
        assert!(cause.downcast_ref::<io::Error>().is_some());
        assert!(group.context().is_done());
        assert!(group.wait().unwrap_err().downcast_ref::<io::Error>().is_some());
        return;
    }
    let run = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "panics::a_thread_that_cannot_be_started_is_an_error", "--test-threads=1", "--nocapture"])
        .env(CHILD, "1")
        .env("RUST_MIN_STACK", (1_u64 << 60).to_string())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && told.contains("1 passed"), "{told}");
}
