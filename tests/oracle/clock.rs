//! What time it is for a script. With feature `test-util` it stands still until a step lets some pass; without it, it is
//! the system's, and every deadline is past, or too far away to be seen.
#![cfg(not(feature = "loom"))]

use super::script::Script;
use super::world::{Outcome, World};
use std::time::{Duration, Instant};

/// Whether time stands still, and passes when a step says so.
pub(crate) const STANDS: bool = cfg!(feature = "test-util");

/// Deadlines are so many thousand of these away. The clock of a process ends after two hundred years, and a fuzzer runs
/// millions of scripts in one.
pub(crate) const UNIT: Duration = if STANDS { Duration::from_millis(1) } else { Duration::from_secs(1) };

/// What time it is by the clock that deadlines go by.
pub(crate) fn now() -> Instant {
    #[cfg(feature = "test-util")]
    return ripcord::time::now();
    #[cfg(not(feature = "test-util"))]
    Instant::now()
}

/// The clock of the process, for one script at a time; it runs on when this is dropped.
#[derive(Debug)]
pub(crate) struct Clock {
    #[cfg(feature = "test-util")]
    turn: std::sync::MutexGuard<'static, ()>,
}

impl Clock {
    pub(crate) fn take() -> Clock {
        #[cfg(feature = "test-util")]
        {
            let turn = crate::common::alone::alone();
            ripcord::time::pause();
            Clock { turn }
        }
        #[cfg(not(feature = "test-util"))]
        Clock {}
    }
}

#[cfg(feature = "test-util")]
impl Drop for Clock {
    fn drop(&mut self) {
        ripcord::time::resume();
    }
}

fn advance(by: Duration) {
    #[cfg(feature = "test-util")]
    ripcord::time::advance(by);
    #[cfg(not(feature = "test-util"))]
    unreachable!("{by:?} cannot be made to pass");
}

/// Lets time pass: to a deadline, to the moment before or after one, or just so. False: time passes by itself.
pub(crate) fn pass(world: &mut World, script: &mut Script) -> Result<bool, String> {
    if !STANDS {
        return Ok(false);
    }
    let now = now();
    let how = script.below(4);
    let far = script.below(256);
    let known = world.model.pending();
    let nanosecond = Duration::from_nanos(1);
    let goal = match (how, known.get(far % known.len().max(1))) {
        (0, Some((at, _))) => *at,
        (1, Some((at, _))) => (*at - nanosecond).max(now),
        (2, Some((at, _))) => *at + nanosecond,
        _ => now + UNIT * 16 * far as u32,
    };
    // A value that cancels when it is dropped does so in between: then one deadline after the other.
    let at_once = world.model.grudges.is_empty() && script.below(2) == 0;
    script.tell(|| format!("{:?} pass, at once: {at_once}; pending: {known:?}", goal - now));
    pass_until(world, goal, at_once)?;
    Ok(true)
}

/// So much later, as the model has it: each deadline on the way ends what is live of its context.
fn pass_until(world: &mut World, goal: Instant, at_once: bool) -> Outcome {
    if at_once {
        world.fuses.call(|| advance(goal - now()));
    }
    while let Some((at, id)) = world.model.pending().first().copied().filter(|(at, _)| *at <= goal) {
        world.fired += usize::from(world.model.fire(id));
        if !at_once {
            world.fuses.call(|| advance(at - now()));
            world.compare_ends()?;
        }
    }
    if !at_once {
        world.fuses.call(|| advance(goal - now()));
    }
    if now() == goal { Ok(()) } else { Err(format!("the clock is at {:?}, must be at {goal:?}", now())) }
}

/// Nobody holds anything any more: what is registered ends with the last deadline, if time can be made to pass.
pub(crate) fn pass_all(world: &mut World) -> Outcome {
    match world.model.pending().last() {
        Some((at, _)) if STANDS => pass_until(world, *at, false),
        _ => Ok(()),
    }
}
