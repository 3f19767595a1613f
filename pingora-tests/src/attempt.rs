//! One try at an upstream: a child of the request's context, and the connection it hangs up.
//!
//! # States
//!
//! ```text
//! made        its own deadline holds: for connecting, writing, and the head of the response
//! tied        the same; its end hangs up the connection
//! head came   only the request's end is left to end it
//! let go      the response is complete; the connection may go into pingora's pool, and nobody hangs it up any more
//! ```

use crate::hangup::{hang_up, hold};
use ripcord::{AfterFunc, CancelHandle, Context};
use std::os::fd::RawFd;
use std::time::Duration;

/// A try that is going on.
#[derive(Debug)]
pub(crate) struct Attempt {
    context: Context,
    handle: CancelHandle,
    hangup: Option<AfterFunc>,
}

impl Attempt {
    pub(crate) fn new(request: &Context, limit: Duration) -> Attempt {
        let (context, handle) = request.attempt(limit);
        Attempt { context, handle, hangup: None }
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// From here on its end is the connection's. Runs on the thread that ends it, or on ripcord's timer: one system call.
    pub(crate) fn tie(&mut self, connection: RawFd) {
        self.hangup = hold(connection).map(|ours| self.context.after_func(move || hang_up(ours)));
    }

    /// Whether its end is going to be heard by whoever reads the connection.
    pub(crate) fn is_tied(&self) -> bool {
        self.hangup.is_some()
    }

    /// What was limited is over. False if it ended before.
    #[must_use]
    pub(crate) fn head_came(&self) -> bool {
        self.handle.reset_timeout(Duration::MAX)
    }

    /// To be called when the response is complete and pingora has not taken the connection back. False: it was hung up, or
    /// is just being; it must not be used again, and an end that was read may be ours instead of the origin's.
    #[must_use]
    pub(crate) fn let_go(&mut self) -> bool {
        self.hangup.take().is_none_or(|hangup| hangup.stop())
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        // A function that is not stopped is kept until the context ends, and the connection with it.
        let _ = self.let_go();
    }
}
