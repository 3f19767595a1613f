//! One random step at a time: the same operation on the model and on the real thing.
#![cfg(not(feature = "loom"))]

use super::model::{End, Id};
use super::world::{KEYS, Key, Outcome, Waiting, World};
use crate::common::*;
use ripcord::{CancelHandle, Cause, Context, Error};
use std::task::Poll;
use std::time::{Duration, Instant};

/// More contexts or handles than this are not kept.
const MOST: usize = 9;

/// Where steps come from, and what is told of them when a script is run again.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) random: Random,
    pub(crate) told: Option<Vec<String>>,
}

impl Script {
    fn below(&mut self, n: usize) -> usize {
        self.random.below(n)
    }
    fn tell(&mut self, text: impl FnOnce() -> String) {
        if let Some(told) = &mut self.told {
            told.push(text());
        }
    }
    /// A cause, and what it makes of a context that it cancels.
    fn cause(&mut self, world: &World) -> (Cause, String) {
        let n = self.random.next() % 1_000;
        match self.below(7) {
            0 => ("a text".into(), "a text".into()),
            1 => (format!("string {n}").into(), format!("string {n}")),
            2 => (().into(), Error::Canceled.to_string()),
            3 => (Error::Canceled.into(), Error::Canceled.to_string()),
            4 => (Error::DeadlineExceeded.into(), Error::DeadlineExceeded.to_string()),
            5 => {
                let (ctx, id) = &world.contexts[self.below(world.contexts.len())];
                match (ctx.cause(), world.model.end_of(*id)) {
                    (Some(cause), Some(end)) => (cause, end.text.clone()),
                    _ => (oops(7), "oops 7".into()),
                }
            }
            _ => {
                let n = u32::try_from(n).unwrap();
                (oops(n), format!("oops {n}"))
            }
        }
    }
}

/// A new context and its handle: keeps both, or one of the two.
fn take(world: &mut World, script: &mut Script, (ctx, handle): (Context, CancelHandle), id: Id) {
    // Both are held before either goes.
    world.keep(ctx, id);
    world.keep_handle(handle, id);
    match script.below(4) {
        0 => drop_handle(world, world.handles.len() - 1),
        1 => drop_context(world, world.contexts.len() - 1),
        _ => {}
    }
}

fn drop_context(world: &mut World, n: usize) {
    let (ctx, id) = world.contexts.swap_remove(n);
    world.model.all[id].held -= 1;
    drop(ctx);
}

fn drop_handle(world: &mut World, n: usize) {
    let (handle, id) = world.handles.swap_remove(n);
    world.model.all[id].held -= 1;
    drop(handle);
}

fn drop_waiter(world: &mut World, n: usize) {
    let waiting = world.waiting.swap_remove(n);
    let waiter = &mut world.model.waiters[waiting.number];
    waiter.armed = false;
    world.model.all[waiter.on].held -= 1;
    drop(waiting);
}

fn bind(world: &mut World, ctx: &Context, parent: Id, key: usize, number: u32) {
    let tale = Tale::new();
    let probe = tale.probe();
    let (bound, name) = match key {
        0 => (ctx.with_value(Key::<0>(number, probe)), std::any::type_name::<Key<0>>()),
        1 => (ctx.with_value(Key::<1>(number, probe)), std::any::type_name::<Key<1>>()),
        2 => (ctx.with_value(Key::<2>(number, probe)), std::any::type_name::<Key<2>>()),
        _ => (ctx.with_value(Key::<3>(number, probe)), std::any::type_name::<Key<3>>()),
    };
    let id = world.model.value(parent, key, number, name);
    world.bindings.push((id, tale));
    world.keep(bound, id);
}

/// One step; the comparison comes after it.
pub(crate) fn step(world: &mut World, script: &mut Script) -> Outcome {
    if world.contexts.len() > MOST {
        // The two roots stay.
        let n = 2 + script.below(world.contexts.len() - 2);
        script.tell(|| format!("drop the context of {} (too many)", world.contexts[n].1));
        drop_context(world, n);
        return Ok(());
    }
    if world.handles.len() > MOST {
        let n = script.below(world.handles.len());
        script.tell(|| format!("drop a handle of {} (too many)", world.handles[n].1));
        drop_handle(world, n);
        return Ok(());
    }
    if world.waiting.len() > MOST {
        let n = script.below(world.waiting.len());
        script.tell(|| format!("drop waiter {} (too many)", world.waiting[n].number));
        drop_waiter(world, n);
        return Ok(());
    }
    match script.below(3) {
        0 => derive(world, script),
        1 => act(world, script),
        _ => register(world, script),
    }
}

fn derive(world: &mut World, script: &mut Script) -> Outcome {
    let (ctx, parent) = world.contexts[script.below(world.contexts.len())].clone();
    let what = script.below(9);
    let number = u32::try_from(script.random.next() % 1_000).unwrap();
    let at = world.far(script.below(50));
    match what {
        0 | 1 => {
            let id = world.model.node(parent, None, "");
            script.tell(|| format!("{id} = {parent}.with_cancel()"));
            take(world, script, ctx.with_cancel(), id);
        }
        2 => {
            let past = script.below(4) == 0;
            let at = if past { world.start } else { at };
            let (cause, text) = script.cause(world);
            let with_cause = script.below(2) == 0;
            let id = world.model.with_deadline(parent, Some(at), past, with_cause.then(|| text.clone()));
            script.tell(|| format!("{id} = {parent}.with_deadline(past: {past}, cause: {with_cause}, {text})"));
            let made = if with_cause { ctx.with_deadline_cause(at, cause) } else { ctx.with_deadline(at) };
            take(world, script, made, id);
        }
        3 => {
            // Never, so that the deadline can be foretold.
            let id = world.model.with_deadline(parent, None, false, None);
            script.tell(|| format!("{id} = {parent}.with_timeout(MAX)"));
            take(world, script, ctx.with_timeout(Duration::MAX), id);
        }
        4 | 5 => {
            let key = script.below(KEYS);
            script.tell(|| format!("{} = {parent}.with_value(key {key}, {number})", world.model.all.len()));
            bind(world, &ctx, parent, key, number);
        }
        6 => {
            let id = world.model.without_cancel(parent);
            script.tell(|| format!("{id} = {parent}.without_cancel()"));
            world.keep(ctx.without_cancel(), id);
        }
        7 => {
            let (other, other_id) = world.contexts[script.below(world.contexts.len())].clone();
            let id = world.model.node(parent, Some(other_id), ".WithCancelFrom");
            script.tell(|| format!("{id} = {parent}.with_cancel_from({other_id})"));
            take(world, script, ctx.with_cancel_from(&other), id);
        }
        _ => {
            let (foreign, future) = Foreign::new();
            let (id, n) = world.model.foreign(parent);
            world.foreigns.push(foreign);
            let ready = script.below(5) == 0;
            script.tell(|| format!("{id} = {parent}.with_cancel_on(future {n}, ready: {ready})"));
            if ready {
                complete(world, script, n);
            }
            take(world, script, ctx.with_cancel_on(future), id);
        }
    }
    Ok(())
}

/// Completes a foreign future, in the model and in fact.
fn complete(world: &mut World, script: &mut Script, n: usize) {
    let (cause, text) = script.cause(world);
    let error = cause.error();
    script.tell(|| format!("future {n} gives {text} ({error:?})"));
    world.model.complete(n, End { error, text });
    world.foreigns[n].complete(cause);
}

fn act(world: &mut World, script: &mut Script) -> Outcome {
    let what = script.below(9);
    if world.handles.is_empty() && what < 6 {
        return Ok(());
    }
    let n = script.below(world.handles.len().max(1));
    match what {
        0 => {
            let id = world.handles[n].1;
            script.tell(|| format!("{id}.cancel()"));
            world.model.end(id, End::plain(Error::Canceled));
            world.handles[n].0.cancel();
        }
        1 => {
            let id = world.handles[n].1;
            let (cause, text) = script.cause(world);
            script.tell(|| format!("{id}.cancel_cause({text})"));
            world.model.end(id, End { error: Error::Canceled, text });
            world.handles[n].0.cancel_cause(cause);
        }
        2 | 3 => reset(world, script, n)?,
        4 => {
            let (handle, id) = world.handles[n].clone();
            let guard = handle.drop_guard();
            let disarmed = script.below(2) == 0;
            script.tell(|| format!("a guard of {id}, disarmed: {disarmed}"));
            if disarmed {
                world.keep_handle(guard.disarm(), id);
            } else {
                world.model.end(id, End::plain(Error::Canceled));
                drop(guard);
            }
        }
        5 => {
            let (handle, id) = world.handles[n].clone();
            script.tell(|| format!("clone the handle of {id}, or its context"));
            match script.below(2) {
                0 => world.keep_handle(handle, id),
                _ => world.keep(handle.context().clone(), id),
            }
        }
        6 if world.contexts.len() > 2 => {
            let n = 2 + script.below(world.contexts.len() - 2);
            script.tell(|| format!("drop the context of {}", world.contexts[n].1));
            drop_context(world, n);
        }
        7 if !world.handles.is_empty() => {
            script.tell(|| format!("drop a handle of {}", world.handles[n].1));
            drop_handle(world, n);
        }
        _ => {
            let (ctx, id) = world.contexts[script.below(world.contexts.len())].clone();
            script.tell(|| format!("clone the context of {id}"));
            world.keep(ctx, id);
        }
    }
    Ok(())
}

fn reset(world: &mut World, script: &mut Script, n: usize) -> Outcome {
    let id = world.handles[n].1;
    let what = script.below(6);
    let at = world.far(script.below(50));
    script.tell(|| format!("{id}.reset_..({})", ["to past", "to zero", "to never", "far", "far", "far"][what]));
    let handle = world.handles[n].0.clone();
    let expired: Option<Instant> = Some(world.start);
    let (must, is) = match what {
        0 => (world.model.reset(id, expired, true), handle.reset_deadline(world.start)),
        1 => {
            let before = Instant::now();
            let must = world.model.reset(id, expired, true);
            let is = handle.reset_timeout(Duration::ZERO);
            if is {
                // Now, whenever that was: nothing above can have been due before.
                let now = handle.context().deadline().filter(|at| (before..=Instant::now()).contains(at));
                world.model.all[id].deadline = now;
            }
            (must, is)
        }
        2 => (world.model.reset(id, None, false), handle.reset_timeout(Duration::MAX)),
        _ => (world.model.reset(id, Some(at), false), handle.reset_deadline(at)),
    };
    if is == must { Ok(()) } else { Err(format!("reset of {id} gave {is}, must be {must}")) }
}

fn register(world: &mut World, script: &mut Script) -> Outcome {
    let (ctx, id) = world.contexts[script.below(world.contexts.len())].clone();
    match script.below(8) {
        0 | 1 => {
            let n = world.model.after_func(id);
            let keep = script.below(3) > 0;
            script.tell(|| format!("function {n} on {id}, kept: {keep}"));
            let tale = Tale::new();
            world.functions.push(tale.clone());
            let after = ctx.after_func(tale.function());
            if keep {
                world.stoppers.push((after, n));
            } else {
                world.model.functions[n].held = false;
            }
        }
        2 if !world.stoppers.is_empty() => {
            let at = script.below(world.stoppers.len());
            let (after, n) = world.stoppers.swap_remove(at);
            let (is, must) = (after.stop(), world.model.stop(n));
            script.tell(|| format!("stop function {n}: {is}"));
            if is != must {
                return Err(format!("stop of function {n} gave {is}, must be {must}"));
            }
            if script.below(2) == 0 {
                world.stoppers.push((after, n));
            } else {
                world.model.functions[n].held = false;
            }
        }
        3 | 4 => {
            let number = world.model.wait(id);
            world.model.all[id].held += 1;
            world.wakers.push(Vec::new());
            script.tell(|| format!("waiter {number} on {id}"));
            world.waiting.push(Waiting { done: ctx.into_done(), number });
            return poll_waiter(world, script, world.waiting.len() - 1);
        }
        5 if !world.waiting.is_empty() => {
            let n = script.below(world.waiting.len());
            return poll_waiter(world, script, n);
        }
        6 if !world.waiting.is_empty() => {
            let n = script.below(world.waiting.len());
            script.tell(|| format!("drop waiter {}", world.waiting[n].number));
            drop_waiter(world, n);
        }
        7 if !world.foreigns.is_empty() => {
            let n = script.below(world.foreigns.len());
            if script.below(3) == 0 {
                script.tell(|| format!("wake future {n} for nothing"));
                if let Some(waker) = world.foreigns[n].waker() {
                    waker.wake();
                }
            } else {
                complete(world, script, n);
            }
        }
        _ => {}
    }
    Ok(())
}

fn poll_waiter(world: &mut World, script: &mut Script, n: usize) -> Outcome {
    let waiting = &mut world.waiting[n];
    let number = waiting.number;
    let new_waker = script.below(2) == 0;
    let must = world.model.poll(number, new_waker).map(|end| end.error);
    let wakers = &mut world.wakers[number];
    if new_waker || wakers.is_empty() {
        wakers.push(Wakes::new());
    }
    let is = poll_with(&mut waiting.done, &wakers[wakers.len() - 1].1);
    script.tell(|| format!("poll waiter {number}, new waker: {new_waker}: {is:?}"));
    let must = must.map_or(Poll::Pending, Poll::Ready);
    if is.is_ready() {
        drop_waiter(world, n);
    }
    if is == must { Ok(()) } else { Err(format!("waiter {number} is {is:?}, must be {must:?}")) }
}
