//! Waiting for the end of a shutdown, as a future.

use super::report::Report;
use super::shared::Shared;
use crate::context::DoneOwned;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, ready};

/// Waits until a shutdown is over; made by [`Shutdown::join`](super::Shutdown::join) and by awaiting one.
#[must_use = "futures do nothing unless polled"]
pub struct Join {
    over: DoneOwned,
    shared: Arc<Shared>,
}

impl Join {
    pub(super) fn new(shared: &Arc<Shared>) -> Join {
        Join { over: shared.over().clone().into_done(), shared: Arc::clone(shared) }
    }
}

impl Future for Join {
    type Output = Report;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Report> {
        let Join { over, shared } = self.get_mut();
        ready!(Pin::new(over).poll(cx));
        Poll::Ready(shared.report())
    }
}

impl fmt::Debug for Join {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Join").field("stage", &self.shared.stage()).finish_non_exhaustive()
    }
}
