//! Whoever is to hear of an end: functions, futures, threads; and the foreign futures that bring one about.
#![cfg(not(feature = "loom"))]

use super::blast::{Bomb, Who};
use super::compare::compare_waits;
use super::model::{Id, Work};
use super::script::Script;
use super::steps::{What, cause};
use super::world::{Future3, World, cancel_by};
use crate::common::*;
use ripcord::Context;
use std::sync::Arc;
use std::task::Poll;

pub(crate) fn step(world: &mut World, script: &mut Script, what: What) -> Result<bool, String> {
    let pick = |script: &mut Script, of: usize| (of > 0).then(|| script.below(of));
    match what {
        What::Stop | What::DropStopper => {
            let Some(n) = pick(script, world.stoppers.len()) else { return Ok(false) };
            stop(world, script, n, what)?;
        }
        What::Poll | What::DropWaiter => {
            let Some(n) = pick(script, world.waiting.len()) else { return Ok(false) };
            if what == What::Poll {
                poll_waiter(world, script, n)?;
            } else {
                script.tell(|| format!("drop waiter {}", world.waiting[n].number));
                world.drop_waiter(n)?;
            }
        }
        What::FinishWork => {
            let Some(n) = pick(script, world.waiting.len()) else { return Ok(false) };
            return Ok(finish_work(world, script, n));
        }
        What::CompleteFuture => {
            let Some(n) = pick(script, world.foreigns.len()) else { return Ok(false) };
            let (cause, text) = cause(world, script);
            script.tell(|| format!("future {n} gives {text} ({:?})", cause.error()));
            world.complete(n, cause, text);
        }
        What::WakeForNothing => {
            let Some(n) = pick(script, world.foreigns.len()) else { return Ok(false) };
            script.tell(|| format!("wake future {n} for nothing"));
            if let Some(waker) = world.foreigns[n].waker() {
                world.fuses.call(|| waker.wake());
            }
        }
        _ => {
            let (ctx, id) = world.contexts[script.below(world.contexts.len())].clone();
            on_context(world, script, what, ctx, id)?;
        }
    }
    Ok(true)
}

fn on_context(world: &mut World, script: &mut Script, what: What, ctx: Context, id: Id) -> Result<(), String> {
    let future = match what {
        What::AfterFunc => {
            after_func(world, script, &ctx, id);
            return Ok(());
        }
        What::Wait => {
            script.tell(|| format!("{id}.wait()"));
            return compare_waits(&ctx, id, world.model.end_of(id).map(|end| end.error));
        }
        What::IntoDone => Future3::Owned(ctx.into_done()),
        What::Done => Future3::Borrowed(Box::pin(async move { ctx.done().await })),
        _ => {
            let (work, future) = Foreign::new();
            Future3::Run(Box::pin(async move { ctx.run(future).await }), work)
        }
    };
    let kind = format!("{future:?}");
    let number = world.wait(future, id);
    script.tell(|| format!("waiter {number} = {id}.{kind}"));
    let ready = what == What::Run && script.below(4) == 1;
    if ready {
        finish_work(world, script, world.waiting.len() - 1);
    }
    if script.below(4) > 0 {
        poll_waiter(world, script, world.waiting.len() - 1)?;
    }
    Ok(())
}

fn after_func(world: &mut World, script: &mut Script, ctx: &Context, id: Id) {
    let keep = script.below(8) > 0;
    // The function may keep a handle, to cancel by when it runs.
    let grudge = if world.handles.is_empty() || script.below(3) != 1 {
        None
    } else {
        Some(world.handles[script.below(world.handles.len())].clone())
    };
    let target = grudge.as_ref().map(|grudge| grudge.1);
    // When it runs, or when it is dropped.
    let panics = script.below(8);
    script.tell(|| {
        format!("function {} on {id}, kept: {keep}, cancels: {target:?}, panics: {panics}", world.functions.len())
    });
    let n = world.model.after_func(id, target);
    let tale = Tale::new();
    let reports = tale.function();
    world.functions.push(tale);
    let pocket = grudge.map(|(handle, _)| world.pocket(handle));
    let (fuse, bomb) = match panics {
        1 => (Some(world.fuses.fuse(Who::Function)), None),
        2 => (None, Some(Bomb(world.fuses.fuse(Who::Baggage)))),
        _ => (None, None),
    };
    let after = world.fuses.call(|| {
        ctx.after_func(move || {
            // Goes with the function, run or not.
            let _bomb = bomb;
            // First: canceling may panic.
            reports();
            if let Some(pocket) = &pocket {
                cancel_by(pocket);
            }
            if let Some(fuse) = fuse {
                fuse.blow();
            }
        })
    });
    match after {
        Some(after) if keep => world.stoppers.push((after, n)),
        after => {
            world.model.functions[n].held = false;
            world.fuses.call(|| drop(after));
        }
    }
}

fn stop(world: &mut World, script: &mut Script, n: usize, what: What) -> Result<(), String> {
    let (after, n) = world.stoppers.swap_remove(n);
    if what == What::DropStopper {
        script.tell(|| format!("drop what stops function {n}"));
        world.model.functions[n].held = false;
        world.fuses.call(|| drop(after));
        return Ok(());
    }
    let (is, must) = (world.fuses.call(|| after.stop()), world.model.stop(n));
    script.tell(|| format!("stop function {n}: {is:?}"));
    if script.below(2) == 0 {
        world.stoppers.push((after, n));
    } else {
        world.model.functions[n].held = false;
    }
    match is {
        Some(is) if is != must => Err(format!("stop of function {n} gave {is}, must be {must}")),
        _ => Ok(()),
    }
}

fn poll_waiter(world: &mut World, script: &mut Script, n: usize) -> Result<(), String> {
    let number = world.waiting[n].number;
    let new_waker = script.below(2) == 0;
    let must = world.model.poll(number, new_waker).map_or(Poll::Pending, Poll::Ready);
    let loud = script.below(8) == 1;
    if new_waker || world.wakers[number].is_empty() {
        let waker = world.waker(loud);
        world.wakers[number].push(waker);
    }
    let wakers = &world.wakers[number];
    let is = world.fuses.call(|| world.waiting[n].future.poll(&wakers[wakers.len() - 1].1));
    script.tell(|| format!("poll waiter {number}, new waker: {new_waker}, panics: {loud}: {is:?}"));
    // A future that is through drops what it kept, which may panic.
    let is = is.unwrap_or(must);
    if is.is_ready() {
        world.drop_waiter(n)?;
    }
    if is == must { Ok(()) } else { Err(format!("waiter {number} is {is:?}, must be {must:?}")) }
}

/// What a waiter runs is ready; false if it runs nothing, or that was ready already.
fn finish_work(world: &mut World, script: &mut Script, n: usize) -> bool {
    let number = world.waiting[n].number;
    let Future3::Run(_, work) = &world.waiting[n].future else { return false };
    if matches!(world.model.waiters[number].work, Work::Ready(_)) {
        return false;
    }
    let work = Arc::clone(work);
    let gives = u32::try_from(script.below(256)).unwrap_or(0);
    script.tell(|| format!("what waiter {number} runs gives {gives}"));
    world.model.finish_work(number, gives);
    world.fuses.call(|| work.complete(gives));
    true
}
