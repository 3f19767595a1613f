//! Waiting as a future.

use super::Context;
use crate::error::Error;
use crate::node::{self, Waiting};
use pin_project_lite::pin_project;
use std::fmt;
use std::mem::{forget, replace};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{self, Poll, ready};

/// Waits until its context ends; made by [`Context::done`].
///
/// Registers on its first pending poll (one allocation, one compare-and-swap) and wakes exactly when the context ends.
/// Polling again with the same waker touches nothing shared; with another, it leaves and registers again. Dropping it
/// leaves like a child does.
#[must_use = "futures do nothing unless polled"]
pub struct Done<'a> {
    // Before the context: a signal leaves while the context is still held. In the state's word it does not keep it.
    waiting: Option<Waiting>,
    ctx: &'a Context,
}

/// Waits until its context ends, and owns it; made by [`Context::into_done`].
#[must_use = "futures do nothing unless polled"]
pub struct DoneOwned {
    // Before the context, as above.
    waiting: Option<Waiting>,
    ctx: Context,
}

impl UnwindSafe for Done<'_> {}
impl RefUnwindSafe for Done<'_> {}
impl UnwindSafe for DoneOwned {}
impl RefUnwindSafe for DoneOwned {}

/// One poll of either future.
#[inline]
fn poll_end(ctx: &Context, waiting: &mut Option<Waiting>, cx: &mut task::Context<'_>) -> Poll<Error> {
    let Some(node) = ctx.scope() else { return Poll::Pending };
    if let Some(error) = node.err() {
        return Poll::Ready(error);
    }
    node::are_awaited();
    // ORDERING: waker (writer). When this returns pending, the waker sits where the canceler will find it.
    // Copying a waker is user code: if it panics, nothing has changed.
    let registered = match waiting {
        Some(known) if known.has(cx.waker()) => return Poll::Pending,
        Some(_) => {
            let waker = cx.waker().clone();
            waiting.take().and_then(|known| known.change(node, waker))
        }
        None => Waiting::register(node, cx.waker().clone()),
    };
    // There is none by now: the compiler is spared the drop.
    forget(replace(waiting, registered));
    if waiting.is_some() {
        return Poll::Pending;
    }
    // It could not sit down: the context has ended.
    node.err().map_or(Poll::Pending, Poll::Ready)
}

impl Future for Done<'_> {
    type Output = Error;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Error> {
        let this = self.get_mut();
        poll_end(this.ctx, &mut this.waiting, cx)
    }
}

impl Future for DoneOwned {
    type Output = Error;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Error> {
        let this = self.get_mut();
        poll_end(&this.ctx, &mut this.waiting, cx)
    }
}

impl Context {
    /// A future that is ready when the context ends. On a context that never ends it is pending for ever.
    ///
    /// ```
    /// # fn block_on<F: Future>(f: F) -> F::Output {
    /// #     let mut f = std::pin::pin!(f);
    /// #     let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    /// #     loop { if let std::task::Poll::Ready(x) = f.as_mut().poll(&mut cx) { return x } }
    /// # }
    /// use ripcord::{Context, Error};
    ///
    /// let (ctx, handle) = Context::background().with_cancel();
    /// handle.cancel();
    /// assert_eq!(block_on(ctx.done()), Error::Canceled);
    /// ```
    pub fn done(&self) -> Done<'_> {
        Done { waiting: None, ctx: self }
    }

    /// [`done`](Context::done) for a future that outlives the borrow.
    pub fn into_done(self) -> DoneOwned {
        DoneOwned { waiting: None, ctx: self }
    }

    /// Runs a future until it is ready or the context ends, whichever is first. Biased: an ended context never polls
    /// `f`. `f` is dropped when this returns.
    ///
    /// # Errors
    ///
    /// The context's error, if it ended first.
    ///
    /// ```
    /// # fn block_on<F: Future>(f: F) -> F::Output {
    /// #     let mut f = std::pin::pin!(f);
    /// #     let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    /// #     loop { if let std::task::Poll::Ready(x) = f.as_mut().poll(&mut cx) { return x } }
    /// # }
    /// use ripcord::{Context, Error};
    ///
    /// let (ctx, handle) = Context::background().with_cancel();
    /// assert_eq!(block_on(ctx.run(async { 42 })), Ok(42));
    /// handle.cancel();
    /// assert_eq!(block_on(ctx.run(async { 42 })), Err(Error::Canceled));
    /// ```
    pub fn run<F: Future>(&self, f: F) -> Run<'_, F> {
        Run { future: Some(f), done: self.done() }
    }
}

pin_project! {
    /// Runs a future as long as its context lives; made by [`Context::run`].
    ///
    /// It is as large as the future and a [`Done`], and moving `f` into it is the only time that `f` is moved.
    #[must_use = "futures do nothing unless polled"]
    pub struct Run<'a, F> {
        // None when this is ready: what ran is gone by then, however long this is kept.
        #[pin]
        future: Option<F>,
        done: Done<'a>,
    }
}

impl<F: Future> Future for Run<'_, F> {
    type Output = Result<F::Output, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let future = this.future.as_mut().as_pin_mut().expect("polled after it was ready");
        // The end first, then the future.
        let result = match this.done.ctx.err() {
            Some(error) => Err(error),
            None => match future.poll(cx) {
                Poll::Ready(output) => Ok(output),
                Poll::Pending => Err(ready!(poll_end(this.done.ctx, &mut this.done.waiting, cx))),
            },
        };
        this.future.set(None);
        this.done.waiting = None;
        Poll::Ready(result)
    }
}

impl<F> fmt::Debug for Run<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("done", &self.done).finish_non_exhaustive()
    }
}

impl fmt::Debug for Done<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Done").field("ctx", self.ctx).field("registered", &self.waiting.is_some()).finish()
    }
}

impl fmt::Debug for DoneOwned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DoneOwned").field("ctx", &self.ctx).field("registered", &self.waiting.is_some()).finish()
    }
}
