//! The state of a shutdown, and its steps.
//!
//! # Invariants
//!
//! 1. The context of a stage is a child of the next one's: when a stage comes, those before it have come.
//! 2. The lock is never held while a context is ended or a timer is stopped: both run other people's code.
//! 3. A shutdown that has begun and is not over has a guard, and guards keep it: so its timers need not.
//! 4. The parent's end reaches the first stage's context before the function that begins the shutdown. Whoever takes the lock
//!    between the two writes the beginning down: context and report say the same. Who only looks leaves the telling to others.

use super::report::{Reached, Report, Running};
use super::roll::Roll;
use super::stage::{Overdue, Plan, Stage};
use crate::cause::Cause;
use crate::clock::{self, Tick};
use crate::context::{AfterFunc, CancelHandle, Context};
use crate::sync::{AtomicUsize, Mutex, MutexGuard, Ordering};
use crossbeam_utils::CachePadded;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

/// In [`Shared::held`]: the shutdown has begun. The count of guards is in the other bits.
const GOING: usize = 1;
const ONE: usize = 2;

struct Progress {
    plan: Plan,
    began: Option<Tick>,
    /// The last stage that came is the last entry.
    stages: Vec<Reached>,
    /// Written down by somebody who only looked, and to be told.
    untold: Option<Written>,
    rolls: Vec<Arc<Roll>>,
    /// To the next stage.
    timer: Option<(CancelHandle, AfterFunc)>,
    over: Option<(Tick, Vec<Running>)>,
}

/// The last of the stages that came together, why, and when.
type Written = (Stage, Cause, Tick);

impl Progress {
    fn stage(&self) -> Option<Stage> {
        self.stages.last().map(|reached| reached.stage)
    }

    /// When the budget is spent.
    fn limit(&self) -> Tick {
        self.began.map_or(clock::NEVER, |began| later(began, self.plan.budget))
    }

    /// Writes down the stage, and those that come with it.
    fn write(&mut self, stage: Stage, cause: Option<Cause>) -> Written {
        let now = clock::now();
        let after = since(*self.began.get_or_insert(now), now);
        let cause = cause.unwrap_or_else(|| {
            let reason = self.stages.first().map_or_else(|| Cause::from(()), |first| first.cause.clone());
            Cause::new(Overdue { stage, after, reason })
        });
        let running = self.running();
        let mut last = stage;
        loop {
            let reached = Reached { stage: last, after, cause: cause.clone(), running: running.clone() };
            self.stages.push(reached);
            match last.next() {
                Some(next) if self.plan.time_of(last).is_zero() => last = next,
                _ => return (last, cause, now),
            }
        }
    }

    fn running(&self) -> Vec<Running> {
        self.rolls.iter().map(|roll| roll.running()).filter(|running| running.count > 0).collect()
    }
}

pub(super) struct Shared {
    stages: [(Context, CancelHandle); 4],
    over: (Context, CancelHandle),
    held: CachePadded<AtomicUsize>,
    progress: Mutex<Progress>,
    /// Listens to the parent.
    follows: OnceLock<AfterFunc>,
}

/// A function keeps its context listening: a shutdown that never began must not stay with a parent that lives on.
impl Drop for Shared {
    fn drop(&mut self) {
        self.follows.get().map(AfterFunc::stop);
    }
}

impl Shared {
    pub(super) fn new(parent: &Context, plan: Plan) -> Shared {
        let abort = parent.without_cancel().with_cancel();
        let cancel = abort.0.with_cancel();
        let drain = cancel.0.with_cancel();
        let stop = drain.0.with_cancel_from(parent);
        let progress = Progress {
            plan,
            began: None,
            stages: Vec::new(),
            untold: None,
            rolls: Vec::new(),
            timer: None,
            over: None,
        };
        Shared {
            stages: [stop, drain, cancel, abort],
            over: Context::background().with_cancel(),
            held: CachePadded::new(AtomicUsize::new(0)),
            progress: Mutex::new(progress),
            follows: OnceLock::new(),
        }
    }

    /// From now on, the end of the parent begins the shutdown.
    pub(super) fn follow(self: &Arc<Shared>) {
        let shared = Arc::downgrade(self);
        // Also called when the stage comes by itself; then it has come.
        let follows = self.until(Stage::Stop).after_func(move || {
            if let Some(shared) = shared.upgrade() {
                shared.come_to(Stage::Stop, shared.until(Stage::Stop).cause());
            }
        });
        let _ = self.follows.set(follows);
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        if progress.stages.is_empty() {
            if let Some(cause) = self.until(Stage::Stop).cause() {
                progress.untold = Some(progress.write(Stage::Stop, Some(cause)));
            }
        }
        progress
    }

    pub(super) fn until(&self, stage: Stage) -> &Context {
        &self.stages[stage as usize].0
    }

    pub(super) fn over(&self) -> &Context {
        &self.over.0
    }

    pub(super) fn set_shares(&self, shares: [u32; 3]) {
        self.lock().plan.shares = shares;
    }

    pub(super) fn stage(&self) -> Option<Stage> {
        self.lock().stage()
    }

    /// What is left of the budget; none before the beginning, and for a budget without end.
    pub(super) fn remaining(&self) -> Option<Duration> {
        let limit = self.lock().limit();
        clock::instant_of(limit).map(|_| since(clock::now(), limit))
    }

    pub(super) fn roll(&self, name: &'static str) -> Arc<Roll> {
        let mut progress = self.lock();
        if let Some(roll) = progress.rolls.iter().find(|roll| roll.name() == name) {
            return Arc::clone(roll);
        }
        let roll = Arc::new(Roll::new(name));
        progress.rolls.push(Arc::clone(&roll));
        roll
    }

    pub(super) fn enter(&self) {
        // ORDERING: Relaxed: whoever takes a guard while others leave holds one already, or may come too late.
        self.held.fetch_add(ONE, Ordering::Relaxed);
    }

    pub(super) fn leave(self: &Arc<Shared>) {
        // ORDERING: guards (both ends). The last one sees what all others did.
        let before = self.held.fetch_sub(ONE, Ordering::AcqRel);
        if before == ONE | GOING {
            self.finish();
        }
    }

    /// Comes to this stage, with those before it and those after it that have no time of their own. False: it had come.
    pub(super) fn come_to(self: &Arc<Shared>, stage: Stage, cause: Option<Cause>) -> bool {
        let untold = self.lock().untold.take();
        if let Some(beginning) = untold {
            self.tell(beginning);
        }
        let Some(entered) = self.enter_stage(stage, cause) else { return false };
        self.tell(entered);
        true
    }

    fn enter_stage(&self, stage: Stage, cause: Option<Cause>) -> Option<Written> {
        let mut progress = self.lock();
        if progress.over.is_some() || progress.stage() >= Some(stage) {
            return None;
        }
        Some(progress.write(stage, cause))
    }

    fn tell(self: &Arc<Shared>, (last, cause, entered): Written) {
        // Whatever people's code does when it is told, the rest takes place: the next stage, then the end.
        let _going = Going(self);
        let _arm = Arm { shared: self, stage: last, entered };
        self.stages[last as usize].1.cancel_cause(cause);
    }

    /// Sets the timer to the stage after this one, which was entered then.
    fn arm(self: &Arc<Shared>, stage: Stage, entered: Tick) {
        let (time, limit) = {
            let progress = self.lock();
            (progress.plan.time_of(stage), progress.limit())
        };
        let timer = stage.next().map(|next| {
            let (ctx, handle) = match clock::instant_of(later(entered, time).min(limit)) {
                Some(at) => Context::background().with_deadline(at),
                None => Context::background().with_cancel(),
            };
            let shared = Arc::downgrade(self);
            let then = ctx.after_func(move || {
                if let Some(shared) = shared.upgrade() {
                    shared.come_to(next, None);
                }
            });
            (handle, then)
        });
        let mut progress = self.lock();
        let late = if progress.over.is_none() && progress.stage() == Some(stage) {
            std::mem::replace(&mut progress.timer, timer)
        } else {
            timer
        };
        drop(progress);
        disarm(late);
    }

    /// Everybody has left, or nobody is waited for any more.
    fn finish(&self) {
        let mut progress = self.lock();
        if progress.over.is_some() {
            return;
        }
        let left = progress.running();
        progress.over = Some((clock::now(), left));
        let timer = progress.timer.take();
        drop(progress);
        let _over = self.over.1.clone().drop_guard();
        disarm(timer);
        self.stages[Stage::Abort as usize].1.cancel_cause("the shutdown is complete");
    }

    pub(super) fn report(&self) -> Report {
        let progress = self.lock();
        let (end, left) = match &progress.over {
            Some((end, left)) => (*end, left.clone()),
            None => (clock::now(), progress.running()),
        };
        Report {
            reason: progress.stages.first().map(|first| first.cause.clone()),
            stages: progress.stages.clone(),
            left,
            took: progress.began.map_or(Duration::ZERO, |began| since(began, end)),
            over: progress.over.is_some(),
        }
    }
}

fn since(earlier: Tick, later: Tick) -> Duration {
    Duration::from_nanos(later.saturating_sub(earlier))
}

fn later(tick: Tick, by: Duration) -> Tick {
    u64::try_from(by.as_nanos()).map_or(clock::NEVER, |nanos| tick.saturating_add(nanos).min(clock::NEVER))
}

/// Releases a timer at once. Its function may be running; then it comes too late.
fn disarm(timer: Option<(CancelHandle, AfterFunc)>) {
    if let Some((handle, then)) = timer {
        then.stop();
        drop(handle);
    }
}

/// Sets the timer when it is dropped: after those whose stage has come were told, so that they hear that cause.
struct Arm<'a> {
    shared: &'a Arc<Shared>,
    stage: Stage,
    entered: Tick,
}

impl Drop for Arm<'_> {
    fn drop(&mut self) {
        self.shared.arm(self.stage, self.entered);
    }
}

/// From the moment it is dropped on, the last guard ends the shutdown; the abort does in any case.
struct Going<'a>(&'a Arc<Shared>);

impl Drop for Going<'_> {
    fn drop(&mut self) {
        // ORDERING: guards (both ends).
        let before = self.0.held.fetch_or(GOING, Ordering::AcqRel);
        if before < ONE || self.0.until(Stage::Abort).is_done() {
            self.0.finish();
        }
    }
}
