//! Handles, auto traits, and what is shown.

use crate::support::{Fine, block_on, group, poll, text};
use ripcord::group::{Join, Panicked, SpawnError, Task};
use ripcord::{Cause, Context, Group};
use std::collections::HashSet;
use std::error::Error as StdError;
use std::future::pending;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

#[test]
fn dropping_the_last_handle_cancels() {
    let group = group();
    let (ctx, clone) = (group.context().clone(), group.clone());
    let task = group.task(pending::<Fine>());
    drop(group);
    assert!(!ctx.is_done());
    drop(clone);
    assert_eq!(ctx.cause().unwrap().to_string(), "the group was dropped");
    assert_eq!(text(block_on(task)), "the group was dropped");
}

#[test]
fn a_join_holds_the_group() {
    let group = group();
    let task = group.task(async { Fine::Ok(()) });
    let join = group.join();
    drop(group);
    block_on(task).unwrap();
    block_on(join).unwrap();
}

#[test]
fn members_bring_in_members() {
    let (group, count) = (group(), Arc::new(AtomicUsize::new(0)));
    fn grow(group: &Group, count: &Arc<AtomicUsize>, levels: usize) {
        let (inner, count) = (group.clone(), Arc::clone(count));
        let member = move |_: &Context| {
            count.fetch_add(1, SeqCst);
            (0..2).filter(|_| levels > 0).for_each(|_| grow(&inner, &count, levels - 1));
            Fine::Ok(())
        };
        group.spawn(member).unwrap();
    }
    grow(&group, &count, 4);
    group.wait().unwrap();
    assert_eq!(count.load(SeqCst), 31, "wait waits for all that came in meanwhile");
}

#[test]
fn everything_is_send_sync_and_unwind_safe() {
    fn anywhere<T: Send + Sync + UnwindSafe + RefUnwindSafe + std::fmt::Debug + 'static>() {}
    anywhere::<Group>();
    anywhere::<Join>();
    anywhere::<Task<std::future::Ready<Fine>>>();
    anywhere::<SpawnError>();
    anywhere::<Panicked>();
    fn unpin<T: Unpin>() {}
    unpin::<Join>();
    unpin::<Task<std::future::Ready<Fine>>>();
}

#[test]
fn debug_tells_who_is_in() {
    let group = group().limit(1);
    let mut tasks = [(); 3].map(|()| Box::pin(group.task(pending::<Fine>())));
    tasks.iter_mut().take(2).for_each(|task| assert!(poll(task.as_mut()).is_pending()));
    let shown = format!("{group:?}");
    assert!(shown.contains("members: 3, running: 1, limit: 1, waited_for: false"), "{shown}");
    let states: HashSet<_> =
        tasks.iter().map(|task| format!("{task:?}").split(',').next().unwrap().to_owned()).collect();
    let expected = ["runs", "waits for the limit", "not started"].map(|state| format!("Task {{ state: {state}"));
    assert_eq!(states, HashSet::from(expected));
}

#[test]
fn refusals_convert_and_explain_themselves() {
    let ended = SpawnError::Ended(Cause::from("why"));
    assert_eq!(ended.to_string(), "the group has ended");
    assert_eq!(ended.source().unwrap().to_string(), "why");
    assert_eq!(Cause::from(ended).to_string(), "why");
    let full = SpawnError::Full;
    assert!(full.source().is_none());
    assert!(matches!(Cause::from(full).downcast_ref(), Some(SpawnError::Full)));
}
