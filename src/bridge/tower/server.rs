//! The server's layer: a context per request.

use super::answer::{Answer, Plain};
use super::body::ContextBody;
use super::future::{ResponseFuture, Verdict};
use super::watch::Watch;
use crate::bridge::http::{Child, Policy};
use crate::context::Context;
use ::http::request::Parts;
use ::http::{Method, Request, Response};
use ::http_body::Body;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::task::{self, Poll};
use tower_layer::Layer;
use tower_service::Service;

type Prepare = dyn Fn(Context, &Parts) -> Context + Send + Sync;

/// Gives every request a context of its own: a child of the server's, with a deadline from the headers, in the request's
/// extensions, until the response's body has ended or is dropped.
///
/// | what happens                                  | the request's context         | the client gets                      |
/// |-----------------------------------------------|-------------------------------|--------------------------------------|
/// | the body was sent                             | canceled                      | the response                         |
/// | the client goes, the response is dropped      | canceled, cause [`Gone`]      | -                                    |
/// | it ends (deadline, server) before an answer   | that end                      | 504 or 503, by the [`Answer`]        |
/// | it ends while the body is sent                | that end                      | a body cut short, or trailers        |
/// | the server's context has ended on arrival     | born ended                    | 503, and the handler is not called   |
/// | nothing remains on arrival                    | born ended                    | 504, and the handler is not called   |
///
/// [`Gone`]: super::Gone
///
/// Work that is to outlive the response starts from [`Context::without_cancel`].
///
/// Two or three small allocations per request beside the context's own: a waiter, when the handler is pending for the
/// first time, and what the map of extensions needs.
///
/// ```
/// use http::{Request, Response};
/// use ripcord::http::Policy;
/// use ripcord::tower::ContextLayer;
/// use ripcord::{Context, Error};
/// use std::time::Duration;
/// use tower_layer::Layer;
/// use tower_service::Service;
/// # use std::{future::{Ready, ready}, task::{self, Poll}};
/// # #[derive(Clone)]
/// # struct Handler;
/// # impl Service<Request<()>> for Handler {
/// #     type Response = Response<String>;
/// #     type Error = std::convert::Infallible;
/// #     type Future = Ready<Result<Response<String>, Self::Error>>;
/// #     fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), Self::Error>> { Poll::Ready(Ok(())) }
/// #     fn call(&mut self, request: Request<()>) -> Self::Future {
/// #         let ctx = request.extensions().get::<Context>().unwrap();
/// #         assert!(ctx.remaining().unwrap() <= Duration::from_millis(250));
/// #         ready(Ok(Response::new("hello".to_owned())))
/// #     }
/// # }
/// # struct RequestId(String);
///
/// let (server, shutdown) = Context::background().with_cancel();
/// let layer = ContextLayer::new(server)
///     .policy(Policy::untrusted().budget(Duration::from_secs(10)))
///     .prepare(|ctx, head| match head.headers.get("x-request-id").and_then(|id| id.to_str().ok()) {
///         Some(id) => ctx.with_value(RequestId(id.to_owned())),
///         None => ctx,
///     });
///
/// let mut service = layer.layer(Handler);
/// let response = service.call(Request::builder().header("grpc-timeout", "250m").body(()).unwrap());
/// # let waker = task::Waker::noop();
/// # let mut response = std::pin::pin!(response);
/// # let Poll::Ready(Ok(response)) = response.as_mut().poll(&mut task::Context::from_waker(waker)) else { panic!() };
/// # assert_eq!(response.body().get_ref().map(String::as_str), Some("hello"));
/// # drop(shutdown);
/// ```
#[derive(Clone)]
pub struct ContextLayer<A = Plain> {
    root: Context,
    policy: Policy,
    answer: A,
    prepare: Option<Arc<Prepare>>,
}

// The hook is shared and only called; what it shares is its own affair.
impl<A: UnwindSafe> UnwindSafe for ContextLayer<A> {}
impl<A: RefUnwindSafe> RefUnwindSafe for ContextLayer<A> {}

impl ContextLayer {
    /// Requests as children of `root`, with [`Policy::untrusted`] and [`Plain`] answers.
    #[must_use]
    pub fn new(root: Context) -> ContextLayer {
        ContextLayer { root, policy: Policy::untrusted(), answer: Plain, prepare: None }
    }
}

impl<A> ContextLayer<A> {
    /// How deadlines are made of headers.
    #[must_use]
    pub fn policy(self, policy: Policy) -> Self {
        ContextLayer { policy, ..self }
    }

    /// How an end is told to the client.
    #[must_use]
    pub fn answer<B: Answer + Clone>(self, answer: B) -> ContextLayer<B> {
        ContextLayer { root: self.root, policy: self.policy, answer, prepare: self.prepare }
    }

    /// What is done with a request's context before the handler sees it: values, or a shorter deadline for some paths. What
    /// is returned is what goes into the extensions, and whose end ends the response; it should be derived from what was
    /// given, for only then the client's leaving is heard. Not called for a request that is over on arrival.
    #[must_use]
    pub fn prepare<F>(self, prepare: F) -> Self
    where
        F: Fn(Context, &Parts) -> Context + Send + Sync + 'static,
    {
        ContextLayer { prepare: Some(Arc::new(prepare)), ..self }
    }
}

impl<A: fmt::Debug> fmt::Debug for ContextLayer<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContextLayer")
            .field("root", &self.root)
            .field("policy", &self.policy)
            .field("answer", &self.answer)
            .field("prepares", &self.prepare.is_some())
            .finish()
    }
}

impl<S, A: Clone> Layer<S> for ContextLayer<A> {
    type Service = ContextService<S, A>;

    fn layer(&self, inner: S) -> Self::Service {
        ContextService { inner, layer: self.clone() }
    }
}

/// The service of a [`ContextLayer`]. Ready when the service below is.
#[derive(Clone, Debug)]
pub struct ContextService<S, A = Plain> {
    inner: S,
    layer: ContextLayer<A>,
}

impl<S, A> ContextService<S, A> {
    /// The service below.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, A, ReqB, ResB> Service<Request<ReqB>> for ContextService<S, A>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    ResB: Body,
    A: Answer + Clone,
{
    type Response = Response<ContextBody<ResB, A>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, A>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    /// The service below is called before this returns, so its readiness is used by the call it was given for. Not called
    /// at all, it stays ready.
    fn call(&mut self, mut request: Request<ReqB>) -> Self::Future {
        let ContextLayer { root, policy, answer, prepare } = &self.layer;
        let answer = answer.clone();
        let Child { mut context, handle, reading } = match policy.child(root, request.headers()) {
            Ok(child) => child,
            Err(malformed) => return ResponseFuture::verdict(Verdict::Malformed(malformed), answer),
        };
        // Where the server's own deadline comes first, the timer is to tell, with that one's cause.
        let prompt = answer.is_prompt() && reading.budget.is_some() && {
            let own = context.deadline();
            root.deadline().is_none_or(|root| own.is_some_and(|own| own < root))
        };
        let mut end = context.cause();
        if let (None, Some(prepare)) = (&end, prepare) {
            let (parts, body) = request.into_parts();
            context = prepare(context, &parts);
            end = context.cause();
            request = Request::from_parts(parts, body);
        }
        if let Some(cause) = end {
            return ResponseFuture::verdict(Verdict::Ended(cause), answer);
        }
        let bodiless = request.method() == Method::HEAD;
        if reading.asked.is_some() || reading.malformed.is_some() {
            request.extensions_mut().insert(reading);
        }
        request.extensions_mut().insert(context.clone());
        // Before the handler is called: if that panics, the context ends.
        let watch = Watch::server(context, handle, prompt);
        ResponseFuture::handler(self.inner.call(request), watch, answer, bodiless)
    }
}
