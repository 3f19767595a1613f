//! Runs user code that may panic, and keeps the panic until the work is done.
//!
//! Wakers, callbacks, value drops and foreign futures are other people's code. None of them may strand the rest of a
//! fan-out, so each runs behind a [`Shield`], and the shield speaks up at the end.

use crate::config;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Collects panics; reports them when it is finished.
#[derive(Default)]
pub(crate) struct Shield {
    first: Option<Box<dyn Any + Send>>,
}

impl Shield {
    pub(crate) const fn new() -> Self {
        Shield { first: None }
    }

    /// Runs `f`. A panic goes to the installed hook at once, or is kept if it is the first.
    #[inline]
    pub(crate) fn run<R>(&mut self, f: impl FnOnce() -> R) -> Option<R> {
        match catch_unwind(AssertUnwindSafe(f)) {
            Ok(value) => Some(value),
            Err(payload) => {
                self.note(payload);
                None
            }
        }
    }

    #[cold]
    fn note(&mut self, payload: Box<dyn Any + Send>) {
        if let Some(report) = config::on_panic() {
            // A hook that panics must not undo what the shield is for.
            let _ = catch_unwind(AssertUnwindSafe(|| report(payload))).map_err(discard);
        } else if self.first.is_none() {
            self.first = Some(payload);
        } else {
            discard(payload);
        }
    }

    /// The work is done: the first panic goes on, unless this thread is unwinding already.
    #[inline]
    pub(crate) fn finish(self) {
        if let Some(payload) = self.first {
            if std::thread::panicking() {
                discard(payload);
            } else {
                resume_unwind(payload);
            }
        }
    }

    /// The work is done on a thread of our own: nobody is above it to hear of a panic, and `std` has printed it. In a
    /// model every panic is a finding, and goes on.
    pub(crate) fn absorb(self) {
        if cfg!(feature = "loom") {
            self.finish();
        } else if let Some(payload) = self.first {
            discard(payload);
        }
    }
}

/// Drops a payload whose own drop may panic, with a payload of its own. One that goes on so for ever is leaked.
fn discard(mut payload: Box<dyn Any + Send>) {
    for _ in 0..8 {
        match catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            Ok(()) => return,
            Err(next) => payload = next,
        }
    }
    std::mem::forget(payload);
}
