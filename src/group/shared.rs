//! What the members of a group share: who is in, who may run, what went wrong first.
//!
//! A mutex will do here: a member is a thread or a task, and the lock is taken a few times in its life.
//!
//! # Lines
//!
//! Whoever waits - a member for its permit, a caller for everybody's leaving - stands in a [`Line`] with a context of
//! its own, and is called by canceling that. So threads and tasks wait in the same way, by means of the core. A member
//! stands with a child of the group's context: the group's end calls it too.
//!
//! # Invariants
//!
//! 1. A number that is no longer in the line has been served: its owner holds a permit, or everybody has left.
//! 2. `running` counts the permits, those included whose owners were called and have not noticed yet.
//! 3. Nobody stands for a permit while one is free.
//! 4. `first` is set before the context is canceled with it.
//! 5. Contexts are canceled, and users' values dropped, without the lock.

use super::error::{Panicked, SpawnError};
use crate::cause::Cause;
use crate::context::{CancelHandle, Context};
use crate::error::Error;
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(super) type Payload = Box<dyn Any + Send>;

/// First come, first served; leaving out of turn is cheap too.
#[derive(Default)]
struct Line {
    next: u64,
    standing: BTreeMap<u64, CancelHandle>,
}

impl Line {
    fn stand(&mut self, call: CancelHandle) -> u64 {
        let number = self.next;
        self.next += 1;
        self.standing.insert(number, call);
        number
    }

    /// False: too late, it has been served.
    fn leave(&mut self, number: u64) -> bool {
        self.standing.remove(&number).is_some()
    }
}

struct State {
    limit: usize,
    members: usize,
    running: usize,
    /// For a permit.
    queue: Line,
    /// For everybody's leaving.
    waiting: Line,
    /// Everybody has left and was waited for: nobody comes in any more.
    closed: bool,
    first: Option<Cause>,
    panic: Option<Payload>,
}

impl State {
    /// Gives a free permit to the next in line, who is to be called.
    #[must_use]
    fn admit(&mut self) -> Option<CancelHandle> {
        if self.running >= self.limit {
            return None;
        }
        let (_, call) = self.queue.standing.pop_first()?;
        self.running += 1;
        Some(call)
    }
}

pub(super) struct Shared {
    ctx: Context,
    handle: CancelHandle,
    state: Mutex<State>,
}

impl Shared {
    pub(super) fn new(parent: &Context) -> Shared {
        let (ctx, handle) = parent.with_cancel();
        let state = State {
            limit: usize::MAX,
            members: 0,
            running: 0,
            queue: Line::default(),
            waiting: Line::default(),
            closed: false,
            first: None,
            panic: None,
        };
        Shared { ctx, handle, state: Mutex::new(state) }
    }

    pub(super) fn ctx(&self) -> &Context {
        &self.ctx
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_limit(&self, limit: usize) {
        let mut state = self.lock();
        state.limit = limit;
        let calls: Vec<_> = std::iter::from_fn(|| state.admit()).collect();
        drop(state);
        for call in calls {
            self.guarded(|| call.cancel());
        }
    }

    /// A new member, without a permit yet; none if the group is closed.
    pub(super) fn enter(self: &Arc<Shared>) -> Option<Member> {
        let mut state = self.lock();
        if state.closed {
            return None;
        }
        state.members += 1;
        drop(state);
        Some(Member { shared: Arc::clone(self), permit: Permit::None })
    }

    /// Why the group has ended. Between closing and canceling there is no cause yet; it will be a plain one.
    pub(super) fn cause(&self) -> Cause {
        self.ctx.cause().unwrap_or_else(|| Cause::from(Error::Canceled))
    }

    /// A member failed. When this returns the group has ended.
    pub(super) fn fail(&self, cause: Cause) {
        let mut state = self.lock();
        let second = if state.first.is_none() { state.first.replace(cause) } else { Some(cause) };
        let first = state.first.clone();
        drop(state);
        // Who came second cancels with the first one's cause: the first may not have got round to it.
        self.guarded(|| first.map(|first| self.handle.cancel_cause(first)));
        self.guarded(|| drop(second));
    }

    /// A member panicked: `wait` will go on with it.
    pub(super) fn panicked(&self, payload: Payload) -> Cause {
        let cause = Cause::new(Panicked::of(&*payload));
        self.keep(payload);
        self.fail(cause.clone());
        cause
    }

    /// Keeps the first panic. `std` has printed the others.
    fn keep(&self, payload: Payload) {
        let mut state = self.lock();
        if state.panic.is_none() {
            state.panic = Some(payload);
            return;
        }
        drop(state);
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(second);
        }
    }

    /// Runs what runs other people's code (wakers, callbacks, drops) where nobody must unwind.
    pub(super) fn guarded<R>(&self, f: impl FnOnce() -> R) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(f()))) {
            self.keep(payload);
        }
    }

    /// Stands in line until everybody has left; none if everybody has, and then the group is closed.
    pub(super) fn stand(&self) -> Option<(u64, Context)> {
        let mut state = self.lock();
        if state.closed || state.members == 0 {
            state.closed = true;
            return None;
        }
        let (left, call) = Context::background().with_cancel();
        Some((state.waiting.stand(call), left))
    }

    /// Stops waiting. False: everybody has left just now.
    pub(super) fn walk_off(&self, number: u64) -> bool {
        self.lock().waiting.leave(number)
    }

    /// The group's result, once everybody has left.
    pub(super) fn result(&self) -> Result<(), Cause> {
        // Whoever closed the group cancels too, but may be at it still.
        self.guarded(|| self.handle.cancel());
        let mut state = self.lock();
        // A second panic on this thread would abort.
        let panic = if std::thread::panicking() { None } else { state.panic.take() };
        let first = state.first.clone();
        drop(state);
        match (panic, first) {
            (Some(payload), first) => {
                drop(first);
                resume_unwind(payload)
            }
            (None, Some(first)) => Err(first),
            (None, None) => Ok(()),
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        let (limit, members, running, closed) = (state.limit, state.members, state.running, state.closed);
        drop(state);
        let mut debug = f.debug_struct("Group");
        debug.field("context", &self.ctx).field("members", &members).field("running", &running);
        if limit < usize::MAX {
            debug.field("limit", &limit);
        }
        debug.field("waited_for", &closed).finish()
    }
}

enum Permit {
    None,
    /// Standing in line with this number, called through this context.
    Asked(u64, Context),
    Held,
}

/// One place in the group, from the moment the work was asked for. Dropping it is leaving.
pub(super) struct Member {
    shared: Arc<Shared>,
    permit: Permit,
}

impl Member {
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Asks for a permit, or whether the call has come. True: it may run. Does not look whether the group has ended.
    pub(super) fn ask(&mut self) -> bool {
        let mut state = self.shared.lock();
        match &self.permit {
            Permit::Held => return true,
            Permit::Asked(number, _) if state.queue.standing.contains_key(number) => return false,
            Permit::Asked(..) => {}
            Permit::None if state.running < state.limit => state.running += 1,
            Permit::None => {
                let (called, call) = self.shared.ctx.with_cancel();
                self.permit = Permit::Asked(state.queue.stand(call), called);
                return false;
            }
        }
        drop(state);
        self.permit = Permit::Held;
        true
    }

    pub(super) fn has_permit(&self) -> bool {
        matches!(self.permit, Permit::Held)
    }

    /// What ends when the member is called, or its group ends. Only while it stands in line.
    pub(super) fn called(&self) -> Option<&Context> {
        match &self.permit {
            Permit::Asked(_, called) => Some(called),
            Permit::None | Permit::Held => None,
        }
    }

    /// Blocks for a permit, or only asks. Work that was asked for in vain must not look done: an end that comes first
    /// counts as this member's error.
    pub(super) fn admitted(mut self, block: bool) -> Result<Member, SpawnError> {
        loop {
            if self.shared.ctx.is_done() {
                return Err(SpawnError::Ended(self.cut_short()));
            }
            if self.ask() {
                return Ok(self);
            }
            match self.called() {
                Some(called) if block => called.wait(),
                _ => return Err(SpawnError::Full),
            };
        }
    }

    /// The group's end came before the member's. Leaves.
    pub(super) fn cut_short(self) -> Cause {
        let cause = self.shared.cause();
        self.shared.fail(cause.clone());
        cause
    }

    /// The member is through: reports how it ended, and leaves.
    pub(super) fn conclude<T>(self, ended: Result<Result<T, Cause>, Payload>) -> Result<T, Cause> {
        match ended {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(cause)) => {
                self.shared.fail(cause.clone());
                Err(cause)
            }
            Err(payload) => Err(self.shared.panicked(payload)),
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let held = match self.permit {
            Permit::None => false,
            Permit::Asked(number, _) => !state.queue.leave(number),
            Permit::Held => true,
        };
        state.running -= usize::from(held);
        state.members -= 1;
        let next = state.admit();
        let mut waiting = BTreeMap::new();
        if state.members == 0 && !state.waiting.standing.is_empty() {
            state.closed = true;
            waiting = std::mem::take(&mut state.waiting.standing);
        }
        drop(state);
        self.shared.guarded(|| next.map(|call| call.cancel()));
        if !waiting.is_empty() {
            self.shared.guarded(|| self.shared.handle.cancel());
            for call in waiting.into_values() {
                self.shared.guarded(|| call.cancel());
            }
        }
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.permit {
            Permit::None => "not started",
            Permit::Asked(..) => "waits for the limit",
            Permit::Held => "runs",
        })
    }
}

/// What the handles of a group hold in common: when the last goes, the group ends.
pub(super) struct Owner(pub(super) Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        if !self.0.ctx.is_done() {
            self.0.handle.cancel_cause("the group was dropped");
        }
    }
}
