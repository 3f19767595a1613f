//! The rules of who keeps what alive.
#![cfg(not(feature = "loom"))]

mod common;

use common::*;
use ripcord::{CancelHandle, Context, Error};
use std::panic::catch_unwind;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

#[test]
fn o1_dropping_every_handle_releases_a_live_context_at_once() {
    let (root, _root) = Context::background().with_cancel();
    let (other, _other) = Context::background().with_cancel();
    type Make<'a> = Box<dyn Fn() -> (Context, CancelHandle) + 'a>;
    let makers: Vec<(&str, Make<'_>)> = vec![
        ("with_cancel", Box::new(|| root.with_cancel())),
        ("with_deadline", Box::new(|| root.with_deadline(far()))),
        ("with_cancel_from", Box::new(|| root.with_cancel_from(&other))),
        ("with_cancel_on", Box::new(|| root.with_cancel_on(std::future::pending::<()>()))),
        ("rootless", Box::new(|| Context::background().with_timeout(Duration::from_secs(3600)))),
        ("detached", Box::new(|| root.without_cancel().with_cancel())),
    ];
    for (kind, make) in makers {
        let value = Tale::new();
        let (ctx, handle) = make();
        let seen = ctx.with_value(value.probe());
        let clone = seen.clone();
        let done = seen.clone().into_done();
        drop((ctx, handle));
        drop(seen);
        drop(clone);
        assert_eq!(value.drops(), 0, "{kind}: a done future is a handle too");
        drop(done);
        assert_eq!(value.drops(), 1, "{kind}");
        assert_live(&root);
    }
}

#[test]
fn o1_a_foreign_future_goes_with_its_context() {
    let (foreign, future) = Foreign::<()>::new();
    let (ctx, handle) = Context::background().with_cancel_on(future);
    drop(ctx);
    assert!(!foreign.dropped(), "the handle is still there");
    drop(handle);
    assert!(foreign.dropped());
    foreign.complete(());
}

#[test]
fn o1_handles_are_dropped_on_any_thread_in_any_order() {
    let mut random = Random::new(1);
    for _ in 0..stress(30) {
        let value = Tale::new();
        let (root, handle) = Context::background().with_cancel();
        let mut all: Vec<Context> = vec![root.with_value(value.probe())];
        for _ in 0..200 {
            let parent = &all[random.below(all.len())];
            let child = match random.below(5) {
                0 => parent.with_value(1u8),
                1 => parent.with_deadline(far()).0,
                2 => parent.with_cancel_from(&root).0,
                _ => parent.with_cancel().0,
            };
            all.push(child);
        }
        random.shuffle(&mut all);
        let half = all.split_off(100);
        let start = Barrier::new(3);
        thread::scope(|scope| {
            for part in [all, half] {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    drop(part);
                });
            }
            start.wait();
            handle.cancel();
        });
        drop(root);
        assert_eq!(value.drops(), 1);
    }
}

#[test]
fn o2_a_relay_passes_the_end_of_an_ancestor_on() {
    let (root, handle) = Context::background().with_cancel();
    let leaf = root.with_cancel().0.with_value(1u8).with_deadline(far()).0.with_cancel().0;
    drop(root);
    assert_live(&leaf);
    handle.cancel_cause(oops(2));
    drop(handle);
    assert_ended(&leaf, Error::Canceled, "oops 2");
}

#[test]
fn o2_a_relays_own_deadline_still_reaches_the_children() {
    let leaf = Context::background().with_timeout_cause(Duration::from_millis(5), "relay").0.with_cancel().0;
    assert!(leaf.deadline().is_some());
    assert_eq!(wait_for(&leaf), Error::DeadlineExceeded);
    assert_ended(&leaf, Error::DeadlineExceeded, "relay");
}

#[test]
fn o2_a_relay_without_anything_left_to_say_keeps_its_children_live() {
    let leaf = Context::background().with_cancel().0.with_cancel().0;
    assert_live(&leaf);
    let (below, handle) = leaf.with_cancel();
    handle.cancel();
    assert_canceled(&below);
    assert_live(&leaf);
}

#[test]
fn o2_relays_of_merges_and_foreign_parents_reach_the_children() {
    let (root, root_handle) = Context::background().with_cancel();
    let (other, other_handle) = Context::background().with_cancel();
    let by_self = root.with_cancel_from(&other).0.with_cancel().0;
    let detached = Context::background().with_cancel_from(&other.with_cancel().0).0.with_cancel().0;
    let (foreign, future) = Foreign::<&'static str>::new();
    let by_future = root.with_cancel_on(future).0.with_cancel().0;
    assert!(!foreign.dropped(), "the child still depends on the future");
    foreign.complete("foreign");
    assert_ended(&by_future, Error::Canceled, "foreign");
    other_handle.cancel_cause("other");
    assert_ended(&detached, Error::Canceled, "other");
    assert_ended(&by_self, Error::Canceled, "other");
    root_handle.cancel();
    assert_ended(&by_self, Error::Canceled, "other");
}

#[test]
fn o2_the_last_child_takes_the_relays_with_it() {
    let value = Tale::new();
    let (foreign, future) = Foreign::<()>::new();
    let (root, _root) = Context::background().with_cancel();
    let relay = root.with_cancel_on(future).0.with_value(value.probe());
    let leaves: Vec<_> = (0..30).map(|_| relay.with_cancel().0.with_cancel().0).collect();
    drop(relay);
    for leaf in leaves {
        assert_eq!(value.drops(), 0);
        assert!(!foreign.dropped());
        drop(leaf);
    }
    assert_eq!(value.drops(), 1);
    assert!(foreign.dropped());
}

#[test]
fn o2_relays_and_cancels_race() {
    for _ in 0..stress(200) {
        let value = Tale::new();
        let (root, handle) = Context::background().with_cancel();
        let relay = root.with_value(value.probe()).with_cancel().0;
        let leaf = relay.with_cancel().0;
        let second = relay.with_deadline(far()).0;
        let start = Barrier::new(3);
        thread::scope(|scope| {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                drop(relay);
            });
            scope.spawn(move || {
                start.wait();
                drop(second);
            });
            start.wait();
            handle.cancel_cause(oops(3));
        });
        assert_ended(&leaf, Error::Canceled, "oops 3");
        drop((root, leaf));
        assert_eq!(value.drops(), 1);
    }
}

#[test]
fn o3_a_guard_cancels_on_drop_and_a_handle_does_not() {
    let (ctx, handle) = Context::background().with_cancel();
    drop(handle.clone());
    assert_live(&ctx);
    let guard = handle.drop_guard();
    assert_live(&ctx);
    drop(guard);
    assert_canceled(&ctx);

    let (ctx, handle) = Context::background().with_cancel();
    drop(handle);
    assert_live(&ctx);
}

#[test]
fn o3_a_disarmed_guard_gives_the_handle_back() {
    let (ctx, handle) = Context::background().with_cancel();
    let handle = handle.drop_guard().disarm();
    assert_live(&ctx);
    assert_eq!(handle.context(), &ctx);
    handle.cancel();
    assert_canceled(&ctx);
}

#[test]
fn o3_a_guard_cancels_when_its_scope_unwinds() {
    let (ctx, handle) = Context::background().with_cancel();
    let unwound = catch_unwind(|| {
        let _guard = handle.drop_guard();
        std::panic::resume_unwind(Box::new(()));
    });
    assert!(unwound.is_err());
    assert_canceled(&ctx);
}

#[test]
fn o3_a_guard_keeps_the_cause_of_an_earlier_cancel() {
    let (ctx, handle) = Context::background().with_cancel();
    let guard = handle.clone().drop_guard();
    handle.cancel_cause("first");
    drop(guard);
    assert_ended(&ctx, Error::Canceled, "first");
}

#[test]
fn o4_contexts_and_handles_are_equal_by_identity() {
    use std::collections::HashSet;
    let (a, a_handle) = Context::background().with_cancel();
    let (b, b_handle) = Context::background().with_cancel();
    assert_eq!(a, a.clone());
    assert_ne!(a, b);
    assert_ne!(a, a.with_value(1u8));
    assert_ne!(a, a.without_cancel());
    assert_eq!(a_handle, a_handle.clone());
    assert_ne!(a_handle, b_handle);
    assert_eq!(a_handle.context(), &a);
    let contexts: HashSet<Context> =
        [a.clone(), a.clone(), b.clone(), a_handle.context().clone()].into_iter().collect();
    assert_eq!(contexts.len(), 2);
    assert!(contexts.contains(&a) && contexts.contains(&b));
    let handles: HashSet<CancelHandle> = [a_handle.clone(), a_handle, b_handle].into_iter().collect();
    assert_eq!(handles.len(), 2);
}

#[test]
fn o4_the_roots_are_one_context_each() {
    assert_eq!(Context::background(), Context::background());
    assert_eq!(Context::default(), Context::background());
    assert_eq!(Context::todo(), Context::todo());
    assert_ne!(Context::background(), Context::todo());
    assert_live(&Context::background());
    assert_live(&Context::todo());
}

#[test]
fn o4_everything_may_be_used_behind_a_caught_panic() {
    let (ctx, handle) = Context::background().with_cancel();
    let caught = catch_unwind(|| {
        assert!(!ctx.is_done());
        let child = ctx.with_cancel().0;
        handle.cancel();
        assert!(child.is_done());
        std::panic::resume_unwind(Box::new(7u8));
    });
    assert_eq!(caught.unwrap_err().downcast_ref::<u8>(), Some(&7));
    assert_canceled(&ctx);
}
