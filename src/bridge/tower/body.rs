//! A response's body under a context, on either side.

use super::answer::{Answer, BoxError};
use super::watch::Watch;
use crate::error::Error;
use ::http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::task::{self, Poll};

pin_project! {
    /// A response's body that ends with its context.
    ///
    /// As long as the context lives, frames, trailers, size and end are those of the body inside. When it ends, the body
    /// inside is dropped at the next poll and this one ends: with [trailers](Answer::trailers) if the server's
    /// [`Answer`] has some, else with an [error](Answer::error), which makes HTTP libraries reset the stream or
    /// connection. Nothing is sent as if it were whole.
    ///
    /// On the server, the request's context ends with this body: after its last frame, or when it is dropped.
    pub struct ContextBody<B, A> {
        #[pin]
        inner: Option<B>,
        watch: Option<Watch>,
        answer: A,
        server: bool,
        // The handler's own word on an end that had come before: let through as far as it is ready.
        last_word: bool,
    }
}

impl<B: Body, A> ContextBody<B, A> {
    /// Nothing to send, and nobody to wait for.
    pub(super) fn empty(answer: A) -> Self {
        ContextBody { inner: None, watch: None, answer, server: true, last_word: false }
    }

    /// A handler's response. If the context has ended already, the handler knew it when it answered: a body of known size
    /// is its page about that.
    pub(super) fn server(inner: B, mut watch: Watch, answer: A, bodiless: bool) -> Self {
        if bodiless || inner.is_end_stream() {
            watch.through();
        }
        let last_word = watch.ended().is_some() && inner.size_hint().exact().is_some();
        ContextBody { inner: Some(inner), watch: Some(watch), answer, server: true, last_word }
    }

    /// What an upstream sends; `watch` is there if the call had a context.
    pub(super) fn client(inner: B, watch: Option<Watch>, answer: A) -> Self {
        ContextBody { inner: Some(inner), watch, answer, server: false, last_word: false }
    }

    /// The body inside; `None` once it is through or cut short, or where there was none.
    pub fn get_ref(&self) -> Option<&B> {
        self.inner.as_ref()
    }
}

impl<B, A> ContextBody<B, A>
where
    B: Body,
    B::Error: Into<BoxError>,
    A: Answer,
{
    /// The context has ended: what is inside goes first, then the other side is told.
    fn cut(mut self: Pin<&mut Self>, error: Error) -> Result<Frame<B::Data>, BoxError> {
        let mut this = self.as_mut().project();
        this.inner.set(None);
        let cause = this.watch.take().expect("what ends is watched").cause(error);
        match this.answer.trailers(&cause) {
            Some(trailers) if *this.server => Ok(Frame::trailers(trailers)),
            _ => Err(this.answer.error(cause)),
        }
    }

    /// The body inside is through, or has failed.
    fn close(mut self: Pin<&mut Self>) -> Option<Watch> {
        let mut this = self.as_mut().project();
        this.inner.set(None);
        if let Some(watch) = this.watch {
            watch.through();
        }
        this.watch.take()
    }
}

impl<B, A> Body for ContextBody<B, A>
where
    B: Body,
    B::Error: Into<BoxError>,
    A: Answer,
{
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        let mut this = self.as_mut().project();
        let Some(mut inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        if let (Some(watch), false) = (&this.watch, *this.last_word) {
            if let Some(error) = watch.ended() {
                return Poll::Ready(Some(self.cut(error)));
            }
        }
        match inner.as_mut().poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                // The deadline passed on the way, and these may be another timer's word on it.
                if !*this.server && frame.is_trailers() && this.answer.is_prompt() {
                    if let Some(error) = this.watch.as_ref().and_then(Watch::ended) {
                        return Poll::Ready(Some(self.cut(error)));
                    }
                }
                if let (Some(watch), true) = (this.watch, inner.is_end_stream()) {
                    watch.through();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                let overdue = this.watch.as_ref().is_some_and(Watch::is_overdue);
                drop(self.as_mut().close());
                let error = error.into();
                let failed = if self.server { error } else { self.answer.failure(error, overdue) };
                Poll::Ready(Some(Err(failed)))
            }
            Poll::Ready(None) => {
                drop(self.close());
                Poll::Ready(None)
            }
            Poll::Pending => match this.watch.as_mut().map(|watch| watch.poll(cx)) {
                Some(Poll::Ready(error)) => Poll::Ready(Some(self.cut(error))),
                Some(Poll::Pending) | None => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl<B, A> fmt::Debug for ContextBody<B, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut body = f.debug_struct("ContextBody");
        body.field("open", &self.inner.is_some()).field("server", &self.server).field("watch", &self.watch).finish()
    }
}
