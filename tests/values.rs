//! The rules of values and of detaching from them only what ends.
#![cfg(not(feature = "loom"))]

mod common;

use common::*;
use ripcord::{Context, Error};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread;

#[derive(Debug, PartialEq)]
struct RequestId(u64);

#[derive(Debug, PartialEq)]
struct User(&'static str);

/// A type apart for every number.
#[derive(Debug, PartialEq)]
struct Key<const N: usize>(usize);

#[test]
fn v1_the_nearest_binding_of_a_type_wins() {
    let outer = Context::background().with_value(RequestId(1)).with_value(User("ann"));
    let (middle, _handle) = outer.with_cancel();
    let inner = middle.with_value(RequestId(2));
    let leaf = inner.with_deadline(far()).0.with_cancel().0;
    for ctx in [&outer, &middle] {
        assert_eq!(ctx.value(), Some(&RequestId(1)));
        assert_eq!(ctx.value(), Some(&User("ann")));
    }
    for ctx in [&inner, &leaf] {
        assert_eq!(ctx.value(), Some(&RequestId(2)));
        assert_eq!(ctx.value(), Some(&User("ann")));
    }
}

#[test]
fn v1_an_unknown_type_gives_none() {
    let ctx = Context::background().with_value(1u32).with_value("text").with_value(String::from("string"));
    assert_eq!(ctx.value::<u32>(), Some(&1));
    assert_eq!(ctx.value::<&'static str>(), Some(&"text"));
    assert_eq!(ctx.value::<String>().unwrap(), "string");
    assert_eq!(ctx.value::<i32>(), None);
    assert_eq!(ctx.value::<RequestId>(), None);
    for rootlike in [Context::background(), Context::todo(), Context::background().with_cancel().0] {
        assert_eq!(rootlike.value::<u32>(), None);
    }
}

/// Sixty-four types in one chain, half of them twice, cancel contexts in between.
#[test]
fn v1_long_chains_of_many_types_are_told_apart() {
    macro_rules! bind {
        ($ctx:ident, $offset:expr, $($n:literal)*) => { $( $ctx = $ctx.with_value(Key::<$n>($n + $offset)); $ctx = $ctx.with_cancel().0; )* };
    }
    macro_rules! check {
        ($ctx:ident, $offset:expr, $($n:literal)*) => { $( assert_eq!($ctx.value::<Key<$n>>(), Some(&Key($n + $offset))); )* };
    }
    macro_rules! absent {
        ($ctx:ident, $($n:literal)*) => { $( assert_eq!($ctx.value::<Key<$n>>(), None); )* };
    }
    let mut ctx = Context::background();
    bind!(ctx, 0, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
    bind!(ctx, 0, 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63);
    let below = ctx.clone();
    bind!(ctx, 100, 0 2 4 6 8 10 12 14 16 18 20 22 24 26 28 30);
    check!(ctx, 100, 0 2 4 6 8 10 12 14 16 18 20 22 24 26 28 30);
    check!(ctx, 0, 1 3 5 7 9 11 13 15 17 19 21 23 25 27 29 31 32 33 40 50 60 61 62 63);
    check!(below, 0, 0 1 2 3 10 20 30 31 32 63);
    absent!(ctx, 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79 80 99);
}

#[test]
fn v1_values_of_any_shape_are_kept() {
    #[derive(Debug, PartialEq, Clone, Copy)]
    struct Unit;
    #[derive(Debug, PartialEq)]
    #[repr(align(128))]
    struct Aligned(u8);
    let ctx = Context::background().with_value(Unit).with_value(Aligned(7)).with_value([9u64; 100]).with_value(());
    assert_eq!(ctx.value(), Some(&Unit));
    let aligned = ctx.value::<Aligned>().unwrap();
    assert_eq!(aligned, &Aligned(7));
    assert_eq!(std::ptr::from_ref(aligned).addr() % 128, 0);
    assert_eq!(ctx.value(), Some(&[9u64; 100]));
    assert_eq!(ctx.value(), Some(&()));
}

#[test]
fn v1_a_value_lives_as_long_as_any_context_that_can_see_it() {
    let tale = Tale::new();
    let (root, handle) = Context::background().with_cancel();
    let bound = root.with_value(tale.probe());
    let seeing = [
        bound.with_cancel().0,
        bound.with_value(1u8),
        bound.without_cancel(),
        bound.with_deadline(far()).0,
        bound.with_cancel_from(&root).0,
        bound.with_value(2u8).with_cancel().0.without_cancel().with_cancel().0,
    ];
    drop((root, bound));
    handle.cancel();
    drop(handle);
    for ctx in seeing {
        assert_eq!(tale.drops(), 0);
        ctx.value::<Probe>().expect("still seen").run();
    }
    assert_eq!((tale.runs(), tale.drops()), (6, 1));
}

#[test]
fn v1_a_merged_parent_and_an_ended_one_give_no_values() {
    let (other, _other) = Context::background().with_value(User("bob")).with_cancel();
    let (merged, _merged) = Context::background().with_value(RequestId(1)).with_cancel_from(&other);
    assert_eq!(merged.value::<User>(), None, "values come from the first parent only");
    assert_eq!(merged.value(), Some(&RequestId(1)));
}

#[test]
fn v1_values_are_seen_on_ended_and_born_ended_contexts() {
    let (root, handle) = Context::background().with_value(RequestId(5)).with_cancel();
    handle.cancel();
    let (born, _born) = root.with_cancel();
    let over = born.with_value(User("eve"));
    for ctx in [&root, &born, &over, &over.with_timeout(std::time::Duration::ZERO).0] {
        assert_eq!(ctx.value(), Some(&RequestId(5)));
    }
    assert_eq!(over.value(), Some(&User("eve")));
}

#[test]
fn v1_the_drop_of_a_value_may_use_the_tree() {
    struct Meddler(Context, ripcord::CancelHandle, mpsc::Sender<()>);
    impl Drop for Meddler {
        fn drop(&mut self) {
            let (child, handle) = self.0.with_cancel();
            let seen = child.with_value(1u8);
            self.1.cancel();
            assert!(seen.is_done());
            handle.cancel();
            let _ = self.2.send(());
        }
    }
    within_a_minute(|| {
        let (tell, told) = mpsc::channel();
        let (root, handle) = Context::background().with_cancel();
        let (tree, _tree) = Context::background().with_cancel();
        let held = tree.with_cancel().0.with_value(Meddler(root.clone(), handle.clone(), tell.clone()));
        let deep = held.with_cancel().0.with_value(2u8).with_cancel().0;
        drop(held);
        assert!(told.try_recv().is_err());
        drop(deep);
        assert!(told.try_recv().is_ok(), "dropped with the last context that saw it");
        assert_canceled(&root);
    });
}

#[test]
fn v1_a_panicking_drop_of_a_value_strands_nothing_else() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("value drop");
        }
    }
    let tale = Tale::new();
    let (root, handle) = Context::background().with_cancel();
    let ctx = root.with_value(tale.probe()).with_value(Bomb).with_value(tale.probe()).with_cancel().0;
    assert_eq!(panic_of(|| drop(ctx)), "value drop");
    assert_eq!(tale.drops(), 2);
    handle.cancel();
    assert_canceled(&root);
}

#[test]
fn v1_values_are_read_from_many_threads_while_contexts_come_and_go() {
    let tale = Tale::new();
    let drops = Arc::new(AtomicUsize::new(0));
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let rounds = stress(1_000);
    {
        let root = Context::background().with_value(tale.probe());
        thread::scope(|scope| {
            for n in 0..3 {
                let (root, drops) = (root.clone(), drops.clone());
                scope.spawn(move || {
                    for round in 0..rounds {
                        let (ctx, handle) = root.with_value(Counted(drops.clone())).with_value(round).with_cancel();
                        let leaf = ctx.with_value(User("cal"));
                        assert_eq!(leaf.value(), Some(&round));
                        assert!(leaf.value::<Counted>().is_some() && leaf.value::<Probe>().is_some());
                        if n == 0 {
                            handle.cancel();
                        }
                    }
                });
            }
        });
    }
    assert_eq!(drops.load(SeqCst), 3 * rounds);
    assert_eq!(tale.drops(), 1);
}

#[test]
fn v2_a_value_context_shares_the_end_of_its_parent() {
    let (root, handle) = Context::background().with_cancel();
    let over = root.with_value(RequestId(1)).with_value(User("ann"));
    let (wakes, waker) = Wakes::new();
    let mut done = over.clone().into_done();
    assert!(poll_with(&mut done, &waker).is_pending());
    let below = over.with_cancel().0;
    let tale = Tale::new();
    over.after_func(tale.function());
    handle.cancel_cause(oops(2));
    for ctx in [&root, &over, &below] {
        assert_ended(ctx, Error::Canceled, "oops 2");
    }
    assert_eq!(wakes.count(), 1);
    assert!(tale.has_run());
}

#[test]
fn v2_a_value_over_a_context_that_never_ends_never_ends() {
    for root in [Context::background(), Context::todo(), Context::background().with_cancel().0.without_cancel()] {
        let over = root.with_value(RequestId(1));
        assert_live(&over);
        assert_ne!(over, root, "a context of its own");
    }
}

#[test]
fn v3_without_cancel_keeps_the_values_and_drops_everything_that_ends() {
    let (root, handle) = Context::background().with_value(RequestId(3)).with_deadline(far());
    let detached = root.without_cancel();
    let (own, own_handle) = detached.with_cancel();
    let over = detached.with_value(User("dee"));
    assert_eq!(detached.deadline(), None);
    assert_eq!(own.deadline(), None);
    handle.cancel_cause("root");
    for ctx in [&detached, &own, &over] {
        assert_live(ctx);
        assert_eq!(ctx.value(), Some(&RequestId(3)));
    }
    own_handle.cancel_cause("own");
    assert_ended(&own, Error::Canceled, "own");
    assert_live(&detached);
}

#[test]
fn v3_without_cancel_of_an_ended_context_is_live() {
    let (late, _late) = Context::background().with_value(RequestId(3)).with_deadline_cause(past(), "late");
    let detached = late.without_cancel();
    assert_live(&detached);
    assert_eq!((detached.deadline(), detached.remaining()), (None, None));
    assert_eq!(detached.value(), Some(&RequestId(3)));
    assert_live(&detached.with_cancel().0);
    assert_live(&detached.without_cancel().with_value(1u8));
}

#[test]
fn v3_a_detached_context_does_not_hold_the_timer_or_the_functions_of_its_parent() {
    let (root, handle) = Context::background().with_cancel();
    let (child, child_handle) = root.with_timeout(std::time::Duration::from_secs(3600));
    let detached = child.without_cancel();
    drop((child, child_handle));
    let tale = Tale::new();
    root.after_func(tale.function());
    handle.cancel();
    assert!(tale.has_run());
    assert_live(&detached);
}
