//! Services and bodies that are told what to do, and that tell what was done to them.

use crate::common::{Probe, Tale, poll_with};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use ripcord::Context;
use ripcord::tower::{BoxError, ContextBody};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{self, Poll, Waker};
use std::time::Duration;
use tower_service::Service;

/// What a [`Script`] does when it is polled.
#[derive(Debug)]
pub(crate) enum Step {
    Wait,
    Data(&'static str),
    Trailers(&'static str),
    Fail(&'static str),
}

/// A body that follows a list; its last frame says that it is the last, if it is sized.
#[derive(Debug)]
pub(crate) struct Script {
    steps: VecDeque<Step>,
    pub(crate) sized: bool,
    _probe: Probe,
}

impl Script {
    pub(crate) fn new(tale: &Arc<Tale>, steps: impl IntoIterator<Item = Step>) -> Script {
        Script { steps: steps.into_iter().collect(), sized: false, _probe: tale.probe() }
    }

    pub(crate) fn sized(mut self) -> Script {
        self.sized = true;
        self
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = match self.steps.front() {
            Some(Step::Wait) => return Poll::Pending,
            Some(Step::Data(text)) => Ok(Frame::data(Bytes::from_static(text.as_bytes()))),
            Some(Step::Trailers(name)) => {
                let mut trailers = HeaderMap::new();
                trailers.insert(*name, 1.into());
                Ok(Frame::trailers(trailers))
            }
            Some(Step::Fail(why)) => Err((*why).into()),
            None => return Poll::Ready(None),
        };
        self.steps.pop_front();
        Poll::Ready(Some(frame))
    }

    fn is_end_stream(&self) -> bool {
        self.sized && self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        if !self.sized {
            return SizeHint::default();
        }
        let len = self.steps.iter().map(|step| if let Step::Data(text) = step { text.len() as u64 } else { 0 }).sum();
        SizeHint::with_exact(len)
    }
}

type Answers = Box<dyn Future<Output = Result<Response<Script>, BoxError>> + Send>;

/// A service made of a function; counts its calls and keeps the last request's head.
#[derive(Clone)]
pub(crate) struct Handler {
    pub(crate) f: Arc<dyn Fn(Context) -> Answers + Send + Sync>,
    pub(crate) seen: Arc<Mutex<Vec<http::request::Parts>>>,
    /// `poll_ready` waits until this is set, and each call uses it up.
    pub(crate) permits: Option<Arc<Mutex<usize>>>,
}

impl Handler {
    pub(crate) fn new<F, R>(f: F) -> Handler
    where
        F: Fn(Context) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Response<Script>, BoxError>> + Send + 'static,
    {
        Handler { f: Arc::new(move |ctx| Box::new(f(ctx))), seen: Arc::default(), permits: None }
    }

    /// One that never answers; its futures tell when they are dropped.
    pub(crate) fn hanging() -> (Handler, Arc<Tale>) {
        let tale = Tale::new();
        let probes = tale.clone();
        let handler = Handler::new(move |_| {
            let probe = probes.probe();
            async move {
                std::future::pending::<()>().await;
                drop(probe);
                Err("never".into())
            }
        });
        (handler, tale)
    }

    pub(crate) fn calls(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

impl Service<Request<()>> for Handler {
    type Response = Response<Script>;
    type Error = BoxError;
    type Future = Pin<Answers>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), BoxError>> {
        match &self.permits {
            Some(permits) if *permits.lock().unwrap() == 0 => Poll::Pending,
            _ => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        if let Some(permits) = &self.permits {
            let mut permits = permits.lock().unwrap();
            *permits = permits.checked_sub(1).expect("called without having been ready");
        }
        let ctx = request.extensions().get::<Context>().cloned().unwrap_or_else(Context::todo);
        self.seen.lock().unwrap().push(request.into_parts().0);
        Box::into_pin((self.f)(ctx))
    }
}

/// A request with these headers.
pub(crate) fn request(headers: &[(&'static str, &'static str)]) -> Request<()> {
    let mut builder = Request::builder();
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(()).unwrap()
}

/// A header that gives a request so long, in whole milliseconds.
pub(crate) fn timeout(time: Duration) -> (&'static str, &'static str) {
    ("grpc-timeout", format!("{}m", time.as_millis()).leak())
}

/// What one poll of a body comes to.
pub(crate) type Polled<B> = Poll<Option<Result<Frame<<B as Body>::Data>, <B as Body>::Error>>>;

/// One poll of a body.
pub(crate) fn frame<B: Body>(body: Pin<&mut B>, waker: &Waker) -> Polled<B> {
    body.poll_frame(&mut task::Context::from_waker(waker))
}

/// What a body sends until it waits or ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Data(String),
    Trailers(String),
    Error(String),
    End,
    Waits,
}

pub(crate) fn sent<A: ripcord::tower::Answer>(body: &mut Pin<Box<ContextBody<Script, A>>>) -> Vec<Sent> {
    let mut all = Vec::new();
    loop {
        all.push(match frame(body.as_mut(), Waker::noop()) {
            Poll::Pending => Sent::Waits,
            Poll::Ready(None) => Sent::End,
            Poll::Ready(Some(Err(error))) => Sent::Error(error.to_string()),
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => Sent::Data(String::from_utf8(data.to_vec()).unwrap()),
                Err(frame) => {
                    let trailers = frame.into_trailers().expect("data or trailers");
                    Sent::Trailers(trailers.keys().map(|name| name.as_str().to_owned()).collect::<Vec<_>>().join(","))
                }
            },
        });
        if matches!(all.last(), Some(Sent::End | Sent::Waits | Sent::Error(_))) {
            return all;
        }
    }
}

pub(crate) fn data(text: &str) -> Sent {
    Sent::Data(text.to_owned())
}

pub(crate) fn trailers(names: &str) -> Sent {
    Sent::Trailers(names.to_owned())
}

pub(crate) fn error(text: &str) -> Sent {
    Sent::Error(text.to_owned())
}

/// A future that is ready at its first poll.
#[track_caller]
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    match poll_with(&mut Box::pin(future), Waker::noop()) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("not ready at once"),
    }
}

/// A future on the heap, to be polled by hand.
pub(crate) fn held<F: Future>(future: F) -> Pin<Box<F>> {
    Box::pin(future)
}
