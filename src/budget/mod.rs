//! What may still be spent: time for another try, retries for another request.
//!
//! A request has one deadline, and everything done for it fits inside: tries, the pauses between them, hedges. Time is
//! asked of the context ([`Context::permits`]), and slept by it ([`Context::sleep`]), so none of this needs a runtime.
//! Whether a retry can be afforded at all is asked of a [`RetryBudget`] that requests pay into.
//!
//! | piece                     | what it does                                                                  |
//! |---------------------------|-------------------------------------------------------------------------------|
//! | [`Context::attempt`]      | a child for one try, never past the request's deadline                        |
//! | [`Context::permits`]      | is there enough time left for this?                                           |
//! | [`Context::sleep`]        | a pause that the context's end cuts short                                     |
//! | [`Backoff`]               | growing pauses, at random, that never outlast the deadline                    |
//! | [`RetryBudget`]           | retries as a share of requests, lock-free                                     |
//! | [`Retry`]                 | all of these in one loop                                                      |
//! | [`Hedge`]                 | a second try while the first is under way; the first good one wins            |
//!
//! ```
//! # fn block_on<F: Future>(f: F) -> F::Output {
//! #     let mut f = std::pin::pin!(f);
//! #     let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
//! #     loop { if let std::task::Poll::Ready(x) = f.as_mut().poll(&mut cx) { return x } }
//! # }
//! use ripcord::budget::{Backoff, Retry, RetryBudget};
//! use ripcord::Context;
//! use std::time::Duration;
//!
//! // One per upstream: a retry for every five requests, and three per second in any case.
//! let budget = RetryBudget::new(0.2, 3);
//! let retry = Retry::up_to(3)
//!     .per_try(Duration::from_millis(300))
//!     .backoff(Backoff::new(Duration::from_millis(1), Duration::from_millis(20)))
//!     .budget(&budget);
//!
//! let (request, _handle) = Context::background().with_timeout(Duration::from_secs(2));
//! let answer = retry.run(
//!     &request,
//!     |_try_ctx, number| async move { if number < 3 { Err("reset") } else { Ok("hello") } },
//!     |_failure| true,
//! );
//! assert_eq!(block_on(answer).unwrap(), "hello");
//! ```

mod backoff;
mod bucket;
mod failure;
mod hedge;
mod retry;
mod sleep;

pub use backoff::Backoff;
pub use bucket::RetryBudget;
pub use failure::{AttemptTimeout, Failure, Outrun};
pub use hedge::Hedge;
pub use retry::Retry;
pub use sleep::Sleep;

use crate::cause::Cause;
use crate::context::{CancelHandle, Context};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

impl UnwindSafe for RetryBudget {}
impl RefUnwindSafe for RetryBudget {}
impl UnwindSafe for Sleep {}
impl RefUnwindSafe for Sleep {}

impl Context {
    /// Whether there is enough time for something that takes `need`: the context is live, and its deadline, if it has one,
    /// is at least that far away. Time proportional to the depth, like [`deadline`](Context::deadline).
    ///
    /// ```
    /// use ripcord::Context;
    /// use std::time::Duration;
    ///
    /// let (request, _handle) = Context::background().with_timeout(Duration::from_secs(2));
    /// assert!(request.permits(Duration::from_secs(1)));
    /// assert!(!request.permits(Duration::from_secs(3)));
    /// assert!(Context::background().permits(Duration::MAX));
    /// ```
    #[must_use]
    pub fn permits(&self, need: Duration) -> bool {
        !self.is_done() && self.remaining().is_none_or(|left| left >= need && !left.is_zero())
    }

    /// A child for one try: it ends after `limit`, with [`AttemptTimeout`] as its cause, or with this context, whichever is
    /// first. Its [`deadline`](Context::deadline) is never past this context's.
    ///
    /// ```
    /// use ripcord::budget::AttemptTimeout;
    /// use ripcord::Context;
    /// use std::time::Duration;
    ///
    /// let (request, _handle) = Context::background().with_timeout(Duration::from_secs(2));
    /// let (attempt, _) = request.attempt(Duration::from_secs(60));
    /// assert_eq!(attempt.deadline(), request.deadline());
    ///
    /// let (attempt, _) = request.attempt(Duration::from_millis(2));
    /// attempt.wait();
    /// assert!(attempt.cause().unwrap().downcast_ref::<AttemptTimeout>().is_some());
    /// assert!(!request.is_done());
    /// ```
    #[must_use]
    pub fn attempt(&self, limit: Duration) -> (Context, CancelHandle) {
        self.with_timeout_cause(limit, AttemptTimeout(limit))
    }

    /// Waits so long, or until the context ends; made of a deadline, needs no runtime. The blocking counterpart is
    /// [`wait_timeout`](Context::wait_timeout).
    ///
    /// The time runs from this call. The future is ready with the context's error if it ended first, also if both have
    /// come by the time it is polled.
    ///
    /// ```
    /// # fn block_on<F: Future>(f: F) -> F::Output {
    /// #     let mut f = std::pin::pin!(f);
    /// #     let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    /// #     loop { if let std::task::Poll::Ready(x) = f.as_mut().poll(&mut cx) { return x } }
    /// # }
    /// use ripcord::{Context, Error};
    /// use std::time::Duration;
    ///
    /// let (ctx, handle) = Context::background().with_cancel();
    /// assert_eq!(block_on(ctx.sleep(Duration::from_millis(1))), Ok(()));
    /// handle.cancel();
    /// assert_eq!(block_on(ctx.sleep(Duration::from_secs(3600))), Err(Error::Canceled));
    /// ```
    pub fn sleep(&self, d: Duration) -> Sleep {
        Sleep::new(self, d)
    }
}

/// A child for a try, with or without a limit of its own.
fn child(ctx: &Context, limit: Option<Duration>) -> (Context, CancelHandle) {
    match limit {
        Some(limit) => ctx.attempt(limit),
        None => ctx.with_cancel(),
    }
}

/// Why a context that was seen to end has ended.
fn cause_of(ctx: &Context) -> Cause {
    ctx.cause().unwrap_or_else(|| Cause::from(()))
}
