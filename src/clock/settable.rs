//! The source of time with feature `test-util`: the system's clock, until somebody stops it and moves it by hand.
//!
//! # Invariants
//!
//! 1. Nobody sees time run backward: whoever reads a running clock reads the system's under the lock, so a stop comes
//!    after all that was read before it, and a start goes on from where the clock stood.
//! 2. No lock is held while deadlines fire: what they call may stop, move and start the clock itself.
//!
//! # Not here
//!
//! Who fires: [`time`](crate::time).

use super::{NEVER, Tick, tick_of};
use crate::sync::thread::{self, Thread};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

struct Setting {
    /// The clock's time less the system's, while it runs.
    lead: i64,
    /// Where it stands, if it does.
    stopped: Option<Tick>,
    /// Where it will stand when all advances under way have come to their ends.
    goal: Tick,
}

static SETTING: RwLock<Setting> = RwLock::new(Setting { lead: 0, stopped: None, goal: 0 });

/// Who sleeps until when: nobody else would wake them when the clock is moved.
static SLEEPERS: Mutex<Vec<(Tick, Thread)>> = Mutex::new(Vec::new());

/// The last tick there is.
const LAST: Tick = NEVER - 1;

impl Setting {
    fn running(&self) -> Tick {
        tick_of(Instant::now()).saturating_add_signed(self.lead).min(LAST)
    }

    fn now(&self) -> Tick {
        self.stopped.unwrap_or_else(|| self.running())
    }
}

/// The setting, looked at.
fn with<R>(look: impl FnOnce(&Setting) -> R) -> R {
    look(&SETTING.read().unwrap_or_else(PoisonError::into_inner))
}

/// The setting, changed.
fn change<R>(change: impl FnOnce(&mut Setting) -> R) -> R {
    change(&mut SETTING.write().unwrap_or_else(PoisonError::into_inner))
}

/// The clock, read now.
pub(crate) fn now() -> Tick {
    with(Setting::now)
}

/// The clock, if it runs.
pub(crate) fn running() -> Option<Tick> {
    with(|setting| setting.stopped.is_none().then(|| setting.running()))
}

/// Ticks count from the first look at the system's clock.
pub(super) fn zero() -> Instant {
    Instant::now()
}

/// Whether a tick has passed. Only this clock knows: one that stands has nothing to do with the kernel's.
pub(super) fn has_passed(at: Tick) -> bool {
    at <= now()
}

/// Stops the clock where it is.
pub(crate) fn stop() {
    change(|setting| {
        let now = setting.now();
        if setting.stopped.is_none() {
            (setting.stopped, setting.goal) = (Some(now), now);
        }
    });
}

/// Lets the clock go on from where it stands, or from where it was going.
pub(crate) fn start() {
    change(|setting| {
        if let Some(at) = setting.stopped.take() {
            // Both below 2^63.
            setting.lead = at.max(setting.goal) as i64 - tick_of(Instant::now()) as i64;
        }
    });
    wake_sleepers();
}

/// An advance begins: where it ends. A running clock is there at once.
pub(crate) fn aim(by: Duration) -> Tick {
    let by = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
    change(|setting| {
        if setting.stopped.is_some() {
            setting.goal = setting.goal.saturating_add_signed(by).min(LAST);
            setting.goal
        } else {
            setting.lead = setting.lead.saturating_add(by);
            setting.running()
        }
    })
}

/// A stopped clock that has not come so far is moved there; what time it is now, at least that.
pub(crate) fn reach(to: Tick) -> Tick {
    let now = change(|setting| {
        if let Some(at) = &mut setting.stopped {
            *at = to.max(*at);
        }
        setting.now()
    });
    wake_sleepers();
    now
}

fn wake_sleepers() {
    let now = with(|setting| setting.stopped.unwrap_or(NEVER));
    for (until, thread) in SLEEPERS.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        if *until <= now {
            thread.unpark();
        }
    }
}

/// Parks this thread until then, or until somebody unparks it; may return earlier, as parking may.
pub(crate) fn park_until(until: Tick) {
    let me = thread::current();
    let own = me.id();
    SLEEPERS.lock().unwrap_or_else(PoisonError::into_inner).push((until, me));
    // Looked at after we are on the list: whoever moves the clock from here on finds us there.
    let (now, stands) = with(|setting| (setting.now(), setting.stopped.is_some()));
    if now < until {
        if stands {
            thread::park();
        } else {
            thread::park_timeout(Duration::from_nanos(until - now));
        }
    }
    let mut sleepers = SLEEPERS.lock().unwrap_or_else(PoisonError::into_inner);
    // A thread sleeps in one place at a time.
    sleepers.retain(|(_, thread)| thread.id() != own);
}
