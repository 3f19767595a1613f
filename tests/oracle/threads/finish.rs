//! All threads are through: what must have ended has, what must not has not, and nothing is left.
#![cfg(not(feature = "loom"))]

use super::crowd::{Life, Shared};
use super::deeds::Worker;
use crate::common::*;
use ripcord::{CancelHandle, Context, Error};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

pub(crate) fn finish(shared: &Shared, mut workers: Vec<Worker<'_>>, root: Option<(CancelHandle, Arc<Life>)>) {
    check_ends(shared, &workers);
    check_functions(shared, &workers);
    if let Some((handle, life)) = root {
        life.attempt(&Error::Canceled.to_string());
        handle.cancel();
        life.must.store(true, SeqCst);
        check_ends(shared, &workers);
    }
    check_waiters(shared, &mut workers);
    let_go(shared, workers);
    check_nothing_is_left(shared);
}

/// G2, G5, G6: what was canceled has ended, with everything below it; what was not has not.
fn check_ends(shared: &Shared, workers: &[Worker<'_>]) {
    for fruit in workers.iter().flat_map(|worker| &worker.fruits) {
        let Some(life) = &fruit.life else { continue };
        if life.must_end() {
            // The timer's thread may be on its way.
            eventually("an end that must come", || fruit.ctx.is_done());
        }
        if fruit.look(shared) {
            shared.expect(life.may_end(), || format!("{} ended, and nobody ended it", fruit.name()));
            fruit.explain(shared);
            eventually("the end of a crowd", || fruit.crowd.iter().all(Context::is_done));
        }
    }
}

/// A function of an ended context that is still held has run, unless it was stopped.
fn check_functions(shared: &Shared, workers: &[Worker<'_>]) {
    let functions = shared.functions.lock().unwrap();
    for fruit in workers.iter().flat_map(|worker| &worker.fruits).filter(|fruit| fruit.ctx.is_done()) {
        let Some(life) = &fruit.life else { continue };
        let here = |on: &Option<Arc<Life>>| on.as_ref().is_some_and(|on| Arc::ptr_eq(on, life));
        for function in functions.iter().filter(|function| here(&function.on)) {
            if function.stopped.load(SeqCst) {
                shared.expect(function.tale.is_dropped_unrun(), || "stopped, and yet it ran".into());
            } else {
                eventually("a function of an ended context runs", || function.tale.has_run());
            }
        }
    }
}

/// Woken exactly when the context has ended.
fn check_waiters(shared: &Shared, workers: &mut [Worker<'_>]) {
    for waiter in workers.iter_mut().flat_map(|worker| &mut worker.waiters) {
        let number = waiter.life.as_ref().map_or(0, |life| life.number);
        let must = waiter.life.as_ref().is_some_and(|life| life.must_end());
        let woken = waiter.wakes.count() > 0;
        if must {
            eventually("a waiter's end", || poll(&mut waiter.done).is_ready());
        } else if woken {
            shared.expect(poll(&mut waiter.done).is_ready(), || format!("a waiter of {number} was woken for nothing"));
        }
        let may = waiter.life.as_ref().is_some_and(|life| life.may_end());
        shared.expect(may || !woken, || format!("a waiter of {number} was woken, and nobody ended it"));
    }
}

/// Drops everything that is left of contexts.
fn let_go(shared: &Shared, workers: Vec<Worker<'_>>) {
    for basket in mem::take(&mut *shared.baskets.lock().unwrap()) {
        let taken = basket.upgrade().and_then(|basket| basket.lock().unwrap().take());
        drop(taken);
    }
    let foreigns = shared.foreigns.lock().unwrap().clone();
    for (foreign, life) in foreigns {
        life.attempt("the end");
        foreign.complete("the end".into());
    }
    for worker in workers {
        drop(worker.fruits);
        drop(worker.waiters);
        drop(worker.stoppers);
    }
    let market = mem::take(&mut *shared.market.lock().unwrap());
    drop(market);
}

/// O1, A3, V1: every function has run or was dropped, once; every value and future is gone.
fn check_nothing_is_left(shared: &Shared) {
    let functions = mem::take(&mut *shared.functions.lock().unwrap());
    for function in functions {
        eventually("a function goes", || function.tale.drops() > 0);
        let stopped = function.stopped.load(SeqCst);
        let fine = function.tale.is_dropped_unrun() || (function.tale.has_run() && !stopped);
        shared.expect(fine, || format!("a function, stopped: {stopped}, ended as {:?}", function.tale));
    }
    for tale in mem::take(&mut *shared.values.lock().unwrap()) {
        eventually("a value goes", || tale.drops() > 0);
        shared.expect(tale.drops() == 1, || "a value was dropped twice".into());
    }
    for (foreign, _) in mem::take(&mut *shared.foreigns.lock().unwrap()) {
        eventually("a foreign future goes", || foreign.dropped());
    }
}
