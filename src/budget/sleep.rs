//! A pause that a context's end cuts short.

use crate::context::{Context, DoneOwned};
use crate::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{self, Poll, ready};
use std::time::Duration;

/// Waits for some time, or until its context ends; made by [`Context::sleep`].
#[must_use = "futures do nothing unless polled"]
pub struct Sleep {
    over: DoneOwned,
    ctx: Context,
}

impl Sleep {
    pub(super) fn new(ctx: &Context, d: Duration) -> Sleep {
        Sleep { over: ctx.with_timeout(d).0.into_done(), ctx: ctx.clone() }
    }
}

impl Future for Sleep {
    type Output = Result<(), Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let Sleep { over, ctx } = self.get_mut();
        ready!(Pin::new(over).poll(cx));
        Poll::Ready(ctx.err().map_or(Ok(()), Err))
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sleep").field(&self.over).finish()
    }
}
