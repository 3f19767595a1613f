//! The rules of cancelation, one word at a time: when a context is ended, who ended it, and who hears of it.
//! What has to be deep is in `stress/s04_deep.rs`, what races in `cancelation_races.rs`.
#![cfg(not(feature = "loom"))]

mod common;

use common::*;
use ripcord::{Cause, Context, Error};
use std::sync::{Arc, Mutex, mpsc};
use std::task::Poll;
use std::thread;
use std::time::Duration;

/// Every way to derive a context that shares its parent's end.
fn derive_all(parent: &Context) -> Vec<(&'static str, Context)> {
    let live = Context::background();
    vec![
        ("with_cancel", parent.with_cancel().0),
        ("with_deadline", parent.with_deadline(far()).0),
        ("with_deadline_cause", parent.with_deadline_cause(far(), "late").0),
        ("with_timeout", parent.with_timeout(Duration::from_secs(3600)).0),
        ("with_timeout_cause", parent.with_timeout_cause(Duration::from_secs(3600), "late").0),
        ("with_value", parent.with_value(7u32)),
        ("with_cancel_from", parent.with_cancel_from(&live).0),
        ("with_cancel_from, as the other", live.with_cancel_from(parent).0),
        ("with_cancel_on", parent.with_cancel_on(std::future::pending::<()>()).0),
    ]
}

#[test]
fn g1_err_is_none_exactly_while_live_and_then_fixed_for_ever() {
    let (ctx, handle) = Context::background().with_cancel();
    assert_live(&ctx);
    let mut done = ctx.done();
    let (wakes, waker) = Wakes::new();
    assert!(poll_with(&mut done, &waker).is_pending());

    handle.cancel_cause(oops(1));
    assert_ended(&ctx, Error::Canceled, "oops 1");
    assert_eq!(wakes.count(), 1);
    assert_eq!(poll(&mut done), Poll::Ready(Error::Canceled));

    handle.cancel();
    handle.cancel_cause("too late");
    assert!(!handle.reset_deadline(past()));
    for _ in 0..3 {
        assert_ended(&ctx, Error::Canceled, "oops 1");
    }
    assert_eq!(wakes.count(), 1, "a waiter is woken once");
}

#[test]
fn g1_every_view_flips_for_every_kind_of_descendant() {
    let (parent, handle) = Context::background().with_cancel();
    let children = derive_all(&parent);
    for (_, child) in &children {
        assert_live(child);
    }
    handle.cancel_cause(oops(3));
    for (kind, child) in &children {
        assert_eq!(oops_of(child), Some(3), "{kind}");
        assert_ended(child, Error::Canceled, "oops 3");
    }
}

/// One context that four or five parties can end, and the ways they do it; the text is the cause they leave.
type Party = (&'static str, Box<dyn Fn()>);

fn merged_rig() -> (Context, Vec<Party>) {
    let (parent, parent_handle) = Context::background().with_cancel();
    let (other, other_handle) = Context::background().with_cancel();
    let (ctx, own) = parent.with_cancel_from(&other);
    let clock = own.clone();
    (
        ctx,
        vec![
            ("own", Box::new(move || own.cancel_cause("own"))),
            ("parent", Box::new(move || parent_handle.cancel_cause("parent"))),
            ("other", Box::new(move || other_handle.cancel_cause("other"))),
            ("context deadline exceeded", Box::new(move || _ = clock.reset_deadline(past()))),
        ],
    )
}

fn foreign_rig() -> (Context, Vec<Party>) {
    let (parent, parent_handle) = Context::background().with_cancel();
    let (foreign, future) = Foreign::<&'static str>::new();
    let (ctx, own) = parent.with_cancel_on(future);
    let clock = own.clone();
    (
        ctx,
        vec![
            ("own", Box::new(move || own.cancel_cause("own"))),
            ("parent", Box::new(move || parent_handle.cancel_cause("parent"))),
            ("foreign", Box::new(move || foreign.complete("foreign"))),
            ("context deadline exceeded", Box::new(move || _ = clock.reset_timeout(Duration::ZERO))),
        ],
    )
}

#[test]
fn g2_the_first_cancel_wins_whoever_comes_later() {
    for rig in [merged_rig, foreign_rig] {
        for first in 0..4 {
            for second in 0..4 {
                let (ctx, parties) = rig();
                let below = ctx.with_cancel().0;
                (parties[first].1)();
                let winner = parties[first].0;
                let error =
                    if winner == "context deadline exceeded" { Error::DeadlineExceeded } else { Error::Canceled };
                assert_ended(&ctx, error, winner);
                (parties[second].1)();
                assert_ended(&ctx, error, winner);
                assert_ended(&below, error, winner);
            }
        }
    }
}

#[test]
fn g3_when_cancel_returns_the_whole_tree_below_is_ended() {
    let (root, handle) = Context::background().with_cancel();
    let mut all = vec![root.clone()];
    let mut random = Random::new(3);
    for _ in 0..2_000 {
        let parent = &all[random.below(all.len())];
        let other = &all[random.below(all.len())];
        let child = match random.below(6) {
            0 => parent.with_value(1u8),
            1 => parent.with_deadline(far()).0,
            2 => parent.with_cancel_from(other).0,
            3 => Context::background().with_cancel_from(parent).0,
            4 => parent.with_cancel_on(std::future::pending::<()>()).0,
            _ => parent.with_cancel().0,
        };
        all.push(child);
    }
    // Half of the inner contexts live on as relays only.
    let all: Vec<_> = all.into_iter().filter(|_| random.below(2) == 0).collect();
    handle.cancel_cause(oops(9));
    for ctx in &all {
        assert_eq!(oops_of(ctx), Some(9), "{ctx:?}");
        assert_eq!(ctx.err(), Some(Error::Canceled));
    }
}

#[test]
fn g4_a_child_of_an_ended_parent_is_born_ended_with_its_error_and_cause() {
    let (canceled, handle) = Context::background().with_cancel();
    handle.cancel_cause(oops(4));
    let (late, _late) = Context::background().with_deadline_cause(past(), oops(5));
    for (parent, error, number) in [(&canceled, Error::Canceled, 4), (&late, Error::DeadlineExceeded, 5)] {
        for (kind, child) in derive_all(parent) {
            assert_eq!(oops_of(&child), Some(number), "{kind}");
            assert_ended(&child, error, &format!("oops {number}"));
            // Neither its own ways to end nor its own past deadline change that.
            let (grandchild, own) = child.with_deadline_cause(past(), "own");
            own.cancel_cause("own");
            assert!(!own.reset_timeout(Duration::from_secs(1)), "{kind}");
            assert_ended(&grandchild, error, &format!("oops {number}"));
        }
    }
}

#[test]
fn g4_a_born_ended_child_runs_its_callbacks_and_wakes_at_once() {
    let (parent, handle) = Context::background().with_cancel();
    handle.cancel();
    for (kind, child) in derive_all(&parent) {
        let tale = Tale::new();
        let after = child.after_func(tale.function());
        assert!(tale.has_run(), "{kind}");
        assert!(!after.stop(), "{kind}");
        assert_eq!(poll(&mut child.clone().into_done()), Poll::Ready(Error::Canceled), "{kind}");
    }
}

#[test]
fn g5_a_child_hears_of_the_end_exactly_once() {
    let (parent, handle) = Context::background().with_cancel();
    let heard: Vec<_> = derive_all(&parent)
        .into_iter()
        .map(|(kind, child)| {
            let (wakes, waker) = Wakes::new();
            let tale = Tale::new();
            let mut done = child.clone().into_done();
            assert!(poll_with(&mut done, &waker).is_pending());
            drop(child.after_func(tale.function()));
            (kind, wakes, tale, done)
        })
        .collect();
    handle.cancel();
    handle.cancel();
    for (kind, wakes, tale, mut done) in heard {
        assert_eq!(wakes.count(), 1, "{kind}");
        assert!(tale.has_run(), "{kind}");
        assert_eq!(poll(&mut done), Poll::Ready(Error::Canceled), "{kind}");
    }
}

#[test]
fn g6_canceling_a_child_never_touches_parent_or_siblings() {
    let (parent, _parent) = Context::background().with_cancel();
    let (sibling, _sibling) = parent.with_cancel();
    let below_sibling = sibling.with_value("kept");
    let (other, _other) = Context::background().with_cancel();
    let children = [parent.with_cancel(), parent.with_deadline(far()), parent.with_cancel_from(&other)];
    for (n, (child, handle)) in children.iter().enumerate() {
        let n = u32::try_from(n).unwrap();
        handle.cancel_cause(oops(n));
        assert_eq!(oops_of(child), Some(n));
        for untouched in [&parent, &sibling, &below_sibling, &other] {
            assert_live(untouched);
        }
    }
    let (timed, handle) = parent.with_deadline(far());
    assert!(handle.reset_deadline(past()));
    assert_ended(&timed, Error::DeadlineExceeded, "context deadline exceeded");
    assert_live(&parent);
}

#[test]
fn g6_an_ended_or_dropped_child_leaves_nothing_with_its_parent() {
    let (parent, handle) = Context::background().with_cancel();
    for end_first in [false, true] {
        let value = Tale::new();
        let callback = Tale::new();
        let (child, child_handle) = parent.with_cancel();
        let seen = child.with_value(value.probe());
        let after = seen.after_func(callback.function());
        if end_first {
            child_handle.cancel();
            assert!(callback.has_run());
        } else {
            assert!(after.stop());
            assert!(callback.is_dropped_unrun());
        }
        drop((seen, child, child_handle, after));
        assert_eq!(value.drops(), 1, "ended first: {end_first}");
    }
    handle.cancel();
    assert_canceled(&parent);
}

/// What user code may do to the tree it is called from.
fn meddle(root: &Context, parts: &Mutex<Vec<Part>>) {
    assert_eq!(root.err(), Some(Error::Canceled));
    let (child, handle) = root.with_cancel();
    assert_canceled(&child);
    handle.cancel();
    for (_, derived) in derive_all(root) {
        assert!(derived.is_done());
        assert_eq!(derived.wait(), Error::Canceled);
        derived.after_func(|| ());
    }
    let part = parts.lock().unwrap().pop();
    if let Some((ctx, handle, after)) = part {
        assert!(ctx.is_done(), "the whole tree is marked before user code runs");
        after.stop();
        handle.cancel_cause("late");
        ctx.wait();
        drop((after, handle, ctx));
    }
}

type Part = (Context, ripcord::CancelHandle, ripcord::AfterFunc);

fn parts_of(root: &Context, n: usize) -> Arc<Mutex<Vec<Part>>> {
    let parts = (0..n).map(|_| root.with_cancel()).map(|(ctx, handle)| {
        let after = ctx.after_func(|| ());
        (ctx, handle, after)
    });
    Arc::new(Mutex::new(parts.collect()))
}

#[test]
fn g7_callbacks_may_use_the_tree_they_are_called_from() {
    within_a_minute(|| {
        let (root, handle) = Context::background().with_cancel();
        let parts = parts_of(&root, 40);
        let runs = Tale::new();
        for _ in 0..40 {
            let (ctx, again, parts, probe) = (root.clone(), handle.clone(), parts.clone(), runs.clone());
            root.with_cancel().0.after_func(move || {
                again.cancel_cause("again");
                meddle(&ctx, &parts);
                probe.probe().run();
            });
        }
        handle.cancel();
        assert_eq!(runs.runs(), 40);
        assert_canceled(&root);
        assert!(parts.lock().unwrap().is_empty());
    });
}

#[test]
fn g7_wakers_may_use_the_tree_they_are_called_from() {
    within_a_minute(|| {
        let (root, handle) = Context::background().with_cancel();
        let parts = parts_of(&root, 40);
        let (tell, told) = mpsc::channel();
        let mut waiting = Vec::new();
        for _ in 0..40 {
            let (ctx, again, parts, tell) = (root.clone(), handle.clone(), parts.clone(), tell.clone());
            let waker = waker_fn(move || {
                again.cancel();
                meddle(&ctx, &parts);
                tell.send(()).unwrap();
            });
            let mut done = root.with_cancel().0.into_done();
            assert!(poll_with(&mut done, &waker).is_pending());
            waiting.push(done);
        }
        handle.cancel();
        assert_eq!(told.try_iter().count(), 40);
        drop(waiting);
    });
}

#[test]
fn g7_drops_of_functions_and_futures_may_use_the_tree() {
    struct Meddler(Context, ripcord::CancelHandle, mpsc::Sender<()>);
    impl Drop for Meddler {
        fn drop(&mut self) {
            self.1.cancel();
            let (child, handle) = self.0.with_cancel();
            assert!(child.is_done());
            handle.cancel();
            self.0.with_cancel_on(std::future::ready("late")).1.cancel();
            self.2.send(()).unwrap();
        }
    }
    within_a_minute(|| {
        let (tell, told) = mpsc::channel();
        let (root, handle) = Context::background().with_cancel();
        let meddler = |tell: &mpsc::Sender<()>| Meddler(root.clone(), handle.clone(), tell.clone());

        let unrun = meddler(&tell);
        let after = root.with_cancel().0.after_func(move || drop(unrun));
        let carried = meddler(&tell);
        let foreign = root.with_cancel_on(async move {
            std::future::pending::<()>().await;
            drop(carried);
        });
        // The function is dropped unrun; its drop ends the root, and that drops the future, whose drop meddles in turn.
        assert!(after.stop());
        assert_eq!(told.try_iter().count(), 2);
        assert_canceled(&root);
        drop(foreign);
        assert_eq!(told.try_iter().count(), 0);
    });
}

#[test]
fn g8_a_panicking_callback_strands_nobody_and_resurfaces() {
    let (root, handle) = Context::background().with_cancel();
    let tales: Vec<_> = (0..9).map(|_| Tale::new()).collect();
    let mut children = Vec::new();
    for (n, tale) in tales.iter().enumerate() {
        let (child, child_handle) = if n % 2 == 0 { root.with_cancel() } else { root.with_deadline(far()) };
        let function = tale.function();
        child.after_func(move || {
            function();
            if n % 3 == 1 {
                panic!("callback {n}");
            }
        });
        children.push((child, child_handle));
    }
    let text = panic_of(|| handle.cancel_cause(oops(8)));
    assert!(["callback 1", "callback 4", "callback 7"].contains(&text.as_str()), "{text}");
    for (tale, (child, _)) in tales.iter().zip(&children) {
        assert!(tale.has_run());
        assert_eq!(oops_of(child), Some(8));
    }
    handle.cancel();
    drop(root);
}

#[test]
fn g8_a_panicking_waker_strands_nobody_and_resurfaces() {
    let (root, handle) = Context::background().with_cancel();
    let mut waiting = Vec::new();
    let mut counts = Vec::new();
    for n in 0..9 {
        let mut done = root.with_cancel().0.into_done();
        if n % 3 == 1 {
            assert!(poll_with(&mut done, &waker_fn(|| panic!("waker"))).is_pending());
        } else {
            let (wakes, waker) = Wakes::new();
            assert!(poll_with(&mut done, &waker).is_pending());
            counts.push(wakes);
        }
        waiting.push(done);
    }
    assert_eq!(panic_of(|| handle.cancel()), "waker");
    for wakes in counts {
        assert_eq!(wakes.count(), 1);
    }
    for mut done in waiting {
        assert_eq!(poll(&mut done), Poll::Ready(Error::Canceled));
    }
    handle.cancel();
    assert_canceled(&root);
}

#[test]
fn g8_a_callback_that_panics_at_registration_resurfaces_there() {
    let (ctx, handle) = Context::background().with_cancel();
    handle.cancel();
    assert_eq!(panic_of(|| ctx.after_func(|| panic!("at once"))), "at once");
    assert_canceled(&ctx);
}

#[test]
fn g10_nothing_blocks_while_a_fan_out_is_stuck_in_user_code() {
    within_a_minute(|| {
        let (root, handle) = Context::background().with_cancel();
        let (child, child_handle) = root.with_cancel();
        let (stuck, is_stuck) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        root.after_func(move || {
            stuck.send(()).unwrap();
            released.recv().unwrap();
        });
        thread::scope(|scope| {
            scope.spawn(|| handle.cancel_cause(oops(10)));
            is_stuck.recv().unwrap();
            assert_eq!(oops_of(&root), Some(10));
            assert_ended(&child, Error::Canceled, "oops 10");
            for (_, derived) in derive_all(&child) {
                assert_ended(&derived, Error::Canceled, "oops 10");
            }
            child_handle.cancel();
            handle.cancel_cause(Cause::from("second"));
            assert_eq!(root.with_value(1u8).value::<u8>(), Some(&1));
            let tale = Tale::new();
            root.after_func(tale.function());
            assert!(tale.has_run());
            release.send(()).unwrap();
        });
    });
}
