//! What handles, guards and clones do.
#![cfg(not(feature = "loom"))]

use super::clock::now;
use super::derive::{ahead, duration, instant};
use super::model::End;
use super::script::Script;
use super::steps::{What, cause};
use super::world::World;
use ripcord::Error;

pub(crate) fn step(world: &mut World, script: &mut Script, what: What) -> Result<bool, String> {
    match what {
        What::CloneContext | What::DropContext => return Ok(on_context(world, script, what)),
        What::Disarm | What::EndGuard => return Ok(on_guard(world, script, what)),
        _ => {}
    }
    if world.handles.is_empty() {
        return Ok(false);
    }
    let n = script.below(world.handles.len());
    let id = world.handles[n].1;
    match what {
        What::CancelCause => {
            let (cause, text) = cause(world, script);
            script.tell(|| format!("{id}.cancel_cause({text})"));
            world.model.end(id, End { error: Error::Canceled, text });
            world.fuses.call(|| world.handles[n].0.cancel_cause(cause));
        }
        What::ResetDeadline | What::ResetTimeout => reset(world, script, n, what)?,
        What::DropGuard => {
            script.tell(|| format!("{id}: a handle becomes a guard"));
            let (handle, id) = world.handles.swap_remove(n);
            world.guards.push((handle.drop_guard(), id));
        }
        What::CloneHandle => {
            script.tell(|| format!("{id}: clone a handle"));
            let handle = world.handles[n].0.clone();
            world.keep_handle(handle, id);
        }
        What::ContextOfHandle => {
            script.tell(|| format!("{id}: the context of a handle"));
            let ctx = world.handles[n].0.context().clone();
            world.keep(ctx, id);
        }
        What::DropHandle => {
            script.tell(|| format!("{id}: drop a handle"));
            world.drop_handle(n);
        }
        _ => {
            script.tell(|| format!("{id}.cancel()"));
            world.model.end(id, End::plain(Error::Canceled));
            world.fuses.call(|| world.handles[n].0.cancel());
        }
    }
    Ok(true)
}

fn on_context(world: &mut World, script: &mut Script, what: What) -> bool {
    if what == What::CloneContext {
        let (ctx, id) = world.contexts[script.below(world.contexts.len())].clone();
        script.tell(|| format!("{id}: clone a context"));
        world.keep(ctx, id);
        return true;
    }
    // The two roots stay.
    if world.contexts.len() <= 2 {
        return false;
    }
    let n = 2 + script.below(world.contexts.len() - 2);
    script.tell(|| format!("{}: drop a context", world.contexts[n].1));
    world.drop_context(n);
    true
}

fn on_guard(world: &mut World, script: &mut Script, what: What) -> bool {
    if world.guards.is_empty() {
        return false;
    }
    let n = script.below(world.guards.len());
    let id = world.guards[n].1;
    if what == What::Disarm {
        script.tell(|| format!("{id}: disarm a guard"));
        let (guard, id) = world.guards.swap_remove(n);
        world.handles.push((guard.disarm(), id));
    } else {
        script.tell(|| format!("{id}: drop a guard"));
        world.drop_guard(n);
    }
    true
}

fn reset(world: &mut World, script: &mut Script, n: usize, what: What) -> Result<(), String> {
    let (handle, id) = world.handles[n].clone();
    let (must, is) = if what == What::ResetDeadline {
        let (at, when, past) = instant(world, script);
        script.tell(|| format!("{id}.reset_deadline(past: {past}, never: {})", when.is_none()));
        let is = world.fuses.call(|| handle.reset_deadline(at));
        (world.model.reset(id, when, past), is)
    } else {
        let after = duration(world, script);
        script.tell(|| format!("{id}.reset_timeout({after:?})"));
        let before = now();
        let is = world.fuses.call(|| handle.reset_timeout(after));
        (world.model.reset(id, ahead(before, after), after.is_zero()), is)
    };
    match is {
        Some(is) if is != must => Err(format!("reset of {id} gave {is}, must be {must}")),
        _ => Ok(()),
    }
}
