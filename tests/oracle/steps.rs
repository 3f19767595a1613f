//! One step: an operation, done to the model and to the real thing.
//!
//! Every constructor and operation that a sequential program has is a [`What`]; what only looks is in `compare`.
#![cfg(not(feature = "loom"))]

use super::blast::{Bomb, Who};
use super::script::{STEP, Script};
use super::world::World;
use super::{clock, derive, handles, waits};
use crate::common::*;
use ripcord::{Cause, Error};

/// More contexts, handles and so on than this are not kept.
const MOST: usize = 9;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    WithCancel,
    WithDeadline,
    WithDeadlineCause,
    WithTimeout,
    WithTimeoutCause,
    WithValue,
    WithoutCancel,
    WithCancelFrom,
    WithCancelOn,
    Cancel,
    CancelCause,
    ResetDeadline,
    ResetTimeout,
    DropGuard,
    Disarm,
    EndGuard,
    CloneContext,
    CloneHandle,
    ContextOfHandle,
    DropContext,
    DropHandle,
    AfterFunc,
    Stop,
    DropStopper,
    IntoDone,
    Done,
    Run,
    Poll,
    DropWaiter,
    FinishWork,
    CompleteFuture,
    WakeForNothing,
    Wait,
    Pass,
}

use What::*;

/// What the first byte of a step says. What stands here twice happens twice as often.
pub(crate) const WHATS: &[What] = &[
    WithCancel,
    WithCancel,
    WithCancel,
    WithDeadline,
    WithDeadlineCause,
    WithTimeout,
    WithTimeoutCause,
    WithValue,
    WithValue,
    WithoutCancel,
    WithCancelFrom,
    WithCancelFrom,
    WithCancelOn,
    Cancel,
    CancelCause,
    ResetDeadline,
    ResetTimeout,
    DropGuard,
    Disarm,
    EndGuard,
    CloneContext,
    CloneHandle,
    ContextOfHandle,
    DropContext,
    DropContext,
    DropHandle,
    DropHandle,
    AfterFunc,
    AfterFunc,
    Stop,
    DropStopper,
    IntoDone,
    Done,
    Run,
    Poll,
    Poll,
    DropWaiter,
    FinishWork,
    CompleteFuture,
    WakeForNothing,
    Wait,
    Pass,
    Pass,
    Pass,
];

/// A cause, and its text.
pub(crate) fn cause(world: &World, script: &mut Script) -> (Cause, String) {
    match script.below(7) {
        0 => ("a text".into(), "a text".into()),
        1 => {
            let text = format!("string {}", script.below(256));
            (text.clone().into(), text)
        }
        2 => (().into(), Error::Canceled.to_string()),
        3 => (Error::Canceled.into(), Error::Canceled.to_string()),
        4 => (Error::DeadlineExceeded.into(), Error::DeadlineExceeded.to_string()),
        5 => {
            let (ctx, id) = &world.contexts[script.below(world.contexts.len())];
            match (ctx.cause(), world.model.end_of(*id)) {
                (Some(cause), Some(end)) => (cause, end.text.clone()),
                _ => (Cause::from(Box::<dyn std::error::Error + Send + Sync>::from("boxed")), "boxed".into()),
            }
        }
        _ => {
            let n = u32::try_from(script.below(256)).unwrap_or(0);
            if script.below(4) == 1 {
                let bomb = Bomb(world.fuses.fuse(Who::Cause));
                let text = bomb.to_string();
                return (Cause::new(bomb), text);
            }
            (oops(n), format!("oops {n}"))
        }
    }
}

/// Does one step; the comparison comes after it. What it did: nothing, if there was nothing to do it to.
pub(crate) fn step(world: &mut World, script: &mut Script, bytes: [u8; STEP]) -> Result<Option<What>, String> {
    script.begin(bytes);
    if make_room(world, script)? {
        // What a value ended when it was dropped counts before the step.
        world.compare_ends()?;
    }
    let what = WHATS[script.below(WHATS.len())];
    let done = match what {
        WithCancel | WithDeadline | WithDeadlineCause | WithTimeout | WithTimeoutCause | WithValue | WithoutCancel
        | WithCancelFrom | WithCancelOn => derive::step(world, script, what).map(|()| true),
        Cancel | CancelCause | ResetDeadline | ResetTimeout | DropGuard | Disarm | EndGuard | CloneContext
        | CloneHandle | ContextOfHandle | DropContext | DropHandle => handles::step(world, script, what),
        AfterFunc | Stop | DropStopper | IntoDone | Done | Run | Poll | DropWaiter | FinishWork | CompleteFuture
        | WakeForNothing | Wait => waits::step(world, script, what),
        Pass => clock::pass(world, script),
    };
    done.map(|done| done.then_some(what))
}

/// Lets go of what is too much, before the step: true if something was.
fn make_room(world: &mut World, script: &mut Script) -> Result<bool, String> {
    let mut some = false;
    // The two roots stay.
    while world.contexts.len() > MOST {
        let n = 2 + world.step % (world.contexts.len() - 2);
        script.tell(|| format!("{}: drop a context (too many)", world.contexts[n].1));
        world.drop_context(n);
        some = true;
    }
    while world.handles.len() > MOST {
        let n = world.step % world.handles.len();
        script.tell(|| format!("{}: drop a handle (too many)", world.handles[n].1));
        world.drop_handle(n);
        some = true;
    }
    while world.guards.len() > MOST / 2 {
        script.tell(|| format!("{}: drop a guard (too many)", world.guards[0].1));
        world.drop_guard(0);
        some = true;
    }
    while world.waiting.len() > MOST {
        let n = world.step % world.waiting.len();
        script.tell(|| format!("drop waiter {} (too many)", world.waiting[n].number));
        world.drop_waiter(n)?;
        some = true;
    }
    Ok(some)
}
