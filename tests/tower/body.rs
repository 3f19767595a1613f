//! `ContextBody`: what passes, what is cut, and when the context ends.

use crate::common::{Tale, Wakes, assert_canceled, assert_ended, assert_live, in_time, wait_for};
use crate::support::{Handler, Script, Sent, Step, data, error, frame, now, request, sent, timeout, trailers};
use http::{HeaderMap, Response};
use http_body::Body;
use ripcord::tower::{Answer, BoxError, ContextBody, ContextLayer, DeadlineLayer, Gone, Plain};
use ripcord::{CancelHandle, Cause, Context, Error};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};
use tower_layer::Layer;
use tower_service::Service;

struct Served<A> {
    body: Pin<Box<ContextBody<Script, A>>>,
    ctx: Context,
    root: CancelHandle,
    tale: Arc<Tale>,
}

fn served_by<A: Answer + Clone>(answer: A, sized: bool, timeout: &'static str, steps: Vec<Step>) -> Served<A> {
    served_in_time(answer, sized, timeout, steps).expect("the handler is called")
}

/// None if the time was up before the handler could be called.
fn served_in_time<A: Answer + Clone>(
    answer: A,
    sized: bool,
    timeout: &'static str,
    steps: Vec<Step>,
) -> Option<Served<A>> {
    let (root, handle) = Context::background().with_cancel();
    let tale = Tale::new();
    let mut script = Script::new(&tale, steps);
    script.sized = sized;
    let script = Arc::new(Mutex::new(Some(script)));
    let handler = Handler::new(move |_| {
        let body = script.lock().unwrap().take().unwrap();
        async { Ok(Response::new(body)) }
    });
    let mut service = ContextLayer::new(root).answer(answer).layer(handler.clone());
    let response = now(service.call(request(&[("grpc-timeout", timeout)]))).unwrap();
    let ctx = handler.seen.lock().unwrap().first()?.extensions.get::<Context>().unwrap().clone();
    Some(Served { body: Box::pin(response.into_body()), ctx, root: handle, tale })
}

fn served(steps: Vec<Step>) -> Served<Plain> {
    served_by(Plain, false, "1H", steps)
}

#[test]
fn frames_and_trailers_pass_and_the_context_lasts_until_the_end() {
    let mut it = served(vec![Step::Data("a"), Step::Data("b"), Step::Trailers("x-checksum"), Step::Wait]);
    assert_eq!(sent(&mut it.body), [data("a"), data("b"), trailers("x-checksum"), Sent::Waits]);
    assert_live(&it.ctx);

    let mut it = served(vec![Step::Data("a"), Step::Trailers("x-checksum")]);
    assert_eq!(sent(&mut it.body), [data("a"), trailers("x-checksum"), Sent::End]);
    assert_canceled(&it.ctx);
    assert_eq!(it.tale.drops(), 1, "the body inside went with its end");
    assert_eq!(sent(&mut it.body), [Sent::End], "and stays ended");
}

#[test]
fn size_and_end_are_those_inside() {
    let mut it = served_by(Plain, true, "1H", vec![Step::Data("four"), Step::Data("five!")]);
    assert_eq!(it.body.size_hint().exact(), Some(9));
    assert!(!it.body.is_end_stream());
    for (left, end) in [(5, false), (0, true)] {
        assert!(frame(it.body.as_mut(), std::task::Waker::noop()).is_ready());
        assert_eq!((it.body.size_hint().exact(), it.body.is_end_stream()), (Some(left), end));
    }
    assert_live(&it.ctx);
    drop(it.body);
    // Nobody polls after a last frame that says it is the last: that is no reason to call the client gone.
    assert_canceled(&it.ctx);

    let unknown = served(vec![Step::Data("four")]);
    assert_eq!((unknown.body.size_hint().lower(), unknown.body.size_hint().upper()), (0, None));
    let empty = served_by(Plain, true, "1H", vec![]);
    assert!(empty.body.is_end_stream());
    drop(empty.body);
    assert_canceled(&empty.ctx);
}

#[test]
fn dropped_before_its_end_the_client_is_gone() {
    let mut it = served(vec![Step::Data("a"), Step::Wait]);
    assert_eq!(sent(&mut it.body), [data("a"), Sent::Waits]);
    drop(it.body);
    assert!(it.ctx.cause().unwrap().downcast_ref::<Gone>().is_some());
    assert_eq!(it.tale.drops(), 1);

    let it = served(vec![Step::Data("a")]);
    drop(it.body);
    assert_ended(&it.ctx, Error::Canceled, "the response was dropped before its end");
}

#[test]
fn a_body_that_fails_passes_its_error_and_ends_the_context() {
    let mut it = served(vec![Step::Data("a"), Step::Fail("disk on fire")]);
    assert_eq!(sent(&mut it.body), [data("a"), error("disk on fire")]);
    assert_canceled(&it.ctx);
    assert_eq!(sent(&mut it.body), [Sent::End]);
}

#[test]
fn a_cancel_wakes_the_body_and_cuts_it() {
    let mut it = served(vec![Step::Data("a"), Step::Wait]);
    assert_eq!(sent(&mut it.body), [data("a"), Sent::Waits]);
    let (wakes, waker) = Wakes::new();
    assert!(frame(it.body.as_mut(), &waker).is_pending());
    it.root.cancel_cause("shutting down");
    assert_eq!(wakes.count(), 1);
    let Poll::Ready(Some(Err(error))) = frame(it.body.as_mut(), &waker) else { panic!("not cut") };
    let cause = error.downcast_ref::<Cause>().expect("the error is the cause");
    assert_eq!((cause.error(), cause.to_string()), (Error::Canceled, "shutting down".to_owned()));
    assert_eq!(it.tale.drops(), 1, "the body inside is gone before the client knows");
    assert_eq!(sent(&mut it.body), [Sent::End]);
    assert!(it.body.is_end_stream());
    assert!(it.body.get_ref().is_none());
}

#[test]
fn a_deadline_cuts_a_body_that_always_has_more() {
    in_time(Duration::from_millis(20), |time| {
        let before = Instant::now();
        let drips = (0..100).map(|_| Step::Data("drip")).collect();
        let served = served_in_time(Plain, false, timeout(time).1, drips);
        assert!(served.is_some() || before.elapsed() >= time);
        let mut it = served?;
        let dripped = matches!(frame(it.body.as_mut(), std::task::Waker::noop()), Poll::Ready(Some(Ok(_))));
        assert!(dripped || before.elapsed() >= time);
        assert_eq!(wait_for(&it.ctx), Error::DeadlineExceeded);
        assert!(before.elapsed() >= time);
        dripped.then(|| assert_eq!(sent(&mut it.body), [error("context deadline exceeded")]))
    });
}

#[test]
fn an_end_that_comes_after_the_last_frame_does_not_matter() {
    let mut it = served_by(Plain, true, "1H", vec![Step::Data("all")]);
    assert!(matches!(frame(it.body.as_mut(), std::task::Waker::noop()), Poll::Ready(Some(Ok(_)))));
    it.root.cancel();
    assert!(it.body.is_end_stream(), "whoever asks first, as hyper does, never polls again");
}

/// Ends bodies with trailers, as gRPC does.
#[derive(Clone)]
struct Trailing;

impl Answer for Trailing {
    fn response(&self, _: &Cause) -> Response<()> {
        Response::new(())
    }
    fn trailers(&self, cause: &Cause) -> Option<HeaderMap> {
        let mut map = HeaderMap::new();
        map.insert("x-status", if cause.error().is_timeout() { 4 } else { 1 }.into());
        Some(map)
    }
    fn error(&self, cause: Cause) -> BoxError {
        format!("told: {cause}").into()
    }
}

#[test]
fn an_answer_with_trailers_ends_the_body_whole() {
    let mut it = served_by(Trailing, false, "1H", vec![Step::Data("a"), Step::Wait]);
    assert_eq!(sent(&mut it.body), [data("a"), Sent::Waits]);
    it.root.cancel();
    assert_eq!(sent(&mut it.body), [trailers("x-status"), Sent::End]);
    assert!(it.body.is_end_stream());
    assert_eq!(it.tale.drops(), 1);
}

#[test]
fn a_clients_body_is_cut_with_an_error_and_never_with_trailers() {
    let tale = Tale::new();
    let probes = tale.clone();
    let upstream = Handler::new(move |_| {
        let body = Script::new(&probes, [Step::Data("a"), Step::Wait]);
        async { Ok(Response::new(body)) }
    });
    let (ctx, handle) = Context::background().with_cancel();
    let mut call = request(&[]);
    call.extensions_mut().insert(ctx.clone());
    let response = now(DeadlineLayer::new().answer(Trailing).layer(upstream.clone()).call(call)).unwrap();
    let mut body = Box::pin(response.into_body());
    assert_eq!(sent(&mut body), [data("a"), Sent::Waits]);
    handle.cancel_cause("a faster one won");
    assert_eq!(sent(&mut body), [error("told: a faster one won")]);
    assert_eq!(tale.drops(), 1, "the upstream's stream is closed");

    // A client's context belongs to the caller: it does not end with one call.
    let (ctx, _handle) = Context::background().with_cancel();
    let mut call = request(&[]);
    call.extensions_mut().insert(ctx.clone());
    drop(now(DeadlineLayer::new().layer(upstream).call(call)).unwrap());
    assert_live(&ctx);
}
