//! The end of the parent, and groups in groups.

use crate::support::{Fine, Wakes, block_on, group, poll_with, text};
use ripcord::group::SpawnError;
use ripcord::{Context, Error, Group};
use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::Poll;
use std::time::Duration;

#[test]
fn the_parents_end_reaches_the_members_and_counts_if_they_say_so() {
    let (parent, handle) = Context::background().with_cancel();
    let (calm, sore) = (Group::new(&parent), Group::new(&parent));
    calm.spawn(|ctx| {
        ctx.wait();
        Fine::Ok(())
    })
    .unwrap();
    sore.spawn(|ctx| {
        ctx.wait();
        Err::<(), _>(ctx.cause().unwrap())
    })
    .unwrap();
    let cut = Group::new(&parent);
    let task = cut.task(pending::<Fine>());
    handle.cancel_cause("client gone");
    assert!(calm.wait().is_ok(), "all finished nevertheless");
    assert_eq!(text(sore.wait()), "client gone");
    assert_eq!(text(block_on(task)), "client gone");
    assert_eq!(text(cut.wait()), "client gone");
}

#[test]
fn a_parents_deadline_is_a_deadline_for_the_group() {
    let (parent, _handle) = Context::background().with_timeout_cause(Duration::from_millis(2), "no budget left");
    let group = Group::new(&parent);
    let cause = block_on(group.task(pending::<Fine>())).unwrap_err();
    assert_eq!((cause.error(), cause.to_string().as_str()), (Error::DeadlineExceeded, "no budget left"));
    assert_eq!(group.wait().unwrap_err().error(), Error::DeadlineExceeded);
}

#[test]
fn a_group_of_an_ended_parent_runs_nothing_and_says_so() {
    let (parent, handle) = Context::background().with_cancel();
    handle.cancel_cause("shutting down");
    let group = Group::new(&parent);
    let ran = Arc::new(AtomicBool::new(false));
    let never = Arc::clone(&ran);
    let task = group.task(poll_fn(move |_| {
        never.store(true, SeqCst);
        Poll::Ready(Fine::Ok(()))
    }));
    assert_eq!(text(block_on(task)), "shutting down");
    assert!(!ran.load(SeqCst), "an ended group never polls");
    assert!(matches!(group.spawn(|_ctx| Fine::Ok(())), Err(SpawnError::Ended(_))));
    assert!(matches!(group.try_spawn(|_ctx| Fine::Ok(())), Err(SpawnError::Ended(_))));
    assert_eq!(text(group.wait()), "shutting down");
}

#[test]
fn the_end_comes_before_a_poll_that_would_have_succeeded() {
    let (parent, handle) = Context::background().with_cancel();
    let group = Group::new(&parent);
    let (polls, wakes) = (Arc::new(AtomicUsize::new(0)), Arc::new(Wakes::default()));
    let counted = Arc::clone(&polls);
    let mut task = Box::pin(group.task(poll_fn(move |_| match counted.fetch_add(1, SeqCst) {
        0 => Poll::Pending,
        _ => Poll::Ready(Fine::Ok(())),
    })));
    assert!(poll_with(task.as_mut(), &wakes).is_pending());
    handle.cancel();
    assert_eq!(wakes.0.load(SeqCst), 1, "the end wakes the task");
    assert!(matches!(poll_with(task.as_mut(), &wakes), Poll::Ready(Err(_))));
    assert_eq!(polls.load(SeqCst), 1);
}

#[test]
fn a_groups_end_touches_neither_parent_nor_sibling() {
    let (parent, _handle) = Context::background().with_cancel();
    let (one, other) = (Group::new(&parent), Group::new(&parent));
    one.spawn(|_ctx| Err("mine")).unwrap();
    assert!(one.wait().is_err());
    assert!(!parent.is_done() && !other.context().is_done());
}

#[test]
fn groups_nest_as_deep_as_you_like() {
    const DEEP: usize = 20_000;
    let (parent, handle) = Context::background().with_cancel();
    let mut groups = vec![Group::new(&parent)];
    while groups.len() < DEEP {
        groups.push(Group::new(groups.last().unwrap().context()));
    }
    let deepest = groups.last().unwrap().task(pending::<Fine>());
    assert!(groups[DEEP / 2].run(|_ctx| Err::<(), _>("half way")).is_err());
    assert_eq!(text(block_on(deepest)), "half way");
    assert!(!groups[DEEP / 2 - 1].context().is_done());
    handle.cancel_cause("from the top");
    assert_eq!(groups[0].context().cause().unwrap().to_string(), "from the top");
    assert_eq!(groups[DEEP - 1].context().cause().unwrap().to_string(), "half way");
}

#[test]
fn a_failed_inner_group_fails_the_outer_if_its_member_says_so() {
    let outer = group();
    let hangs = outer.task(pending::<Fine>());
    outer
        .spawn(|ctx| {
            let inner = Group::new(ctx).limit(2);
            for i in 0..4 {
                if inner.spawn(move |_ctx| if i == 2 { Err("part 2") } else { Ok(()) }).is_err() {
                    break;
                }
            }
            inner.wait()
        })
        .unwrap();
    assert_eq!(text(block_on(hangs)), "part 2");
    assert_eq!(text(outer.wait()), "part 2");
}
