//! Contexts whose handles are gone: relays, the counting of orphans, and hope. Every thread drops another level.

use crate::support::{Call, Crew, explore, root};
use ripcord::Context;

const LEVELS: usize = 6;

/// A chain of contexts, each with a function; from the top.
fn chain() -> (Vec<(Context, ripcord::CancelHandle)>, Vec<Call>) {
    let mut all = vec![root()];
    for n in 0..LEVELS {
        all.push(all[n].0.with_cancel());
    }
    let calls: Vec<Call> = all.iter().map(|_| Call::default()).collect();
    for ((ctx, _), call) in all.iter().zip(&calls) {
        drop(ctx.after_func(call.function(|| ())));
    }
    (all, calls)
}

#[test]
fn every_level_is_dropped_by_another_thread() {
    explore("every level dropped by another thread", || {
        let (all, calls) = chain();
        let mut crew = Crew::default();
        for level in all {
            crew.spawn(move || drop(level));
        }
        crew.join();
        assert!(calls.iter().all(Call::is_dropped_unrun), "nobody was left who could end them");
    });
}

#[test]
fn every_level_is_dropped_while_the_top_is_canceled() {
    explore("every level dropped under a cancel", || {
        let (mut all, calls) = chain();
        let (_top, handle) = all.remove(0);
        let mut crew = Crew::default();
        for level in all {
            crew.spawn(move || drop(level));
        }
        handle.cancel();
        crew.join();
        drop((_top, handle));
        assert!(calls.iter().all(Call::has_run), "each relay passes it on");
    });
}

/// Some cancel their level, some drop it, and the last child goes somewhere in between.
#[test]
fn cancels_and_drops_at_every_height() {
    explore("cancels and drops at every height", || {
        let (all, calls) = chain();
        let mut crew = Crew::default();
        for (n, (ctx, handle)) in all.into_iter().enumerate() {
            crew.spawn(move || {
                let leaf = ctx.with_cancel().0;
                drop(ctx);
                if n % 2 == 1 {
                    handle.cancel();
                    assert!(leaf.is_done(), "the cancel has returned");
                }
                drop((handle, leaf));
            });
        }
        crew.join();
        for (n, call) in calls.iter().enumerate() {
            // Level 0 has nobody above it who cancels; all others have, from level 1 on.
            assert!(if n == 0 { call.is_dropped_unrun() } else { call.has_run() }, "level {n}");
        }
    });
}
