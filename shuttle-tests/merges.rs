//! Contexts with two parents, under cancels of both sides and from above, while handles go.

use crate::support::{Call, Crew, explore, root};
use ripcord::Cause;

fn said(ctx: &ripcord::Context) -> Option<String> {
    ctx.cause().as_ref().map(Cause::to_string)
}

#[test]
fn both_parents_and_the_merge_are_canceled_at_once() {
    explore("both parents and the merge canceled", || {
        let (one, one_handle) = root();
        let (other, other_handle) = root();
        let (merged, own) = one.with_cancel_from(&other);
        let (below, _below) = merged.with_cancel();
        let call = Call::default();
        drop(below.after_func(call.function(|| ())));
        let mut crew = Crew::default();
        for (handle, word) in [(one_handle, "one"), (other_handle, "other"), (own, "own")] {
            let (merged, below) = (merged.clone(), below.clone());
            crew.spawn(move || {
                handle.cancel_cause(word);
                let seen = said(&merged);
                assert!(seen.is_some() && said(&below) == seen, "ended, by one cause");
            });
        }
        let late = merged.clone();
        crew.spawn(move || drop(late.with_cancel()));
        crew.join();
        assert_eq!((said(&one).as_deref(), said(&other).as_deref()), (Some("one"), Some("other")));
        assert!(call.has_run());
    });
}

/// A lattice: merges of merges, so that one end arrives by many ways.
#[test]
fn a_lattice_of_merges_ends_and_goes() {
    explore("a lattice of merges ends and goes", || {
        let (top, handle) = root();
        let (left, left_handle) = top.with_cancel();
        let (right, _right) = top.with_cancel();
        let middle = left.with_cancel_from(&right).0;
        let twice = middle.with_cancel_from(&left).0;
        let thrice = right.with_cancel_from(&twice).0;
        let calls: Vec<Call> = (0..3).map(|_| Call::default()).collect();
        for (ctx, call) in [&middle, &twice, &thrice].into_iter().zip(&calls) {
            drop(ctx.after_func(call.function(|| ())));
        }
        let seen = thrice.clone();
        let mut crew = Crew::default();
        crew.spawn(move || {
            left_handle.cancel();
            assert!(seen.is_done(), "the cancel has returned");
        });
        crew.spawn(move || drop(middle));
        crew.spawn(move || drop((left, right)));
        crew.spawn(move || drop(twice));
        crew.spawn(move || {
            handle.cancel();
            drop((top, handle));
        });
        crew.join();
        assert!(thrice.is_done());
        assert!(calls.iter().all(Call::has_run));
    });
}

#[test]
fn a_merge_and_both_its_parents_go() {
    explore("a merge and both its parents go", || {
        let parents: Vec<_> = (0..3).map(|_| root()).collect();
        let merged: Vec<_> = (0..3).map(|n| parents[n].0.with_cancel_from(&parents[(n + 1) % 3].0)).collect();
        let calls: Vec<Call> = (0..3).map(|_| Call::default()).collect();
        for ((ctx, _), call) in merged.iter().zip(&calls) {
            drop(ctx.after_func(call.function(|| ())));
        }
        let mut crew = Crew::default();
        for part in parents.into_iter().chain(merged) {
            crew.spawn(move || drop(part));
        }
        crew.join();
        assert!(calls.iter().all(Call::is_dropped_unrun), "nobody was left who could end them");
    });
}
