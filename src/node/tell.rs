//! After the marking: wake, call, drop. All of it is user code.
//!
//! Nothing is pinned here and no walk is under way, so user code may do what it likes with the same tree. Wakers come
//! first, because a slow function should delay other functions only.
//!
//! # Depth
//!
//! A waker may end another context (a foreign parent does), whose wakers end the next. A few levels nest, as a reader
//! of the stack would expect; deeper ones are queued for the outermost, so a chain of any length fits any stack.

use super::foreign::{Disowned, Foreign};
use super::release;
use crate::cause::Cause;
use crate::config;
use crate::hook::{Hook, Job};
use crate::queue::Queue;
use crate::shield::Shield;
use crate::signal::Signal;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ptr::NonNull;
use std::sync::Arc;

/// How many tellings nest on one stack.
const NESTED: usize = 8;

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    static DEFERRED: RefCell<VecDeque<Told>> = const { RefCell::new(VecDeque::new()) };
}

/// Who was claimed during a marking, and is to be told.
#[derive(Default)]
pub(crate) struct Told {
    pub(super) signals: Queue<Signal>,
    pub(super) hooks: Queue<Hook>,
    /// Hooks that nothing will ever call: their functions are dropped.
    pub(super) hopeless: Queue<Hook>,
    /// Foreign parents of contexts that ended otherwise.
    pub(super) futures: Vec<Arc<dyn Foreign>>,
    /// Causes that came second.
    pub(super) causes: Vec<Cause>,
}

impl Told {
    fn is_empty(&self) -> bool {
        self.signals.is_empty()
            && self.hooks.is_empty()
            && self.hopeless.is_empty()
            && self.futures.is_empty()
            && self.causes.is_empty()
    }

    /// Tells everybody. Every piece of user code runs behind the shield.
    pub(crate) fn tell(self, shield: &mut Shield) {
        if self.is_empty() {
            return;
        }
        let depth = DEPTH.try_with(Cell::get).unwrap_or(0);
        if depth >= NESTED {
            let mut told = Some(self);
            let queued = DEFERRED.try_with(|queue| queue.borrow_mut().extend(told.take()));
            if queued.is_err() {
                // The thread is ending and has lost its queue: nesting is all that is left.
                told.into_iter().for_each(|told| told.tell_now(shield));
            }
            return;
        }
        let _ = DEPTH.try_with(|cell| cell.set(depth + 1));
        self.tell_now(shield);
        if depth == 0 {
            while let Some(next) = DEFERRED.try_with(|queue| queue.borrow_mut().pop_front()).ok().flatten() {
                next.tell_now(shield);
            }
        }
        let _ = DEPTH.try_with(|cell| cell.set(depth));
    }

    fn tell_now(mut self, shield: &mut Shield) {
        while let Some(signal) = self.signals.pop() {
            // SAFETY: claimed by us.
            shield.run(|| unsafe { signal.as_ref() }.wake());
            // SAFETY: claimed by us, and popped.
            shield.run(|| unsafe { Signal::told(signal) });
        }
        for foreign in self.futures {
            if foreign.disown() == Disowned::Yours {
                shield.run(|| foreign.drop_future());
            }
        }
        for cause in self.causes {
            shield.run(|| drop(cause));
        }
        while let Some(hook) = self.hopeless.pop() {
            // SAFETY: claimed by us, and popped.
            let job = unsafe { take(hook, shield) };
            shield.run(|| drop(job));
        }
        if self.hooks.is_empty() {
            return;
        }
        let executor = config::callbacks();
        while let Some(hook) = self.hooks.pop() {
            // SAFETY: claimed by us, and popped.
            let job = unsafe { take(hook, shield) };
            match &executor {
                None => shield.run(|| job.run()),
                Some(execute) => shield.run(|| execute(Box::new(move || job.run()))),
            };
        }
    }
}

/// Makes a claimed hook leave its seat; what is left is its function.
///
/// # Safety
///
/// The caller claimed it, and calls this once.
unsafe fn take(hook: NonNull<Hook>, shield: &mut Shield) -> Job {
    // SAFETY: forwarded.
    let left = unsafe { Hook::vacate(hook) };
    // SAFETY: forwarded: the slot's share goes with the job.
    let job = unsafe { Job::new(hook) };
    if let Some((owner, left)) = left {
        // SAFETY: it sat in the slots of this node.
        unsafe { release::left(owner.cast(), left, shield) };
    }
    job
}

/// Runs a function whose context has ended before it could be registered.
pub(crate) fn run_now(job: Job) {
    let mut shield = Shield::new();
    match config::callbacks() {
        None => shield.run(|| job.run()),
        Some(execute) => shield.run(|| execute(Box::new(move || job.run()))),
    };
    shield.finish();
}
