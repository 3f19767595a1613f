//! Tokens and contexts, in both directions, on both kinds of tokio runtime and on none.
#![cfg(not(feature = "loom"))]

mod common;

use common::*;
use ripcord::tokio::{FutureExt, TokenCanceled};
use ripcord::{Context, Error};
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

/// Runs the same test on both kinds of runtime.
fn on_both<F: Future<Output = ()>>(test: impl Fn() -> F) {
    let runtimes: [Runtime; 2] = [
        Builder::new_current_thread().enable_time().build().unwrap(),
        Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap(),
    ];
    for runtime in runtimes {
        runtime.block_on(async {
            tokio::time::timeout(Duration::from_secs(60), test()).await.expect("hangs: not back within a minute");
        });
    }
}

fn says_token(ctx: &Context) -> bool {
    ctx.cause().is_some_and(|cause| cause.downcast_ref::<TokenCanceled>().is_some())
}

#[test]
fn a_context_follows_a_token_without_any_runtime() {
    let token = CancellationToken::new();
    let (parent, _parent) = Context::background().with_cancel();
    let (ctx, _handle) = parent.with_cancel_token(token.clone());
    let (below, _below) = ctx.with_cancel();
    assert_live(&ctx);
    token.cancel();
    assert_ended(&ctx, Error::Canceled, "cancellation token canceled");
    assert!(says_token(&below));
    assert_live(&parent);
}

#[test]
fn a_context_made_of_a_canceled_token_is_ended() {
    let token = CancellationToken::new();
    token.cancel();
    assert!(says_token(&Context::from(&token)));
    assert!(says_token(&Context::from(token.child_token())));
    let (parent, handle) = Context::background().with_cancel();
    handle.cancel_cause("parent first");
    let (ctx, _handle) = parent.with_cancel_token(token);
    assert_ended(&ctx, Error::Canceled, "parent first");
}

#[test]
fn a_context_follows_the_parent_of_its_token() {
    let root = CancellationToken::new();
    let contexts: Vec<_> = (0..100).map(|_| Context::from(root.child_token())).collect();
    let deep = Context::from(root.child_token().child_token().child_token());
    root.cancel();
    assert!(contexts.iter().chain([&deep]).all(says_token));
}

#[test]
fn canceling_the_context_leaves_the_token_alone() {
    let token = CancellationToken::new();
    let (ctx, handle) = Context::background().with_cancel_token(token.clone());
    handle.cancel();
    assert_canceled(&ctx);
    assert!(!token.is_cancelled());
    token.cancel();
    assert_canceled(&ctx);
}

#[test]
fn a_context_that_is_gone_keeps_nothing_of_its_token() {
    let tale = Tale::new();
    let token = CancellationToken::new();
    for _ in 0..100 {
        let following = Context::background().with_value(tale.probe()).with_cancel_token(token.clone());
        drop(following);
    }
    assert_eq!(tale.drops(), 100, "the token's list of waiters does not keep the contexts");
    // What is kept until the token is canceled is a function, and with it the context: it can still end.
    let after = Context::from(&token).after_func(tale.function());
    assert_eq!((tale.runs(), tale.drops()), (0, 100));
    token.cancel();
    assert_eq!((tale.runs(), tale.drops()), (1, 101));
    assert!(!after.stop());
}

#[test]
fn functions_of_a_following_context_may_use_the_tokens() {
    let root = CancellationToken::new();
    let token = root.child_token();
    let ctx = Context::from(&token);
    let (inner, seen) = (token.clone(), root.clone());
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    ctx.after_func(move || {
        assert!(inner.is_cancelled() && seen.is_cancelled());
        assert!(seen.child_token().is_cancelled());
        inner.cancel();
        seen.cancel();
        count.fetch_add(1, SeqCst);
    });
    within_a_minute(move || root.cancel());
    assert_eq!(calls.load(SeqCst), 1);
}

#[test]
fn a_token_follows_a_context() {
    let (parent, handle) = Context::background().with_cancel();
    let (ctx, own) = parent.with_cancel();
    let token = ctx.cancel_token();
    let child = token.child_token();
    let raw = CancellationToken::from(&ctx);
    assert!(!token.is_cancelled() && !child.is_cancelled() && !raw.is_cancelled());
    handle.cancel();
    assert!(token.is_cancelled() && child.is_cancelled() && raw.is_cancelled());
    drop(own);
    assert!(CancellationToken::from(&ctx).is_cancelled(), "born canceled");
    assert!(ctx.cancel_token().is_cancelled());
}

#[test]
fn a_token_follows_a_deadline() {
    let token = CancellationToken::from(Context::background().with_timeout(Duration::from_millis(5)).0);
    eventually("the deadline", || token.is_cancelled());
}

#[test]
fn canceling_a_following_token_leaves_the_context_alone() {
    let (ctx, _handle) = Context::background().with_cancel();
    let token = ctx.cancel_token();
    token.cancel();
    assert!(token.is_cancelled());
    assert_live(&ctx);
}

#[test]
fn a_following_token_costs_the_context_nothing_once_it_is_gone() {
    let tale = Tale::new();
    let (server, shutdown) = Context::background().with_cancel();
    for _ in 0..100 {
        // A relay that only the token's registration keeps.
        let (request, _handle) = server.with_value(tale.probe()).with_cancel();
        let token = request.cancel_token();
        let clone = token.clone();
        drop(request);
        drop(token);
        assert!(!clone.is_cancelled());
    }
    assert_eq!(tale.drops(), 100, "the registration goes with the last clone");
    shutdown.cancel();
}

#[test]
fn a_raw_token_on_a_context_that_cannot_end_is_let_go_at_once() {
    let tale = Tale::new();
    let token = {
        let (ctx, _handle) = Context::background().with_value(tale.probe()).with_cancel();
        CancellationToken::from(ctx)
    };
    assert_eq!(tale.drops(), 1);
    assert!(!token.is_cancelled());
    assert!(!CancellationToken::from(Context::background()).is_cancelled());
}

#[test]
fn tasks_wait_on_either_side() {
    on_both(|| async {
        let token = CancellationToken::new();
        let ctx = Context::from(&token);
        let other = Context::background().with_cancel();
        let follower = other.0.cancel_token();
        let waiting = [
            tokio::spawn(async move { ctx.into_done().await }),
            tokio::spawn(async move {
                follower.cancelled().await;
                Error::Canceled
            }),
        ];
        tokio::task::yield_now().await;
        token.cancel();
        other.1.cancel();
        for task in waiting {
            assert_eq!(task.await.unwrap(), Error::Canceled);
        }
    });
}

#[test]
fn with_context_ends_with_either() {
    on_both(|| async {
        let (ctx, handle) = Context::background().with_cancel();
        assert_eq!(async { 7 }.with_context(&ctx).await, Ok(7));
        let tale = Tale::new();
        let probe = tale.probe();
        let task = tokio::spawn(
            async move {
                let _probe = probe;
                pending::<()>().await;
            }
            .with_context_owned(ctx.clone()),
        );
        tokio::task::yield_now().await;
        handle.cancel();
        assert_eq!(task.await.unwrap(), Err(Error::Canceled));
        assert_eq!(tale.drops(), 1);
        let late = Context::background().with_timeout(Duration::from_millis(3)).0;
        assert_eq!(tokio::time::sleep(Duration::from_secs(60)).with_context(&late).await, Err(Error::DeadlineExceeded));
        let unpolled = async { assert!(!late.is_done(), "polled after the end") };
        assert_eq!(unpolled.with_context(&late).await, Err(Error::DeadlineExceeded));
    });
}

/// More than a scheduling budget's worth of tokens, canceled from inside a task.
#[test]
fn a_task_that_has_used_up_its_budget_cancels_all_the_same() {
    on_both(|| async {
        let (send, mut receive) = tokio::sync::mpsc::unbounded_channel();
        (0..1_000).for_each(|n| send.send(n).unwrap());
        let task = tokio::spawn(async move {
            let mut ended = 0;
            for _ in 0..1_000 {
                receive.recv().await.unwrap();
                let token = CancellationToken::new();
                let ctx = Context::from(&token);
                token.cancel();
                ended += u32::from(says_token(&ctx));
            }
            ended
        });
        assert_eq!(task.await.unwrap(), 1_000);
    });
}

/// Tokens canceled, contexts canceled and dropped, all at once, from several threads.
#[test]
fn cancels_from_both_sides_and_drops_race() {
    within_a_minute(|| {
        for round in 0..stress(1_000) {
            let token = CancellationToken::new();
            let (ctx, handle) = Context::background().with_cancel_token(token.clone());
            let follower = ctx.cancel_token();
            let raw = CancellationToken::from(&ctx);
            let threads = [
                thread::spawn(move || token.cancel()),
                thread::spawn(move || if round % 2 == 0 { handle.cancel() } else { drop(handle) }),
                thread::spawn(move || if round % 3 == 0 { drop(follower) } else { follower.cancel() }),
            ];
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!(ctx.err(), Some(Error::Canceled));
            eventually("the token follows", || raw.is_cancelled());
        }
    });
}
