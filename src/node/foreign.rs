//! A foreign parent: a future whose end ends a context. Nobody spawns anything for it.
//!
//! The future is polled once when the context is made, and then by its own waker, on the thread that wakes. A waker that
//! arrives while the future is being polled makes that poll be followed by another.
//!
//! # States
//!
//! ```text
//! IDLE ──wake──> POLLING ──pending──> IDLE
//!                │  ^  └──ready──> ENDING        the poller claims the node, under a pin, and ends it
//!            wake│  │poll again
//!                v  │
//!               AGAIN
//! any but ENDING ──disown──> DEAD                the node has ended otherwise, or is gone
//! ```
//!
//! Whoever moves IDLE on has the future to itself; the poller keeps it until it moves POLLING or AGAIN on.
//! ENDING is final: a node that is taken apart then goes through the epoch, because the poller may be looking at it.

use super::Node;
use super::cancel::By;
use super::told::{Garbage, Told};
use crate::cause::Cause;
use crate::foreign::{Disowned, Foreign};
use crate::shield::Shield;
use crate::state::Ended;
use crate::sync::{AtomicPtr, AtomicU32, Ordering, UnsafeCell, reclaim};
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

const IDLE: u32 = 0;
const POLLING: u32 = 1;
const AGAIN: u32 = 2;
const ENDING: u32 = 3;
const DEAD: u32 = 4;

pub(crate) struct Task<F> {
    phase: AtomicU32,
    /// Pinned: it is never moved out of the task, only dropped in place.
    future: UnsafeCell<Option<F>>,
    node: AtomicPtr<Node>,
}

// SAFETY: the future is `Send`, and the phase gives it to one thread at a time; the node is shareable.
unsafe impl<F: Send> Send for Task<F> {}
// SAFETY: as for `Send`.
unsafe impl<F: Send> Sync for Task<F> {}

impl<F> Task<F>
where
    F: Future + Send + 'static,
    F::Output: Into<Cause>,
{
    pub(crate) fn new(future: F) -> Arc<Task<F>> {
        Arc::new(Task {
            phase: AtomicU32::new(IDLE),
            future: UnsafeCell::new(Some(future)),
            node: AtomicPtr::new(ptr::null_mut()),
        })
    }

    /// The first poll. If the node was born ended, the future is dropped unpolled.
    ///
    /// # Safety
    ///
    /// The caller holds a handle on the node, whose extra part has this task.
    pub(crate) unsafe fn start(self: &Arc<Self>, node: NonNull<Node>) {
        // SAFETY: forwarded.
        if unsafe { node.as_ref() }.is_done() {
            if self.disown() == Disowned::Yours {
                self.drop_future();
            }
            return;
        }
        // ORDERING: Relaxed. The phase publishes it.
        self.node.store(node.as_ptr(), Ordering::Relaxed);
        self.wake_by_ref();
    }

    fn poll_until_pending(self: &Arc<Self>) {
        let waker = Waker::from(Arc::clone(self));
        let mut shield = Shield::new();
        loop {
            let polled = shield.run(|| {
                self.future.with_mut(|future| {
                    // SAFETY: the phase makes us the only one at the future.
                    let Some(future) = (unsafe { (*future).as_mut() }) else { return Poll::Pending };
                    // SAFETY: it lives in the task's own allocation and is only dropped there.
                    unsafe { Pin::new_unchecked(future) }.poll(&mut Context::from_waker(&waker)).map(Into::into)
                })
            });
            let output: Cause = match polled {
                Some(Poll::Ready(output)) => output,
                // Its panic is reported below; what it was to tell us can never come.
                None => Cause::from("a foreign parent panicked"),
                Some(Poll::Pending) => {
                    // ORDERING: foreign (both ends). What this poll did is seen by the next poller.
                    match self.phase.compare_exchange(POLLING, IDLE, Ordering::AcqRel, Ordering::Acquire) {
                        Ok(_) => break,
                        // ORDERING: foreign (both ends).
                        Err(AGAIN)
                            if self
                                .phase
                                .compare_exchange(AGAIN, POLLING, Ordering::AcqRel, Ordering::Acquire)
                                .is_ok() =>
                        {
                            continue;
                        }
                        Err(_) => {
                            // Disowned while we polled.
                            shield.run(|| self.drop_future());
                            break;
                        }
                    }
                }
            };
            self.finish(output, &mut shield);
            break;
        }
        shield.finish();
    }

    /// The future is ready: claims the node and ends it.
    fn finish(self: &Arc<Self>, output: Cause, shield: &mut Shield) {
        let mut told = Told::default();
        let pin = reclaim::pin();
        // ORDERING: foreign (both ends). Pinned first: a node that is taken apart after this is freed after the pin.
        let claimed = self
            .phase
            .compare_exchange(POLLING, ENDING, Ordering::AcqRel, Ordering::Acquire)
            .or_else(|_| self.phase.compare_exchange(AGAIN, ENDING, Ordering::AcqRel, Ordering::Acquire))
            .is_ok();
        match NonNull::new(self.node.load(Ordering::Relaxed)).filter(|_| claimed) {
            Some(node) => {
                // SAFETY: claimed under the pin.
                let node = unsafe { node.as_ref() };
                // SAFETY: as above.
                unsafe { node.mark(Ended::own(output), &mut told, By::Another) };
            }
            None => told.garbage.push(Garbage::Cause(output)),
        }
        drop(pin);
        told.garbage.push(Garbage::Future(Arc::clone(self) as Arc<dyn Foreign>));
        told.tell(shield);
    }
}

impl<F: Send> Foreign for Task<F> {
    fn disown(&self) -> Disowned {
        // ORDERING: foreign (reader). A state that is final is believed at once.
        let mut phase = self.phase.load(Ordering::Acquire);
        loop {
            match phase {
                ENDING => return Disowned::Ending,
                DEAD => return Disowned::Gone,
                _ => {}
            }
            // ORDERING: foreign (both ends).
            match self.phase.compare_exchange_weak(phase, DEAD, Ordering::AcqRel, Ordering::Acquire) {
                Ok(IDLE) => return Disowned::Yours,
                Ok(_) => return Disowned::Gone,
                Err(now) => phase = now,
            }
        }
    }

    fn drop_future(&self) {
        self.future.with_mut(|future| {
            // SAFETY: the caller has the future to itself; dropped in place.
            unsafe { *future = None };
        });
    }
}

impl<F> Wake for Task<F>
where
    F: Future + Send + 'static,
    F::Output: Into<Cause>,
{
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // ORDERING: foreign (reader), as in `disown`.
        let mut phase = self.phase.load(Ordering::Acquire);
        loop {
            let next = match phase {
                IDLE => POLLING,
                POLLING => AGAIN,
                // A poll will follow, or none will ever be needed.
                AGAIN => AGAIN,
                _ => return,
            };
            // ORDERING: foreign (both ends). What the waker did before is seen by the poll that it causes: also where the
            // word does not change, the poller acquires it.
            match self.phase.compare_exchange_weak(phase, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(IDLE) => return self.poll_until_pending(),
                Ok(_) => return,
                Err(now) => phase = now,
            }
        }
    }
}
