//! What is to be done in user code when the structure is in order: claimed entries to tell, and things to drop.
//!
//! Filled by the walks and by the way out, which run no user code; emptied by `tell`.

use super::Extra;
use crate::base::Base;
use crate::cause::Cause;
use crate::few::Few;
use crate::foreign::Foreign;
use crate::hook::{Hook, Job};
use crate::queue::Queue;
use crate::shield::Shield;
use crate::signal::Signal;
use crate::state::Ended;
use crate::trace::Ends;
use crate::value::Binding;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::Waker;

#[derive(Default)]
pub(crate) struct Told {
    pub(super) wakers: Few<Waker>,
    pub(super) hooks: Queue<Hook>,
    /// Hooks that nothing will ever call: their functions are dropped.
    pub(super) hopeless: Queue<Hook>,
    pub(super) garbage: Bin,
    /// For those who listen, if any.
    pub(super) ends: Ends<Cause>,
}

// SAFETY: all of it is claimed or given up, so nobody else's: functions that are Send, wakers, values and causes that are Send
// and Sync. Nothing in it leans on a pin, or on a thread.
unsafe impl Send for Told {}

/// Something whose drop is user code.
pub(super) enum Garbage {
    /// The future of a foreign parent that was disowned.
    Future(Arc<dyn Foreign>),
    /// The waker of one who will not be woken: nothing will ever end what it waits for.
    Waker(Waker),
    /// A function that nothing will call.
    Job(Job),
    /// A cause that came second, or whose context is gone.
    Cause(Cause),
    /// What few nodes have, the cause of a deadline for one.
    Extra(Box<Extra>),
    /// The values from here down, of which the last share was given back.
    Values(*const Binding),
    /// A count of a base, which may keep values.
    Base(Base),
}

/// Garbage, in the order in which it came.
#[derive(Default)]
pub(super) struct Bin(Few<Garbage>);

impl Told {
    pub(super) fn is_empty(&self) -> bool {
        self.wakers.is_empty()
            && self.hooks.is_empty()
            && self.hopeless.is_empty()
            && self.garbage.0.is_empty()
            && self.ends.is_empty()
    }

    /// Takes the waker of one who waited for this end.
    ///
    /// # Safety
    ///
    /// The caller is pinned, and the waker is the caller's to take.
    #[inline(never)]
    pub(super) unsafe fn takes(&mut self, signal: NonNull<Signal>) {
        // SAFETY: forwarded.
        let signal = unsafe { signal.as_ref() };
        // SAFETY: forwarded.
        self.wakers.push(unsafe { signal.take() });
    }

    /// An end that came too late: its cause goes with what is told, for its drop is user code.
    ///
    /// # Safety
    ///
    /// The state did not take it.
    #[inline(never)]
    pub(super) unsafe fn came_second(&mut self, ended: Ended) {
        // SAFETY: forwarded.
        self.garbage.extend(unsafe { ended.into_cause() }.map(Garbage::Cause));
    }
}

impl Bin {
    pub(super) fn push(&mut self, garbage: Garbage) {
        if matches!(&garbage, Garbage::Cause(cause) if !cause.is_shared()) {
            return;
        }
        self.0.push(garbage);
    }

    pub(super) fn extend(&mut self, garbage: Option<Garbage>) {
        if let Some(garbage) = garbage {
            self.push(garbage);
        }
    }

    pub(super) fn pop(&mut self) -> Option<Garbage> {
        self.0.pop()
    }
}

impl Garbage {
    /// Runs the drops: user code.
    pub(super) fn drop_now(self, shield: &mut Shield) {
        match self {
            Garbage::Future(foreign) => {
                shield.run(|| foreign.drop_future());
            }
            Garbage::Waker(waker) => {
                shield.run(|| drop(waker));
            }
            Garbage::Job(job) => {
                shield.run(|| drop(job));
            }
            Garbage::Cause(cause) => {
                shield.run(|| drop(cause));
            }
            Garbage::Extra(extra) => {
                shield.run(|| drop(extra));
            }
            // SAFETY: nobody has a share.
            Garbage::Values(values) => unsafe { Binding::end(values, shield) },
            // SAFETY: the count was given up for this.
            Garbage::Base(base) => unsafe { base.release(shield) },
        }
    }
}
