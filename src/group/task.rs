//! A member that is a future: its executor is the caller's business.

use super::shared::{Member, Shared};
use crate::cause::Cause;
use crate::context::DoneOwned;
use pin_project_lite::pin_project;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, ready};

pin_project! {
    /// A future as a member of a group; made by [`Group::task`](super::Group::task).
    ///
    /// Ready with the future's value, or with what its group has been told: the future's error, the cause of the group's
    /// end if that came first, or that it [panicked](super::Panicked).
    ///
    /// # Panics
    ///
    /// When polled after it was ready, like an `async` block. The future's own panics are kept for who waits.
    #[must_use = "futures do nothing unless polled, and the group waits for this one until it is ready or dropped"]
    pub struct Task<F> {
        // In the order in which they are to be dropped: the permit goes last.
        #[pin]
        future: Option<F>,
        // To the call that gives a permit, afterwards to the end of the group.
        listening: Option<DoneOwned>,
        member: Option<Member>,
        shared: Arc<Shared>,
    }
}

impl<F> Task<F> {
    pub(super) fn new(shared: &Arc<Shared>, future: F) -> Task<F> {
        Task { future: Some(future), listening: None, member: shared.enter(), shared: Arc::clone(shared) }
    }
}

impl<F, T, E> Future for Task<F>
where
    F: Future<Output = Result<T, E>>,
    E: Into<Cause>,
{
    type Output = Result<T, Cause>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        // Ready with the future's own end, or with none: the group's end came first.
        let mut ended = match this.future.as_mut().as_pin_mut() {
            None => panic!("a group's task was polled after it was ready"),
            Some(future) => ready!(poll_member(future, this.listening, this.member.as_mut(), this.shared, cx)),
        };
        *this.listening = None;
        // What the future holds is given back before its place in the group is.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| this.future.set(None))) {
            ended = Some(Err(payload));
        }
        Poll::Ready(match (this.member.take(), ended) {
            (Some(member), Some(ended)) => member.conclude(ended),
            (Some(member), None) => Err(member.cut_short()),
            // Made after everybody had been waited for, and never polled.
            (None, Some(Err(payload))) => Err(this.shared.panicked(payload)),
            (None, _) => Err(this.shared.cause()),
        })
    }
}

/// How a future ended: with a result or a panic.
type Ended<T> = std::thread::Result<Result<T, Cause>>;

fn poll_member<F, T, E>(
    future: Pin<&mut F>,
    listening: &mut Option<DoneOwned>,
    member: Option<&mut Member>,
    shared: &Shared,
    cx: &mut task::Context<'_>,
) -> Poll<Option<Ended<T>>>
where
    F: Future<Output = Result<T, E>>,
    E: Into<Cause>,
{
    let Some(member) = member else { return Poll::Ready(None) };
    loop {
        if shared.ctx().is_done() {
            return Poll::Ready(None);
        }
        if member.has_permit() {
            break;
        }
        if member.ask() {
            *listening = None;
            break;
        }
        if let Some(called) = member.called() {
            ready!(Pin::new(listening.get_or_insert_with(|| called.clone().into_done())).poll(cx));
        }
    }
    let polled = catch_unwind(AssertUnwindSafe(|| future.poll(cx).map_err(Into::into)));
    match polled {
        Ok(Poll::Ready(result)) => return Poll::Ready(Some(Ok(result))),
        Ok(Poll::Pending) => {}
        Err(payload) => return Poll::Ready(Some(Err(payload))),
    }
    let end = listening.get_or_insert_with(|| shared.ctx().clone().into_done());
    ready!(Pin::new(end).poll(cx));
    Poll::Ready(None)
}

impl<F> fmt::Debug for Task<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Task");
        match &self.member {
            Some(member) => debug.field("state", member),
            None => debug.field("state", &format_args!("left")),
        };
        debug.field("group", &self.shared).finish()
    }
}
