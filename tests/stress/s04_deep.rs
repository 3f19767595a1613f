//! S4, rule G9: trees of any depth and width. Everything here runs on a thread with a stack of 64 KiB, so whatever
//! recurses once per level dies.

use crate::common::alone::alone;
use crate::common::*;
use ripcord::{Cause, Context, Error};
use std::task::Poll;
use std::thread;
use std::time::Duration;

/// How many levels; one test at a time, since each takes some hundred megabytes.
const DEEP: usize = 1_000_000;
const WIDE: usize = 100_000;

fn on_a_small_stack(f: impl FnOnce() + Send + 'static) {
    let _alone = alone();
    if let Err(payload) = thread::Builder::new().stack_size(64 * 1024).spawn(f).unwrap().join() {
        std::panic::resume_unwind(payload);
    }
}

/// The last of `DEEP` levels; everything above it is a relay.
fn chain(root: &Context, levels: usize, mut next: impl FnMut(usize, &Context) -> Context) -> Context {
    let mut ctx = root.clone();
    for n in 0..levels {
        ctx = next(n, &ctx);
    }
    ctx
}

fn mixed(n: usize, ctx: &Context) -> Context {
    match n % 8 {
        0 => ctx.with_value(n),
        1 => ctx.with_deadline(far()).0,
        2 => ctx.with_cancel_from(&Context::background()).0,
        _ => ctx.with_cancel().0,
    }
}

#[test]
fn s4_g9_a_million_relays_pass_a_cancel_on() {
    on_a_small_stack(|| {
        let (root, handle) = Context::background().with_cancel();
        let leaf = chain(&root, DEEP, |_, ctx| ctx.with_cancel().0);
        assert!(!leaf.is_done());
        assert_eq!(leaf.deadline(), None);
        let tale = Tale::new();
        leaf.after_func(tale.function());
        let (wakes, waker) = Wakes::new();
        let mut done = leaf.done();
        assert!(poll_with(&mut done, &waker).is_pending());
        handle.cancel_cause(oops(9));
        assert!(tale.has_run());
        assert_eq!(wakes.count(), 1);
        assert_eq!(poll(&mut done), Poll::Ready(Error::Canceled));
        assert_eq!(leaf.err(), Some(Error::Canceled));
        assert_eq!(oops_of(&leaf), Some(9), "the cause is a million levels up");
        assert!(leaf.with_cancel().0.is_done());
    });
}

#[test]
fn s4_g9_a_million_relays_go_with_the_last_leaf() {
    on_a_small_stack(|| {
        let value = Tale::new();
        let leaf = chain(&Context::background().with_value(value.probe()), DEEP, |_, ctx| ctx.with_cancel().0);
        assert!(leaf.value::<Probe>().is_some(), "looked up past a million levels");
        assert!(leaf.value::<u8>().is_none());
        drop(leaf);
        assert_eq!(value.drops(), 1);
    });
}

#[test]
fn s4_g9_a_million_mixed_levels_derive_look_up_format_cancel_and_drop() {
    on_a_small_stack(|| {
        let value = Tale::new();
        let (root, handle) = Context::background().with_value(value.probe()).with_value("root").with_cancel();
        let leaf = chain(&root, DEEP, mixed);
        assert_eq!(leaf.value::<usize>(), Some(&(DEEP - 8)));
        assert_eq!(leaf.value::<&str>(), Some(&"root"));
        assert!(leaf.value::<u8>().is_none());
        assert!(leaf.deadline().is_some());
        let text = leaf.to_string();
        assert!(text.starts_with("context.Background.WithValue("));
        assert!(text.ends_with(".WithCancel.WithCancel.WithCancel.WithCancel.WithCancel"));
        assert_eq!(text.matches(".With").count(), DEEP + 3);
        assert!(format!("{leaf:?}").len() > DEEP);
        handle.cancel_cause(oops(3));
        assert_eq!(oops_of(&leaf), Some(3));
        drop((root, handle));
        assert_eq!(value.drops(), 0);
        drop(leaf);
        assert_eq!(value.drops(), 1);
    });
}

#[test]
fn s4_g9_a_million_levels_with_all_handles_held_are_dropped_from_either_end() {
    for from_the_leaf in [false, true] {
        on_a_small_stack(move || {
            let value = Tale::new();
            let mut all = vec![Context::background().with_value(value.probe())];
            for n in 0..DEEP / 2 {
                let next = mixed(n, &all[n]);
                all.push(next);
            }
            if from_the_leaf {
                while all.pop().is_some() {}
            } else {
                all.drain(..).for_each(drop);
            }
            assert_eq!(value.drops(), 1);
        });
    }
}

#[test]
fn s4_g9_a_million_levels_are_dropped_after_their_end_in_any_order() {
    on_a_small_stack(|| {
        let value = Tale::new();
        let (root, handle) = Context::background().with_value(value.probe()).with_cancel();
        let mut all = vec![root];
        for n in 0..DEEP / 2 {
            let next = mixed(n, &all[n]);
            all.push(next);
        }
        handle.cancel();
        assert!(all.iter().all(Context::is_done));
        Random::new(1).shuffle(&mut all);
        drop((all, handle));
        assert_eq!(value.drops(), 1);
    });
}

#[test]
fn s4_g9_a_million_born_ended_levels() {
    on_a_small_stack(|| {
        let value = Tale::new();
        let (root, handle) = Context::background().with_value(value.probe()).with_cancel();
        handle.cancel_cause(oops(4));
        let leaf = chain(&root, DEEP, mixed);
        drop((root, handle));
        assert_eq!(oops_of(&leaf), Some(4));
        assert_eq!(leaf.to_string().matches(".With").count(), DEEP + 2);
        assert!(leaf.value::<Probe>().is_some());
        drop(leaf);
        assert_eq!(value.drops(), 1);
    });
}

#[test]
fn s4_g9_a_million_values_and_detachments() {
    on_a_small_stack(|| {
        let value = Tale::new();
        let leaf = chain(&Context::background().with_value(value.probe()), DEEP, |n, ctx| match n % 3 {
            0 => ctx.without_cancel(),
            _ => ctx.with_value(n),
        });
        assert!(leaf.value::<Probe>().is_some());
        assert_eq!(leaf.value::<usize>(), Some(&(DEEP - 2)));
        assert!(leaf.to_string().ends_with(".WithoutCancel"));
        assert!(!leaf.is_done());
        drop(leaf);
        assert_eq!(value.drops(), 1);
    });
}

#[test]
fn s4_g9_a_million_merges_down_the_other_side() {
    on_a_small_stack(|| {
        let (root, handle) = Context::background().with_cancel();
        let leaf = chain(&root, DEEP / 2, |_, ctx| Context::background().with_cancel_from(ctx).0);
        assert_eq!(leaf.deadline(), None);
        assert_eq!(leaf.to_string(), "context.Background.WithCancelFrom");
        handle.cancel_cause(oops(5));
        assert_eq!(oops_of(&leaf), Some(5));
        let undisturbed = chain(&Context::background().with_cancel().0, DEEP / 2, |_, ctx| {
            Context::background().with_cancel_from(ctx).0
        });
        drop(undisturbed);
        drop(leaf);
    });
}

#[test]
fn s4_g9_the_deadline_of_a_root_reaches_a_leaf_far_below() {
    on_a_small_stack(|| {
        let (root, handle) = Context::background().with_deadline_cause(far(), "root");
        let leaf = chain(&root, DEEP / 4, |_, ctx| ctx.with_cancel().0);
        assert_eq!(leaf.deadline(), root.deadline());
        assert!(handle.reset_timeout(Duration::from_millis(1)));
        assert_eq!(wait_for(&leaf), Error::DeadlineExceeded);
        assert_ended(&leaf, Error::DeadlineExceeded, "root");
    });
}

#[test]
fn s4_g9_a_function_far_below_is_dropped_when_nothing_above_can_end_it() {
    on_a_small_stack(|| {
        let tale = Tale::new();
        let (root, handle) = Context::background().with_cancel();
        let leaf = chain(&root, DEEP / 4, |_, ctx| ctx.with_cancel().0);
        leaf.after_func(tale.function());
        drop((leaf, root));
        assert!(tale.is_waiting());
        drop(handle);
        assert!(tale.is_dropped_unrun());
    });
}

/// Values, causes and functions are user code: what they hold goes one after the other all the same.
#[test]
fn s4_g9_a_chain_of_values_that_hold_contexts() {
    struct Holds(#[expect(dead_code)] Context);
    on_a_small_stack(|| {
        let value = Tale::new();
        let mut ctx = Context::background().with_value(value.probe());
        for n in 0..WIDE {
            ctx =
                if n % 2 == 0 { Context::background() } else { Context::todo().with_cancel().0 }.with_value(Holds(ctx));
        }
        drop(ctx);
        assert_eq!(value.drops(), 1);
    });
}

#[test]
fn s4_g9_a_chain_of_causes_that_hold_contexts() {
    #[derive(Debug)]
    struct Holds(#[expect(dead_code)] Context);
    impl std::fmt::Display for Holds {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("holds a context")
        }
    }
    impl std::error::Error for Holds {}
    on_a_small_stack(|| {
        let value = Tale::new();
        let mut last = Context::background().with_value(value.probe());
        for _ in 0..WIDE {
            let (ctx, handle) = Context::background().with_cancel();
            handle.cancel_cause(Cause::new(Holds(last)));
            last = ctx;
        }
        assert_eq!(last.cause().unwrap().to_string(), "holds a context");
        drop(last);
        assert_eq!(value.drops(), 1);
    });
}

#[test]
fn s4_g9_a_chain_of_functions_that_cancel_the_next_context() {
    on_a_small_stack(|| {
        let (first, first_handle) = Context::background().with_cancel();
        let mut last = first;
        for _ in 0..WIDE {
            let (next, handle) = Context::background().with_cancel();
            last.after_func(move || handle.cancel_cause(oops(6)));
            last = next;
        }
        first_handle.cancel();
        assert_eq!(oops_of(&last), Some(6), "canceled before the first cancel returned");
    });
}

#[test]
fn s4_g9_a_chain_of_functions_that_hold_the_next_handle_is_dropped_unrun() {
    on_a_small_stack(|| {
        let tale = Tale::new();
        let (first, first_handle) = Context::background().with_cancel();
        let mut last = first;
        for _ in 0..WIDE {
            let (next, handle) = Context::background().with_cancel();
            last.after_func(move || handle.cancel());
            last = next;
        }
        last.after_func(tale.function());
        drop(last);
        assert!(tale.is_waiting());
        drop(first_handle);
        assert!(tale.is_dropped_unrun());
    });
}

#[test]
fn s4_g9_a_hundred_thousand_children_of_one_parent_leave_in_any_order() {
    on_a_small_stack(|| {
        let (root, handle) = Context::background().with_cancel();
        let mut random = Random::new(6);
        let mut all: Vec<_> =
            (0..WIDE).map(|n| if n % 10 == 0 { root.with_deadline(far()) } else { root.with_cancel() }).collect();
        random.shuffle(&mut all);
        all.truncate(WIDE / 2);
        all.extend((0..WIDE / 2).map(|_| root.with_cancel()));
        assert!(all.iter().all(|(ctx, _)| !ctx.is_done()));
        handle.cancel_cause(oops(8));
        assert!(all.iter().all(|(ctx, _)| oops_of(ctx) == Some(8)));
        random.shuffle(&mut all);
        drop(all);
        assert_canceled_by_eight(&root);
    });
}

fn assert_canceled_by_eight(root: &Context) {
    assert_ended(root, Error::Canceled, "oops 8");
}

#[test]
fn s4_g9_a_hundred_thousand_functions_and_waiters_of_one_context() {
    on_a_small_stack(|| {
        let (root, handle) = Context::background().with_cancel();
        let tale = Tale::new();
        let (wakes, waker) = Wakes::new();
        let mut waiting: Vec<_> = (0..WIDE).map(|_| root.done()).collect();
        for done in &mut waiting {
            assert!(poll_with(done, &waker).is_pending());
            root.after_func(tale.function());
        }
        handle.cancel();
        assert_eq!((tale.runs(), tale.drops()), (WIDE, WIDE));
        assert_eq!(wakes.count(), WIDE);
    });
}
