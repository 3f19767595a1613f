//! The constructors.
#![cfg(not(feature = "loom"))]

use super::blast::{Bomb, Who};
use super::clock::{STANDS, UNIT, now};
use super::model::{Id, When};
use super::script::Script;
use super::steps::{What, cause};
use super::world::{KEYS, Key, Outcome, World};
use crate::common::*;
use ripcord::{CancelHandle, Cause, Context};
use std::any::type_name;
use std::time::{Duration, Instant};

/// So far away that it means never.
const NEVER: Duration = Duration::from_secs(300 * 365 * 86_400);

pub(crate) fn step(world: &mut World, script: &mut Script, what: What) -> Outcome {
    let (ctx, parent) = world.contexts[script.below(world.contexts.len())].clone();
    match what {
        What::WithDeadline | What::WithDeadlineCause => with_deadline(world, script, &ctx, parent, what),
        What::WithTimeout | What::WithTimeoutCause => with_timeout(world, script, &ctx, parent, what),
        What::WithValue => bind(world, script, &ctx, parent),
        What::WithoutCancel => {
            let id = world.model.without_cancel(parent);
            script.tell(|| format!("{id} = {parent}.without_cancel()"));
            world.keep(ctx.without_cancel(), id);
        }
        What::WithCancelFrom => {
            let (other, other_id) = world.contexts[script.below(world.contexts.len())].clone();
            let id = world.model.node(parent, Some(other_id), ".WithCancelFrom");
            script.tell(|| format!("{id} = {parent}.with_cancel_from({other_id})"));
            let made = world.fuses.call(|| ctx.with_cancel_from(&other));
            take(world, script, made, id);
        }
        What::WithCancelOn => with_cancel_on(world, script, &ctx, parent),
        _ => {
            let id = world.model.node(parent, None, "");
            script.tell(|| format!("{id} = {parent}.with_cancel()"));
            let made = world.fuses.call(|| ctx.with_cancel());
            take(world, script, made, id);
        }
    }
    Ok(())
}

/// A new context and its handle: keeps both, or one of the two. None: the constructor panicked, and they are lost.
fn take(world: &mut World, script: &mut Script, made: Option<(Context, CancelHandle)>, id: Id) {
    let Some((ctx, handle)) = made else { return };
    // Both are held before either goes.
    world.keep(ctx, id);
    world.keep_handle(handle, id);
    match script.below(4) {
        1 => world.drop_handle(world.handles.len() - 1),
        2 => world.drop_context(world.contexts.len() - 1),
        _ => {}
    }
}

/// An instant: past, so far away that it is never, or one to come; and what the model makes of it.
pub(crate) fn instant(world: &World, script: &mut Script) -> (Instant, Option<When>, bool) {
    match script.below(8) {
        0 => (world.start, Some(When::exactly(world.start)), true),
        1 => (world.start + NEVER, None, false),
        _ => {
            let at = world.far(script.below(50));
            (at, Some(When::exactly(at)), false)
        }
    }
}

/// The same for durations; when that will be is known afterwards.
pub(crate) fn duration(world: &World, script: &mut Script) -> Duration {
    match script.below(8) {
        0 => Duration::ZERO,
        1 => NEVER,
        2 => Duration::MAX,
        _ if STANDS => world.far(script.below(50)) - now(),
        _ => UNIT * (3600 + script.below(50) as u32),
    }
}

/// When that is, given that it was counted from now on or a moment ago.
pub(crate) fn ahead(before: Instant, after: Duration) -> Option<When> {
    (after < NEVER).then(|| When { from: before + after, to: now() + after })
}

fn with_deadline(world: &mut World, script: &mut Script, ctx: &Context, parent: Id, what: What) {
    let (at, when, past) = instant(world, script);
    let own = (what == What::WithDeadlineCause).then(|| cause(world, script));
    let id = world.model.with_deadline(parent, when, past, own.as_ref().map(|own| own.1.clone()));
    script.tell(|| format!("{id} = {parent}.with_deadline(past: {past}, never: {}, cause: {own:?})", when.is_none()));
    let made = world.fuses.call(|| match own {
        Some((cause, _)) => ctx.with_deadline_cause(at, cause),
        None => ctx.with_deadline(at),
    });
    take(world, script, made, id);
}

fn with_timeout(world: &mut World, script: &mut Script, ctx: &Context, parent: Id, what: What) {
    let after = duration(world, script);
    let own = (what == What::WithTimeoutCause).then(|| cause(world, script));
    let text = own.as_ref().map(|own| own.1.clone());
    script.tell(|| format!("{} = {parent}.with_timeout({after:?}, cause: {own:?})", world.model.all.len()));
    let before = now();
    let made = world.fuses.call(|| match own {
        Some((cause, _)) => ctx.with_timeout_cause(after, cause),
        None => ctx.with_timeout(after),
    });
    let id = world.model.with_deadline(parent, ahead(before, after), after.is_zero(), text);
    take(world, script, made, id);
}

fn bind(world: &mut World, script: &mut Script, ctx: &Context, parent: Id) {
    let (key, number) = (script.below(KEYS), u32::try_from(script.below(256)).unwrap_or(0));
    // The value may keep a handle, to cancel by when it is dropped.
    let grudge = if world.handles.is_empty() || script.below(4) != 1 {
        None
    } else {
        Some(world.handles[script.below(world.handles.len())].clone())
    };
    let target = grudge.as_ref().map(|grudge| grudge.1);
    let pocket = grudge.map(|(handle, target)| {
        world.model.all[target].held += 1;
        world.pocket(handle)
    });
    let bomb = (script.below(8) == 1).then(|| Bomb(world.fuses.fuse(Who::Value)));
    let tale = Tale::new();
    let probe = tale.probe();
    let loud = bomb.is_some();
    let (bound, name) = match key {
        0 => (ctx.with_value(Key::<0>(number, probe, pocket, bomb)), type_name::<Key<0>>()),
        1 => (ctx.with_value(Key::<1>(number, probe, pocket, bomb)), type_name::<Key<1>>()),
        2 => (ctx.with_value(Key::<2>(number, probe, pocket, bomb)), type_name::<Key<2>>()),
        _ => (ctx.with_value(Key::<3>(number, probe, pocket, bomb)), type_name::<Key<3>>()),
    };
    let id = world.model.value(parent, key, number, name);
    script.tell(|| {
        format!("{id} = {parent}.with_value(key {key}, {number}), cancels when dropped: {target:?}, panics: {loud}")
    });
    if let Some(cancels) = target {
        world.model.grudges.push(super::model::Grudge { binding: id, cancels });
    }
    world.bindings.push((id, tale));
    world.keep(bound, id);
}

fn with_cancel_on(world: &mut World, script: &mut Script, ctx: &Context, parent: Id) {
    let (foreign, future) = Foreign::<Cause>::new();
    let (id, n) = world.model.foreign(parent);
    world.foreigns.push(foreign);
    let ready = script.below(4) == 1;
    script.tell(|| format!("{id} = {parent}.with_cancel_on(future {n}), ready at once: {ready}"));
    if ready {
        let (cause, text) = cause(world, script);
        world.complete(n, cause, text);
    }
    let made = world.fuses.call(|| ctx.with_cancel_on(future));
    take(world, script, made, id);
}
