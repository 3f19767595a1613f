//! Waiting for everybody, as a thread and as a future; afterwards the group is closed.

use crate::support::{Fine, Wakes, block_on, eventually, group, poll, poll_with, text};
use ripcord::group::SpawnError;
use ripcord::{Cause, Context, Error, Group};
use std::future::{pending, ready};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread::{self};
use std::time::Duration;

#[test]
fn all_fine_is_fine_and_ends_the_context() {
    let group = group();
    let below = group.context().with_value(1).with_cancel().0;
    let task = group.task(async { Ok::<_, Cause>("value") });
    group.spawn(|_ctx| Fine::Ok(())).unwrap();
    assert_eq!(group.run(|_ctx| Ok::<_, Cause>(7)).unwrap(), 7);
    assert_eq!(block_on(task).unwrap(), "value");
    assert!(!below.is_done());
    assert!(group.wait().is_ok());
    assert_eq!(below.err(), Some(Error::Canceled));
    assert_eq!(below.cause().unwrap().to_string(), "context canceled");
}

#[test]
fn an_empty_group_is_through_at_once() {
    assert!(group().wait().is_ok());
    assert!(block_on(async { group().await }).is_ok());
    assert!(group().wait_timeout(Duration::ZERO).unwrap().is_ok());
}

#[test]
fn everybody_who_waits_gets_the_result() {
    let group = group();
    let (tell, told) = mpsc::channel::<()>();
    group
        .spawn(move |_ctx| {
            let _ = told.recv();
            Err("over")
        })
        .unwrap();
    let threads: Vec<_> = (0..3)
        .map(|i| {
            let group = group.clone();
            thread::spawn(move || text(if i == 0 { block_on(group.join()) } else { group.wait() }))
        })
        .collect();
    drop(tell);
    assert!(threads.into_iter().all(|thread| thread.join().unwrap() == "over"));
    assert_eq!(text(group.wait()), "over");
}

#[test]
fn what_members_hold_is_gone_when_wait_returns() {
    for _ in 0..100 {
        let (group, held) = (group(), Arc::new(()));
        for _ in 0..2 {
            let held = Arc::clone(&held);
            group
                .spawn(move |_ctx| {
                    let _held = held;
                    Fine::Ok(())
                })
                .unwrap();
        }
        group.wait().unwrap();
        assert_eq!(Arc::strong_count(&held), 1);
    }
}

#[test]
fn a_group_and_its_members_keep_nothing_afterwards() {
    let held = Arc::new(());
    let parent = Context::background().with_value(Arc::clone(&held));
    let group = Group::new(&parent).limit(1);
    let mut queued = Box::pin(group.task(pending::<Fine>()));
    group.spawn(|_ctx| Fine::Ok(())).unwrap();
    let _ = poll(queued.as_mut());
    drop((queued, parent));
    group.wait().unwrap();
    drop(group);
    // The thread lets go of the group after its member has left.
    eventually("the context is released", || Arc::strong_count(&held) == 1);
}

#[test]
fn wait_waits_for_tasks_that_nobody_has_polled_yet() {
    let group = group();
    let task = group.task(ready(Fine::Ok(())));
    assert!(group.wait_timeout(Duration::from_millis(2)).is_none());
    assert!(!group.context().is_done(), "the group goes on");
    drop(task);
    assert!(group.wait_timeout(Duration::MAX).unwrap().is_ok());
}

#[test]
fn a_join_dropped_unfinished_leaves_the_group_open() {
    let group = group();
    let task = group.task(ready(Fine::Ok(())));
    let mut join = Box::pin(group.join());
    assert!(poll(join.as_mut()).is_pending());
    drop(join);
    drop(task);
    assert!(!group.context().is_done());
    assert!(group.run(|_ctx| Fine::Ok(())).is_ok(), "nobody waited for the end: the group takes members");
    assert!(group.wait().is_ok());
}

#[test]
fn a_join_wakes_once_when_the_last_has_left() {
    let (group, wakes) = (group(), Arc::new(Wakes::default()));
    let tasks = [group.task(ready(Fine::Ok(()))), group.task(ready(Fine::Ok(())))];
    let mut join = Box::pin(group.join());
    assert!(poll_with(join.as_mut(), &wakes).is_pending());
    let [first, last] = tasks;
    drop(first);
    assert_eq!(wakes.0.load(SeqCst), 0);
    block_on(last).unwrap();
    assert_eq!(wakes.0.load(SeqCst), 1);
    assert!(group.context().is_done(), "before anybody is woken");
    assert!(matches!(poll_with(join.as_mut(), &wakes), Poll::Ready(Ok(()))));
}

#[test]
fn a_group_is_used_once() {
    // Closed by who waits, when everybody has left already.
    let before = group();
    block_on(before.task(ready(Fine::Ok(())))).unwrap();
    before.wait().unwrap();
    takes_nobody(&before);
    // Closed by the last to leave, while somebody waits.
    let after = group();
    let (task, mut join) = (after.task(ready(Fine::Ok(()))), Box::pin(after.join()));
    assert!(poll(join.as_mut()).is_pending());
    block_on(task).unwrap();
    takes_nobody(&after);
    block_on(join).unwrap();
}

fn takes_nobody(group: &Group) {
    let ended = |refused: Result<(), SpawnError>| match refused.unwrap_err() {
        SpawnError::Ended(cause) => cause.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(ended(group.spawn(|_ctx| Err("never run"))), "context canceled");
    assert_eq!(ended(group.try_spawn(|_ctx| Err("never run"))), "context canceled");
    assert_eq!(text(group.run(|_ctx| Err("never run"))), "context canceled");
    assert_eq!(text(block_on(group.task(async { Err("never run") }))), "context canceled");
    assert!(group.wait().is_ok(), "the result stands");
}
