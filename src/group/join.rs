//! Waiting until everybody has left, as a future.

use super::shared::Owner;
use crate::cause::Cause;
use crate::context::DoneOwned;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, ready};

/// Waits until every member has left; made by [`Group::join`](super::Group::join) and by awaiting a group.
///
/// It holds the group like a handle. Dropped unfinished, it leaves the group open.
///
/// # Panics
///
/// With the panic of a member, as [`Group::wait`](super::Group::wait) does.
#[must_use = "futures do nothing unless polled"]
pub struct Join {
    standing: Option<(u64, DoneOwned)>,
    owner: Arc<Owner>,
}

impl Join {
    pub(super) fn new(owner: &Arc<Owner>) -> Join {
        Join { standing: None, owner: Arc::clone(owner) }
    }
}

impl Future for Join {
    type Output = Result<(), Cause>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let Join { standing, owner } = self.get_mut();
        if standing.is_none() {
            *standing = owner.0.stand().map(|(number, left)| (number, left.into_done()));
        }
        if let Some((_, left)) = standing {
            ready!(Pin::new(left).poll(cx));
        }
        Poll::Ready(owner.0.result())
    }
}

impl Drop for Join {
    fn drop(&mut self) {
        if let Some((number, _)) = &self.standing {
            self.owner.0.walk_off(*number);
        }
    }
}

impl fmt::Debug for Join {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Join").field("group", &self.owner.0).finish_non_exhaustive()
    }
}
