//! Rule O4: what every public type may do anywhere.
#![cfg(not(feature = "loom"))]

use ripcord::budget::{Backoff, Failure, Hedge, Retry, RetryBudget, Sleep};
use ripcord::group::{Join, Panicked, SpawnError, Task};
use ripcord::shutdown::{self, Guard, Overdue, Report, Tracker};
use ripcord::{
    AfterFunc, CancelGuard, CancelHandle, Cause, Config, Context, Done, DoneOwned, Error, Group, Run, Shutdown,
};
use std::fmt::{Debug, Display};
use std::future::Future;
use std::hash::Hash;
use std::panic::{RefUnwindSafe, UnwindSafe};

fn anywhere<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe + Debug>() {}
fn forever<T: 'static>() {}
fn same<T: Clone + Eq + Hash>() {}
fn error<T: std::error::Error + Clone + Display>() {}
fn future<T: Future<Output = Error> + Unpin>() {}

#[test]
fn o4_everything_public_is_send_sync_unpin_and_unwind_safe() {
    anywhere::<Context>();
    anywhere::<CancelHandle>();
    anywhere::<CancelGuard>();
    anywhere::<Error>();
    anywhere::<Cause>();
    anywhere::<Done<'_>>();
    anywhere::<DoneOwned>();
    anywhere::<Run<'_, std::future::Ready<u8>>>();
    anywhere::<AfterFunc>();
    anywhere::<Option<Context>>();
    anywhere::<Config>();
    anywhere::<Group>();
    anywhere::<Join>();
    anywhere::<SpawnError>();
    anywhere::<Panicked>();
    anywhere::<RetryBudget>();
    anywhere::<Backoff>();
    anywhere::<Retry>();
    anywhere::<Hedge>();
    anywhere::<Sleep>();
    anywhere::<Failure<Cause>>();
    anywhere::<Shutdown>();
    anywhere::<Tracker>();
    anywhere::<Guard>();
    anywhere::<shutdown::Join>();
    anywhere::<Report>();
    anywhere::<Overdue>();
    anywhere::<Task<std::future::Ready<Result<u8, Cause>>>>();
}

#[test]
fn o4_everything_but_a_borrowed_wait_is_static() {
    forever::<Context>();
    forever::<CancelHandle>();
    forever::<CancelGuard>();
    forever::<Error>();
    forever::<Cause>();
    forever::<DoneOwned>();
    forever::<AfterFunc>();
    forever::<Config>();
    forever::<Done<'static>>();
    forever::<Group>();
    forever::<Join>();
}

#[test]
fn contexts_handles_and_errors_compare_and_hash() {
    same::<Context>();
    same::<CancelHandle>();
    same::<Error>();
}

#[test]
fn errors_are_errors_and_waits_are_futures() {
    error::<Error>();
    error::<Cause>();
    future::<Done<'_>>();
    future::<DoneOwned>();
    fn displays<T: Display + Default>() {}
    displays::<Context>();
}

/// What a spawned task must be: the future of `run` is `Send` when the future inside is.
#[test]
fn o4_the_future_of_run_is_send_and_borrows_only_the_context() {
    fn sendable<T: Send>(future: T) -> T {
        future
    }
    let ctx = Context::background();
    drop(sendable(ctx.run(async { 1 })));
    drop(sendable(async { ctx.done().await }));
    fn spawnable<T: Future + Send + 'static>(_: T) {}
    let moved = ctx.clone();
    spawnable(async move { moved.run(std::future::ready(())).await });
    spawnable(ctx.into_done());
}
