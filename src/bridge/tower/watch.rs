//! One pair of eyes on a context for the whole of a response: its future first, then its body.

use super::answer::Gone;
use crate::cause::Cause;
use crate::context::{CancelHandle, Context, DoneOwned};
use crate::error::Error;
use std::pin::Pin;
use std::task::{self, Poll};
use std::time::{Duration, Instant};

/// Waits for the end of a context. It registers once, whatever part of the response polls it.
#[derive(Debug)]
pub(super) struct Watch {
    // The waiter leaves first, then the context, and then the request's own end comes: to what is left of it.
    done: DoneOwned,
    ctx: Context,
    hold: Option<Hold>,
    /// Whether to look at the clock, too, and not only at what the timer has done.
    prompt: bool,
    /// When a reader of the call's headers gives up.
    said: Option<Instant>,
}

impl Watch {
    /// The server's: ends the request's context with the response. It may be prompt if that context's own deadline is the
    /// one that comes first.
    pub(super) fn server(ctx: Context, handle: CancelHandle, prompt: bool) -> Watch {
        let hold = Some(Hold { handle, through: false });
        Watch { done: ctx.clone().into_done(), ctx, hold, prompt, said: None }
    }

    /// The client's: `said` is when a reader of the headers gives up.
    pub(super) fn client(ctx: Context, prompt: bool, said: Option<Instant>) -> Watch {
        Watch { done: ctx.clone().into_done(), ctx, hold: None, prompt, said }
    }

    /// Whether the context has ended, or is due to.
    pub(super) fn ended(&self) -> Option<Error> {
        if let Some(error) = self.ctx.err() {
            return Some(error);
        }
        if !self.prompt {
            return None;
        }
        match &self.hold {
            // The deadline is its own, and has passed: moving it there ends the context now, as the timer would.
            Some(hold) if is_past(hold.handle.context()) => {
                hold.handle.reset_timeout(Duration::ZERO);
                self.ctx.err()
            }
            Some(_) => None,
            None => is_past(&self.ctx).then_some(Error::DeadlineExceeded),
        }
    }

    pub(super) fn poll(&mut self, cx: &mut task::Context<'_>) -> Poll<Error> {
        match self.ended() {
            Some(error) => Poll::Ready(error),
            None => Pin::new(&mut self.done).poll(cx),
        }
    }

    /// Why it ended; the plain error where the clock was faster than the timer.
    pub(super) fn cause(&self, error: Error) -> Cause {
        self.ctx.cause().unwrap_or_else(|| Cause::from(error))
    }

    /// Whether the time that the headers speak of has passed.
    pub(super) fn is_overdue(&self) -> bool {
        self.said.is_some_and(|at| Instant::now() >= at)
    }

    /// There is no more to send: whoever drops the response from now on is not gone.
    pub(super) fn through(&mut self) {
        if let Some(hold) = &mut self.hold {
            hold.through = true;
        }
    }
}

fn is_past(ctx: &Context) -> bool {
    ctx.remaining() == Some(Duration::ZERO)
}

/// Ends a request's context with its response.
#[derive(Debug)]
struct Hold {
    handle: CancelHandle,
    through: bool,
}

impl Drop for Hold {
    fn drop(&mut self) {
        // An ended context does not care, and a cause costs an allocation.
        match (self.handle.context().is_done(), self.through) {
            (true, _) => {}
            (false, true) => self.handle.cancel(),
            (false, false) => self.handle.cancel_cause(Cause::new(Gone)),
        }
    }
}
