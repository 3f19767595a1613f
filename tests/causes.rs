//! The rules of causes: what is seen of whoever ended a context.
#![cfg(not(feature = "loom"))]

mod common;

use common::*;
use ripcord::{Cause, Context, Error};
use std::io;
use std::time::Duration;

#[test]
fn c1_a_plain_cancel_gives_canceled_and_says_so() {
    let (ctx, handle) = Context::background().with_cancel();
    handle.cancel();
    assert_ended(&ctx, Error::Canceled, "context canceled");
    assert_eq!(ctx.cause().unwrap().downcast_ref::<Error>(), Some(&Error::Canceled));
}

#[test]
fn c1_cancel_cause_keeps_the_error_itself() {
    let (ctx, handle) = Context::background().with_cancel();
    handle.cancel_cause(oops(11));
    assert_ended(&ctx, Error::Canceled, "oops 11");
    let cause = ctx.cause().unwrap();
    assert_eq!(cause.downcast_ref::<Oops>(), Some(&Oops(11)));
    assert!(cause.downcast_ref::<Error>().is_none());
    assert!(cause.downcast_ref::<io::Error>().is_none());
}

#[test]
fn c1_every_kind_of_cause_is_accepted() {
    let boxed: Box<dyn std::error::Error + Send + Sync> = Box::new(Oops(2));
    let causes: Vec<(Cause, &str)> = vec![
        ("a text".into(), "a text"),
        (String::from("a string").into(), "a string"),
        (boxed.into(), "oops 2"),
        (Error::Canceled.into(), "context canceled"),
        (().into(), "context canceled"),
        (Cause::new(io::Error::other("disk")), "disk"),
    ];
    for (cause, text) in causes {
        let (ctx, handle) = Context::background().with_cancel();
        handle.cancel_cause(cause);
        assert_ended(&ctx, Error::Canceled, text);
    }
    let (ctx, handle) = Context::background().with_cancel();
    let boxed: Box<dyn std::error::Error + Send + Sync> = Box::new(Oops(2));
    handle.cancel_cause(boxed);
    assert_eq!(oops_of(&ctx), Some(2), "a boxed error is found as what it was");
}

#[test]
fn c1_err_stays_canceled_even_for_a_cause_that_was_a_missed_deadline() {
    let (late, _late) = Context::background().with_deadline_cause(past(), oops(1));
    let (ctx, handle) = Context::background().with_cancel();
    handle.cancel_cause(late.cause().unwrap());
    assert_ended(&ctx, Error::Canceled, "oops 1");
    assert_eq!(oops_of(&ctx), Some(1));
    assert_eq!(late.cause().unwrap().error(), Error::DeadlineExceeded, "the first context keeps its own");

    let (ctx, handle) = Context::background().with_cancel();
    handle.cancel_cause(Error::DeadlineExceeded);
    assert_ended(&ctx, Error::Canceled, "context deadline exceeded");
    assert_eq!(ctx.cause().unwrap().downcast_ref::<Error>(), Some(&Error::DeadlineExceeded));
}

#[test]
fn c2_an_own_deadline_gives_deadline_exceeded() {
    for (ctx, _handle) in
        [Context::background().with_deadline(past()), Context::background().with_timeout(Duration::from_millis(1))]
    {
        assert_eq!(wait_for(&ctx), Error::DeadlineExceeded);
        assert_ended(&ctx, Error::DeadlineExceeded, "context deadline exceeded");
        assert_eq!(ctx.cause().unwrap().downcast_ref::<Error>(), Some(&Error::DeadlineExceeded));
    }
}

#[test]
fn c2_the_cause_of_a_deadline_is_used_when_it_fires() {
    let contexts = [
        Context::background().with_deadline_cause(past(), oops(3)),
        Context::background().with_timeout_cause(Duration::ZERO, oops(3)),
        Context::background().with_timeout_cause(Duration::from_millis(1), oops(3)),
    ];
    for (ctx, _handle) in &contexts {
        assert_eq!(wait_for(ctx), Error::DeadlineExceeded);
        assert_ended(ctx, Error::DeadlineExceeded, "oops 3");
        assert_eq!(oops_of(ctx), Some(3));
    }
}

#[test]
fn c2_the_cause_of_a_deadline_is_used_for_nothing_else() {
    let (parent, parent_handle) = Context::background().with_cancel();
    let (by_own, own) = parent.with_timeout_cause(Duration::from_secs(3600), oops(3));
    let (by_own_cause, own_cause) = parent.with_deadline_cause(far(), oops(3));
    let (by_parent, _by_parent) = parent.with_deadline_cause(far(), oops(3));
    own.cancel();
    own_cause.cancel_cause("mine");
    parent_handle.cancel_cause("parent");
    assert_ended(&by_own, Error::Canceled, "context canceled");
    assert_ended(&by_own_cause, Error::Canceled, "mine");
    assert_ended(&by_parent, Error::Canceled, "parent");
}

#[test]
fn c2_the_cause_of_a_deadline_follows_it_when_it_moves() {
    let (ctx, handle) = Context::background().with_deadline_cause(far(), oops(3));
    assert!(handle.reset_timeout(Duration::MAX));
    assert!(handle.reset_deadline(far()));
    assert!(handle.reset_timeout(Duration::from_millis(2)));
    assert_eq!(wait_for(&ctx), Error::DeadlineExceeded);
    assert_ended(&ctx, Error::DeadlineExceeded, "oops 3");
}

#[test]
fn c3_descendants_report_the_ancestor_that_ended_them() {
    let (root, handle) = Context::background().with_cancel();
    let (middle, _middle) = root.with_deadline_cause(far(), "middle is late");
    let leaf = middle.with_value(1u8).with_cancel().0.with_cancel_on(std::future::pending::<()>()).0;
    handle.cancel_cause(oops(1));
    for ctx in [&root, &middle, &leaf] {
        assert_ended(ctx, Error::Canceled, "oops 1");
        assert_eq!(oops_of(ctx), Some(1));
    }

    let (root, handle) = Context::background().with_deadline_cause(far(), oops(2));
    let leaf = root.with_cancel().0.with_timeout_cause(Duration::from_secs(7200), "leaf is late").0;
    assert!(handle.reset_deadline(past()));
    assert_ended(&leaf, Error::DeadlineExceeded, "oops 2");
}

#[test]
fn c3_a_cause_outlives_every_context_that_bore_it() {
    let (root, handle) = Context::background().with_cancel();
    let leaf = root.with_cancel().0.with_cancel().0;
    drop(root);
    handle.cancel_cause(oops(6));
    drop(handle);
    let cause = leaf.cause().unwrap();
    drop(leaf);
    assert_eq!(cause.downcast_ref::<Oops>(), Some(&Oops(6)));
    assert_eq!((cause.to_string().as_str(), cause.error()), ("oops 6", Error::Canceled));
}

#[test]
fn c3_a_child_canceled_first_keeps_its_own_cause() {
    let (root, root_handle) = Context::background().with_cancel();
    let (child, child_handle) = root.with_cancel();
    let below = child.with_cancel().0;
    let late = child.with_deadline_cause(far(), "late").0;
    child_handle.cancel_cause(oops(1));
    root_handle.cancel_cause(oops(2));
    for ctx in [&child, &below, &late] {
        assert_ended(ctx, Error::Canceled, "oops 1");
    }
    assert_ended(&root, Error::Canceled, "oops 2");
    assert_ended(&child.with_cancel().0, Error::Canceled, "oops 1");
}

#[test]
fn c3_all_shares_of_a_cause_are_the_same_error() {
    let (root, handle) = Context::background().with_cancel();
    let leaf = root.with_cancel().0;
    handle.cancel_cause(oops(7));
    let (a, b, c) = (root.cause().unwrap(), leaf.cause().unwrap(), leaf.cause().unwrap().clone());
    let at = |cause: &Cause| std::ptr::from_ref(cause.downcast_ref::<Oops>().unwrap());
    assert_eq!(at(&a), at(&b));
    assert_eq!(at(&b), at(&c));
}

#[test]
fn c4_the_kind_of_a_cause_never_needs_a_downcast() {
    let (canceled, handle) = Context::background().with_cancel();
    handle.cancel_cause(oops(1));
    let (late, _late) = Context::background().with_timeout_cause(Duration::ZERO, oops(1));
    for (ctx, error) in [(&canceled, Error::Canceled), (&late, Error::DeadlineExceeded)] {
        let below = ctx.with_cancel().0.with_value(0u8);
        for ctx in [ctx, &below] {
            let cause = ctx.cause().unwrap();
            assert_eq!(cause.error(), error);
            assert_eq!(cause.clone().error(), error);
            assert_eq!(ctx.err(), Some(error));
            assert_eq!(cause.error().is_timeout(), error == Error::DeadlineExceeded);
        }
    }
}
