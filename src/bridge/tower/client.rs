//! The client's layer: what remains goes with the call.

use super::answer::{Answer, BoxError, Plain};
use super::body::ContextBody;
use super::future::CallFuture;
use super::watch::Watch;
use crate::bridge::http::{Header, shorten};
use crate::cause::Cause;
use crate::context::Context;
use ::http::{HeaderMap, Request, Response};
use ::http_body::Body;
use std::task::{self, Poll};
use std::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

/// Takes the [`Context`] from a request's extensions, writes what remains of it into the headers, and ends the call with
/// it: the future, and the response's body after it.
///
/// If nothing remains, the service below is not called: the call fails at once. A timeout that the request has in its
/// headers already stays if it is [shorter](crate::http::shorten), and ends the call by itself. Requests without a context
/// pass unchanged.
///
/// The error of a call whose context ended is the context's [`Cause`], as a [`BoxError`]:
///
/// ```
/// use http::{Request, Response};
/// use ripcord::tower::DeadlineLayer;
/// use ripcord::{Cause, Context, Error};
/// use std::time::Duration;
/// use tower_layer::Layer;
/// use tower_service::Service;
/// # use std::{future::{Future, Ready, ready}, pin::pin, task::{self, Poll, Waker}};
/// # #[derive(Clone)]
/// # struct Upstream;
/// # impl Service<Request<()>> for Upstream {
/// #     type Response = Response<String>;
/// #     type Error = std::convert::Infallible;
/// #     type Future = Ready<Result<Response<String>, Self::Error>>;
/// #     fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), Self::Error>> { Poll::Ready(Ok(())) }
/// #     fn call(&mut self, request: Request<()>) -> Self::Future {
/// #         ready(Ok(Response::new(request.headers()["grpc-timeout"].to_str().unwrap().to_owned())))
/// #     }
/// # }
/// # fn poll<F: Future>(future: F) -> Poll<F::Output> {
/// #     pin!(future).poll(&mut task::Context::from_waker(Waker::noop()))
/// # }
///
/// let mut client = DeadlineLayer::new().layer(Upstream);
/// let (ctx, handle) = Context::background().with_timeout(Duration::from_secs(2));
/// let mut request = Request::new(());
/// request.extensions_mut().insert(ctx.clone());
///
/// // grpc-timeout: 1999..u
/// let call = client.call(request.clone());
/// # let Poll::Ready(Ok(response)) = poll(call) else { panic!() };
/// # assert!(response.body().get_ref().unwrap().ends_with('u'));
///
/// handle.cancel_cause("somebody else was faster");
/// let call = client.call(request);
/// # let Poll::Ready(Err(error)) = poll(call) else { panic!() };
/// let cause = error.downcast_ref::<Cause>().unwrap();
/// assert_eq!(cause.error(), Error::Canceled);
/// assert_eq!(cause.to_string(), "somebody else was faster");
/// ```
#[derive(Clone, Debug)]
pub struct DeadlineLayer<A = Plain> {
    headers: &'static [Header],
    answer: A,
}

impl DeadlineLayer {
    /// Writes `grpc-timeout`, and fails with the [`Cause`].
    #[must_use]
    pub fn new() -> DeadlineLayer {
        DeadlineLayer { headers: &[Header::GrpcTimeout], answer: Plain }
    }
}

impl<A> DeadlineLayer<A> {
    /// Which headers are written; none is a choice, too.
    #[must_use]
    pub fn headers(self, headers: &'static [Header]) -> Self {
        DeadlineLayer { headers, ..self }
    }

    /// How an end is told to the caller: [`Answer::error`] and [`Answer::failure`].
    #[must_use]
    pub fn answer<B: Answer + Clone>(self, answer: B) -> DeadlineLayer<B> {
        DeadlineLayer { headers: self.headers, answer }
    }
}

/// [`DeadlineLayer::new`].
impl Default for DeadlineLayer {
    fn default() -> Self {
        DeadlineLayer::new()
    }
}

impl<S, A: Clone> Layer<S> for DeadlineLayer<A> {
    type Service = DeadlineService<S, A>;

    fn layer(&self, inner: S) -> Self::Service {
        DeadlineService { inner, layer: self.clone() }
    }
}

/// The service of a [`DeadlineLayer`]. Ready when the service below is.
#[derive(Clone, Debug)]
pub struct DeadlineService<S, A = Plain> {
    inner: S,
    layer: DeadlineLayer<A>,
}

impl<S, A> DeadlineService<S, A> {
    /// The service below.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Writes the headers. Returns the call's context, and when a reader of the headers gives up; or why there is no use in
    /// sending them.
    fn announce<B>(&self, ctx: Context, request: &mut Request<B>) -> Result<(Context, Option<Instant>), Cause> {
        let start = Instant::now();
        let headers = request.headers_mut();
        let before = |header: &Header, headers: &HeaderMap| header.read(headers).unwrap_or(None);
        // A call with a shorter timeout of its own ends by that.
        let own = self.layer.headers.iter().filter_map(|header| before(header, headers)).min();
        let own = own.filter(|own| ctx.remaining().is_none_or(|left| *own <= left));
        let ctx = match own {
            Some(own) => ctx.with_timeout(own).0,
            None => ctx,
        };
        let mut said = own;
        for header in self.layer.headers {
            if own.is_none() || before(header, headers) != own {
                let error = |error| ctx.cause().unwrap_or_else(|| Cause::from(error));
                said = said.into_iter().chain(shorten(&ctx, *header, headers).map_err(error)?).min();
            }
        }
        match ctx.cause() {
            Some(cause) => Err(cause),
            None => Ok((ctx, said.and_then(|said| start.checked_add(said)))),
        }
    }
}

impl<S, A, ReqB, ResB> Service<Request<ReqB>> for DeadlineService<S, A>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    S::Error: Into<BoxError>,
    ResB: Body,
    ResB::Error: Into<BoxError>,
    A: Answer + Clone,
{
    type Response = Response<ContextBody<ResB, A>>;
    type Error = BoxError;
    type Future = CallFuture<S::Future, A>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    /// The service below is called before this returns, so its readiness is used by the call it was given for. Not called
    /// at all, it stays ready.
    fn call(&mut self, mut request: Request<ReqB>) -> Self::Future {
        let answer = self.layer.answer.clone();
        let Some(ctx) = request.extensions().get::<Context>().cloned() else {
            return CallFuture::call(self.inner.call(request), None, answer);
        };
        match self.announce(ctx, &mut request) {
            Err(cause) => CallFuture::failed(cause, answer),
            Ok((ctx, said)) => {
                let watch = Watch::client(ctx, answer.is_prompt(), said);
                CallFuture::call(self.inner.call(request), Some(watch), answer)
            }
        }
    }
}
