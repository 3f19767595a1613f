//! What the layers' services return: the server's future and the client's.

use super::answer::{Answer, BoxError};
use super::body::ContextBody;
use super::watch::Watch;
use crate::bridge::http::Malformed;
use crate::cause::Cause;
use ::http::Response;
use ::http_body::Body;
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::task::{self, Poll};

const AGAIN: &str = "polled again after it was ready";

/// Why the handler was not asked.
#[derive(Debug)]
pub(super) enum Verdict {
    Ended(Cause),
    Malformed(Malformed),
}

pin_project! {
    /// The future of a [`ContextService`](super::ContextService).
    ///
    /// The handler goes first: one that has heard of the end and answers by itself in the same poll has the last word.
    /// Otherwise it is dropped, and the [`Answer`] answers; also in place of an error. Dropping the future ends the request's context, with the
    /// cause [`Gone`](super::Gone).
    pub struct ResponseFuture<F, A> {
        #[pin]
        handler: Option<F>,
        watch: Option<Watch>,
        answer: A,
        // The response to a HEAD has no body, whatever it says.
        bodiless: bool,
        verdict: Option<Verdict>,
    }
}

impl<F, A> ResponseFuture<F, A> {
    /// The handler was not asked.
    pub(super) fn verdict(verdict: Verdict, answer: A) -> Self {
        ResponseFuture { handler: None, watch: None, answer, bodiless: true, verdict: Some(verdict) }
    }

    pub(super) fn handler(handler: F, watch: Watch, answer: A, bodiless: bool) -> Self {
        ResponseFuture { handler: Some(handler), watch: Some(watch), answer, bodiless, verdict: None }
    }
}

impl<F, B, E, A> Future for ResponseFuture<F, A>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    A: Answer + Clone,
{
    type Output = Result<Response<ContextBody<B, A>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let empty = |(): ()| ContextBody::empty(this.answer.clone());
        let Some(handler) = this.handler.as_mut().as_pin_mut() else {
            let response = match this.verdict.take().expect(AGAIN) {
                Verdict::Ended(cause) => this.answer.response(&cause),
                Verdict::Malformed(malformed) => this.answer.refusal(&malformed),
            };
            return Poll::Ready(Ok(response.map(empty)));
        };
        let cause = match handler.poll(cx) {
            Poll::Ready(Ok(response)) => {
                this.handler.set(None);
                let watch = this.watch.take().expect(AGAIN);
                let body = |body| ContextBody::server(body, watch, this.answer.clone(), *this.bodiless);
                return Poll::Ready(Ok(response.map(body)));
            }
            Poll::Ready(Err(error)) => {
                this.handler.set(None);
                let mut watch = this.watch.take().expect(AGAIN);
                watch.through();
                // A failure after the end is taken for a consequence of it: a client's layer below fails so.
                let Some(end) = watch.ended() else { return Poll::Ready(Err(error)) };
                watch.cause(end)
            }
            Poll::Pending => {
                let watch = this.watch.as_mut().expect(AGAIN);
                let Poll::Ready(end) = watch.poll(cx) else { return Poll::Pending };
                let cause = watch.cause(end);
                this.handler.set(None);
                drop(this.watch.take());
                cause
            }
        };
        Poll::Ready(Ok(this.answer.response(&cause).map(empty)))
    }
}

impl<F, A> fmt::Debug for ResponseFuture<F, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").field("running", &self.handler.is_some()).field("watch", &self.watch).finish()
    }
}

pin_project! {
    /// The future of a [`DeadlineService`](super::DeadlineService). The context goes first: a call whose context has ended
    /// is not polled any more, but dropped.
    pub struct CallFuture<F, A> {
        #[pin]
        call: Option<F>,
        watch: Option<Watch>,
        answer: A,
        failed: Option<Cause>,
    }
}

impl<F, A> CallFuture<F, A> {
    /// Nothing remained: the call was not made.
    pub(super) fn failed(cause: Cause, answer: A) -> Self {
        CallFuture { call: None, watch: None, answer, failed: Some(cause) }
    }

    pub(super) fn call(call: F, watch: Option<Watch>, answer: A) -> Self {
        CallFuture { call: Some(call), watch, answer, failed: None }
    }
}

impl<F, B, E, A> Future for CallFuture<F, A>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    E: Into<BoxError>,
    A: Answer + Clone,
{
    type Output = Result<Response<ContextBody<B, A>>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(call) = this.call.as_mut().as_pin_mut() else {
            return Poll::Ready(Err(this.answer.error(this.failed.take().expect(AGAIN))));
        };
        let mut ended = this.watch.as_ref().and_then(Watch::ended);
        if ended.is_none() {
            match (call.poll(cx), &mut *this.watch) {
                // The deadline passed while it was being polled: a prompt answer is not to depend on such luck.
                (Poll::Ready(Ok(_)), Some(watch)) if this.answer.is_prompt() && watch.ended().is_some() => {
                    ended = watch.ended();
                }
                (Poll::Ready(Ok(response)), watch) => {
                    this.call.set(None);
                    let watch = watch.take();
                    return Poll::Ready(Ok(response.map(|body| ContextBody::client(body, watch, this.answer.clone()))));
                }
                (Poll::Ready(Err(error)), watch) => {
                    this.call.set(None);
                    let overdue = watch.take().is_some_and(|watch| watch.is_overdue());
                    return Poll::Ready(Err(this.answer.failure(error.into(), overdue)));
                }
                (Poll::Pending, None) => return Poll::Pending,
                (Poll::Pending, Some(watch)) => match watch.poll(cx) {
                    Poll::Ready(error) => ended = Some(error),
                    Poll::Pending => return Poll::Pending,
                },
            }
        }
        this.call.set(None);
        let error = ended.expect("ended, or returned above");
        let cause = this.watch.take().expect(AGAIN).cause(error);
        Poll::Ready(Err(this.answer.error(cause)))
    }
}

impl<F, A> fmt::Debug for CallFuture<F, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallFuture").field("running", &self.call.is_some()).field("watch", &self.watch).finish()
    }
}
