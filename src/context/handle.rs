//! The authority over one context.

use super::Context;
use crate::cause::Cause;
use crate::clock::When;
use crate::error::Error;
use crate::node::Node;
use crate::state::Ended;
use std::fmt;
use std::mem::ManuallyDrop;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr;
use std::time::{Duration, Instant};

/// Ends one context, or moves its deadline. Clones are the same authority; dropping one cancels nothing.
///
/// Equal to handles of the same context.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CancelHandle {
    ctx: Context,
}

impl UnwindSafe for CancelHandle {}
impl RefUnwindSafe for CancelHandle {}

impl CancelHandle {
    pub(super) fn new(ctx: Context) -> CancelHandle {
        CancelHandle { ctx }
    }

    fn node(&self) -> &Node {
        self.ctx.scope().expect("a handle is only made for a context that can end")
    }

    /// Ends the context, and everything derived from it, with [`Error::Canceled`].
    ///
    /// Idempotent, from any thread, never blocked by another cancel: a second one helps the first. When it returns, every
    /// context that was derived before it began has ended. Time proportional to the number of descendants.
    ///
    /// Wakers are woken and [`after_func`](Context::after_func) functions run on this thread, after the whole subtree has
    /// ended.
    ///
    /// # Panics
    ///
    /// If a waker or a function panics and no [`on_panic`](crate::Config::on_panic) hook is installed, the first panic
    /// goes on from here, after everybody has been told.
    pub fn cancel(&self) {
        self.node().end(Ended::own(Cause::from(Error::Canceled)));
    }

    /// [`cancel`](CancelHandle::cancel) with a cause: `err()` is [`Error::Canceled`], `cause()` is this.
    ///
    /// Strings and boxed errors convert; a plain error is wrapped with [`Cause::new`]:
    ///
    /// ```
    /// use ripcord::{Cause, Context};
    /// use std::io;
    ///
    /// let (ctx, handle) = Context::background().with_cancel();
    /// handle.cancel_cause(Cause::new(io::Error::from(io::ErrorKind::ConnectionReset)));
    /// assert!(ctx.cause().unwrap().downcast_ref::<io::Error>().is_some());
    /// ```
    ///
    /// # Panics
    ///
    /// As [`cancel`](CancelHandle::cancel).
    pub fn cancel_cause<E: Into<Cause>>(&self, cause: E) {
        self.node().end(Ended::own(cause.into().with_kind(Error::Canceled)));
    }

    /// Moves the context's own deadline, either way, also if it had none. False, and nothing changes, once it has ended.
    ///
    /// Pushing back is one atomic operation, and one look at the clock; on Linux at the coarse one, unless the instant is less
    /// than half a second away. A deadline beyond the parent's is remembered: the earliest of the chain holds at any
    /// time. An instant that has passed ends the context before this returns (see
    /// [the limits](crate::docs::limits#deadlines) for machines that stood still). An instant too far away to express disarms.
    ///
    /// # Panics
    ///
    /// If it ends the context, as [`cancel`](CancelHandle::cancel).
    pub fn reset_deadline(&self, at: Instant) -> bool {
        self.node().reset(When::at(at))
    }

    /// [`reset_deadline`](CancelHandle::reset_deadline) to so long from now; `Duration::MAX` disarms.
    ///
    /// ```
    /// use ripcord::Context;
    /// use std::time::Duration;
    ///
    /// // An idle limit, pushed back by every request.
    /// let (connection, idle) = Context::background().with_timeout(Duration::from_secs(60));
    /// assert!(idle.reset_timeout(Duration::from_secs(60)));
    ///
    /// idle.reset_timeout(Duration::ZERO);
    /// assert!(connection.is_done());
    /// assert!(!idle.reset_timeout(Duration::from_secs(60)));
    /// ```
    ///
    /// # Panics
    ///
    /// If it ends the context, as [`cancel`](CancelHandle::cancel).
    pub fn reset_timeout(&self, after: Duration) -> bool {
        self.node().reset(When::after(after))
    }

    /// The context that this handle ends.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.ctx
    }

    /// A guard that cancels when it is dropped.
    pub fn drop_guard(self) -> CancelGuard {
        CancelGuard { handle: ManuallyDrop::new(self) }
    }
}

impl fmt::Debug for CancelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CancelHandle").field(&self.ctx).finish()
    }
}

/// Cancels its context when it is dropped, also by a panic. Made by [`CancelHandle::drop_guard`].
///
/// ```
/// use ripcord::Context;
///
/// let (ctx, handle) = Context::background().with_cancel();
/// {
///     let _guard = handle.drop_guard();
///     assert!(!ctx.is_done());
/// }
/// assert!(ctx.is_done());
/// ```
#[must_use = "the guard cancels when it is dropped: bind it to a name"]
#[derive(Debug)]
pub struct CancelGuard {
    handle: ManuallyDrop<CancelHandle>,
}

impl CancelGuard {
    /// Gives the handle back: nothing will be canceled by dropping.
    pub fn disarm(self) -> CancelHandle {
        let this = ManuallyDrop::new(self);
        // SAFETY: the guard is not dropped, so its handle is moved out once.
        unsafe { ptr::read(&*this.handle) }
    }
}

impl Drop for CancelGuard {
    fn drop(&mut self) {
        /// Drops the handle also when canceling panics.
        struct Held<'a>(&'a mut ManuallyDrop<CancelHandle>);
        impl Drop for Held<'_> {
            fn drop(&mut self) {
                // SAFETY: the guard is being dropped: its handle is not used again.
                unsafe { ManuallyDrop::drop(self.0) };
            }
        }
        Held(&mut self.handle).0.cancel();
    }
}
