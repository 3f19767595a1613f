//! What the proxy knows of a request: pingora's `CTX`.

use crate::attempt::Attempt;
use crate::cause::{Why, status};
use crate::record::{Log, Record};
use pingora_core::{Error, ErrorType, Result};
use ripcord::shutdown::Guard;
use ripcord::{CancelHandle, Cause, Context};
use std::fmt;
use std::time::{Duration, Instant};

/// pingora cuts what it adds up for a timer down to whole milliseconds.
const PINGORA_AHEAD: Duration = Duration::from_millis(1);

/// A request that is being served. Its context ends with it at the latest, for whatever was derived from it.
pub struct Request {
    context: Context,
    handle: CancelHandle,
    arrived: Instant,
    attempt: Option<Attempt>,
    record: Record,
    log: Log,
    // The last: whoever waits for the server to be idle finds the record written.
    _guard: Guard,
}

impl Request {
    /// pingora makes its `CTX` before anybody may look at the request's head, so the context starts with the server's own
    /// budget, and [`grant`](Request::grant) moves the deadline when the head was read.
    pub(crate) fn new(parent: &Context, budget: Duration, guard: Guard, log: Log) -> Request {
        let arrived = Instant::now();
        let (context, handle) = parent.with_timeout_cause(budget, Why::TimeUp);
        let record = Record {
            request: String::new(),
            status: None,
            bytes: 0,
            tries: 0,
            budget,
            took: Duration::ZERO,
            cause: None,
            error: None,
            // Until pingora says otherwise.
            dropped: true,
        };
        Request { context, handle, arrived, attempt: None, record, log, _guard: guard }
    }

    /// The request's context: for what else a proxy does in its name.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// What it is, and how long it may take from its arrival.
    pub(crate) fn grant(&mut self, request: String, budget: Duration) {
        self.record.request = request;
        self.record.budget = budget;
        // False: it has ended; `check` tells.
        let _ = self.handle.reset_deadline(self.arrived + budget);
    }

    pub(crate) fn end(&self, why: Why) {
        self.handle.cancel_cause(why);
    }

    /// # Errors
    ///
    /// The context has ended, so there is no use in going on.
    pub(crate) fn check(&self) -> Result<()> {
        match self.context.cause() {
            None => Ok(()),
            Some(cause) => Err(over(&cause)),
        }
    }

    /// What failed with the deadline at hand is put down to it. pingora's timers were set from what remained, and may be
    /// ahead of ripcord's: they count whole milliseconds, and ripcord tells of a deadline within its window.
    pub(crate) async fn settle(&self) {
        if self.context.remaining().is_some_and(|left| left <= PINGORA_AHEAD) {
            self.context.done().await;
        }
    }

    /// What remains is not enough to go on with, so the request ends now; at its deadline it is the deadline that ends it.
    pub(crate) async fn too_little(&self) -> Box<Error> {
        self.settle().await;
        self.end(Why::TooLittle);
        over(&self.context.cause().unwrap_or(Why::TooLittle.into()))
    }

    /// What remains of the whole request.
    pub(crate) fn left(&self) -> Duration {
        self.context.remaining().unwrap_or(Duration::MAX)
    }

    pub(crate) fn tries(&self) -> u32 {
        self.record.tries
    }

    /// Begins a try: it takes the place of the last one, which is over.
    pub(crate) fn attempt(&mut self, limit: Duration) -> &Attempt {
        self.record.tries += 1;
        self.attempt.insert(Attempt::new(&self.context, limit))
    }

    pub(crate) fn current(&mut self) -> Option<&mut Attempt> {
        self.attempt.as_mut()
    }

    /// Why the try ended by itself, while the request went on.
    pub(crate) fn attempt_over(&self) -> Option<Cause> {
        self.attempt.as_ref().and_then(|attempt| attempt.context().cause()).filter(|_| !self.context.is_done())
    }

    /// pingora has come to an end with it.
    pub(crate) fn logged(&mut self, status: Option<u16>, bytes: usize, error: Option<&Error>) {
        let record = &mut self.record;
        record.status = status;
        record.bytes = bytes;
        record.error = error.map(ToString::to_string);
        // A deadline that comes after the last byte ended nothing.
        record.cause = error.and_then(|_| self.context.cause());
        record.dropped = false;
    }
}

/// What to fail with when the context has ended: the status is in it, for the defaults of pingora's that look for one.
pub(crate) fn over(cause: &Cause) -> Box<Error> {
    Error::explain(ErrorType::HTTPStatus(status(cause)), cause.to_string())
}

/// Here and not in `logging`, which pingora does not come to if the request is dropped or a filter panics.
impl Drop for Request {
    fn drop(&mut self) {
        // First of all, so that what is told below does not hang up a connection that is not ours any more.
        self.attempt = None;
        self.record.took = self.arrived.elapsed();
        if self.record.dropped {
            self.record.cause = self.context.cause();
        }
        // As Go's server does it: what was derived for the request does not outlive it.
        self.handle.cancel();
        (self.log)(self.record.clone());
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("context", &self.context).field("record", &self.record).finish_non_exhaustive()
    }
}
