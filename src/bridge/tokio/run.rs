//! `fut.with_context(&ctx)`: the future first, as `timeout` and its relatives read.

use crate::context::Context;
use crate::error::Error;

/// Runs any future under a context.
pub trait FutureExt: Future + Sized {
    /// [`ctx.run(self)`](Context::run): until it is ready, or the context ends.
    ///
    /// # Errors
    ///
    /// The context's error, if it ended first.
    ///
    /// ```
    /// use ripcord::tokio::FutureExt;
    /// use ripcord::{Context, Error};
    /// use std::time::Duration;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let (ctx, handle) = Context::background().with_cancel();
    /// assert_eq!(async { 42 }.with_context(&ctx).await, Ok(42));
    /// handle.reset_timeout(Duration::from_millis(5));
    /// assert_eq!(std::future::pending::<()>().with_context(&ctx).await, Err(Error::DeadlineExceeded));
    /// # });
    /// ```
    fn with_context(self, ctx: &Context) -> impl Future<Output = Result<Self::Output, Error>> {
        ctx.run(self)
    }

    /// [`with_context`](FutureExt::with_context) for a task that takes its context along.
    ///
    /// # Errors
    ///
    /// The context's error, if it ended first.
    ///
    /// ```
    /// use ripcord::tokio::FutureExt;
    /// use ripcord::{Context, Error};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let (ctx, handle) = Context::background().with_cancel();
    /// let task = tokio::spawn(std::future::pending::<()>().with_context_owned(ctx));
    /// handle.cancel();
    /// assert_eq!(task.await.unwrap(), Err(Error::Canceled));
    /// # });
    /// ```
    fn with_context_owned(self, ctx: Context) -> impl Future<Output = Result<Self::Output, Error>> {
        async move { ctx.run(self).await }
    }
}

impl<F: Future> FutureExt for F {}
