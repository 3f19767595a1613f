//! `ContextLayer` up to the response: who ends what, and who answers.

use crate::common::{Tale, Wakes, assert_canceled, assert_ended, assert_live, block_on, in_time, poll, poll_with};
use crate::support::{Handler, Script, Sent, Step, data, error, held, now, request, sent, timeout};
use http::{Method, Response, StatusCode};
use ripcord::http::{Flaw, Policy, Reading};
use ripcord::tower::{Answer, ContextLayer, Gone};
use ripcord::{Cause, Context, Error};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};
use tower_layer::Layer;
use tower_service::Service;

const HOUR: Duration = Duration::from_secs(3600);

fn root() -> (Context, ripcord::CancelHandle) {
    Context::background().with_cancel()
}

/// A handler that never answers.
fn pending() -> Handler {
    Handler::new(|_| std::future::pending())
}

/// A handler that hands its context out and answers with these steps.
fn answering(steps: fn() -> Vec<Step>) -> (Handler, Arc<Mutex<Option<Context>>>, Arc<Tale>) {
    let (seen, tale) = (Arc::new(Mutex::new(None)), Tale::new());
    let (kept, probes) = (seen.clone(), tale.clone());
    let handler = Handler::new(move |ctx| {
        *kept.lock().unwrap() = Some(ctx);
        let body = Script::new(&probes, steps());
        async { Ok(Response::new(body)) }
    });
    (handler, seen, tale)
}

fn context_of(handler: &Handler) -> Context {
    let seen = handler.seen.lock().unwrap();
    seen.last().unwrap().extensions.get::<Context>().expect("a context in the extensions").clone()
}

#[test]
fn every_request_has_a_child_of_its_own_in_its_extensions() {
    let (root, handle) = root();
    let handler = pending();
    let mut service = ContextLayer::new(root).layer(handler.clone());
    let _first = service.call(request(&[]));
    let first = context_of(&handler);
    let _second = service.call(request(&[]));
    let second = context_of(&handler);
    assert_ne!(first, second);
    assert_live(&first);
    handle.cancel_cause("shutting down");
    assert_ended(&first, Error::Canceled, "shutting down");
    assert_ended(&second, Error::Canceled, "shutting down");
}

#[test]
fn the_deadline_comes_from_the_headers_by_the_policy() {
    let handler = pending();
    let policy = Policy::untrusted().budget(Duration::from_secs(10));
    let mut service = ContextLayer::new(root().0).policy(policy).layer(handler.clone());
    for (headers, most) in [(&[][..], 10), (&[("grpc-timeout", "2S")][..], 2), (&[("grpc-timeout", "1H")][..], 10)] {
        let before = Instant::now();
        let _future = service.call(request(headers));
        let deadline = context_of(&handler).deadline().unwrap();
        let most = Duration::from_secs(most);
        assert!(before + most <= deadline && deadline <= Instant::now() + most, "{headers:?}");
    }
}

#[test]
fn what_was_asked_and_what_was_malformed_is_in_the_extensions() {
    let handler = pending();
    let mut service = ContextLayer::new(root().0).layer(handler.clone());
    let reading = || handler.seen.lock().unwrap().last().unwrap().extensions.get::<Reading>().copied();
    drop(service.call(request(&[])));
    assert_eq!(reading(), None, "nothing to say");
    drop(service.call(request(&[("grpc-timeout", "1H")])));
    assert_eq!(reading().unwrap().asked, Some(HOUR));
    drop(service.call(request(&[("grpc-timeout", "1 H")])));
    assert_eq!(reading().unwrap().malformed.unwrap().flaw(), Flaw::NotDigits);
    assert_eq!(context_of(&handler).deadline(), None);
}

#[test]
fn a_malformed_header_is_refused_by_a_policy_that_says_so() {
    let handler = pending();
    let layer = ContextLayer::new(root().0).policy(Policy::untrusted().refuse_malformed());
    let response = now(layer.layer(handler.clone()).call(request(&[("grpc-timeout", "soon")]))).unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(sent(&mut Box::pin(response.into_body())), [Sent::End]);
    assert_eq!(handler.calls(), 0);
}

#[test]
fn a_server_that_has_ended_calls_no_handler() {
    let (root, handle) = root();
    handle.cancel_cause("shutting down");
    let handler = pending();
    let response = now(ContextLayer::new(root).layer(handler.clone()).call(request(&[]))).unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(handler.calls(), 0);
}

#[test]
fn a_budget_of_nothing_calls_no_handler() {
    let handler = pending();
    let mut service = ContextLayer::new(root().0).layer(handler.clone());
    let response = now(service.call(request(&[("grpc-timeout", "0n")]))).unwrap();
    assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(handler.calls(), 0);
}

#[test]
fn a_deadline_in_the_handler_drops_it_and_answers_504_never_early() {
    in_time(Duration::from_millis(20), |time| {
        let (handler, tale) = Handler::hanging();
        let mut service = ContextLayer::new(root().0).layer(handler.clone());
        let before = Instant::now();
        let mut future = held(service.call(request(&[timeout(time)])));
        let response = block_on(future.as_mut()).unwrap();
        assert!(before.elapsed() >= time);
        assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
        (handler.calls() > 0).then(|| {
            assert_eq!(tale.drops(), 1, "the handler is gone, though its future is still held");
            assert_eq!(context_of(&handler).err(), Some(Error::DeadlineExceeded));
        })
    });
}

#[test]
fn a_cancel_wakes_the_pending_response_and_answers_503() {
    let (root, handle) = root();
    let mut future = ContextLayer::new(root).layer(pending()).call(request(&[]));
    let (wakes, waker) = Wakes::new();
    assert!(poll_with(&mut future, &waker).is_pending());
    assert_eq!(wakes.count(), 0);
    handle.cancel();
    assert_eq!(wakes.count(), 1);
    let Poll::Ready(Ok(response)) = poll_with(&mut future, &waker) else { panic!("woken for nothing") };
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[test]
fn a_handler_that_hears_of_the_end_first_answers_itself_and_is_sent_whole() {
    let (root, handle) = root();
    let tale = Tale::new();
    let probes = tale.clone();
    let handler = Handler::new(move |ctx| {
        let body = Script::new(&probes, [Step::Data("our own"), Step::Data(" page")]).sized();
        async move {
            ctx.done().await;
            let mut response = Response::new(body);
            *response.status_mut() = StatusCode::IM_A_TEAPOT;
            Ok(response)
        }
    });
    let mut future = ContextLayer::new(root).layer(handler).call(request(&[]));
    assert!(poll(&mut future).is_pending());
    handle.cancel();
    let Poll::Ready(Ok(response)) = poll(&mut future) else { panic!("not ready") };
    assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
    assert_eq!(sent(&mut Box::pin(response.into_body())), [data("our own"), data(" page"), Sent::End]);
}

#[test]
fn a_last_word_that_has_to_wait_or_has_no_size_is_cut() {
    for (sized, expected) in [(true, vec![data("our"), error("shutting down")]), (false, vec![error("shutting down")])]
    {
        let (root, handle) = root();
        let tale = Tale::new();
        let probes = tale.clone();
        let handler = Handler::new(move |ctx| {
            let mut body = Script::new(&probes, [Step::Data("our"), Step::Wait, Step::Data(" page")]);
            body.sized = sized;
            async move {
                ctx.done().await;
                Ok(Response::new(body))
            }
        });
        let mut future = ContextLayer::new(root).layer(handler).call(request(&[]));
        assert!(poll(&mut future).is_pending());
        handle.cancel_cause("shutting down");
        let Poll::Ready(Ok(response)) = poll(&mut future) else { panic!("not ready") };
        let mut body = Box::pin(response.into_body());
        assert_eq!(sent(&mut body), expected, "sized: {sized}");
        assert_eq!(tale.drops(), 1, "the body is gone");
    }
}

#[test]
fn dropping_the_response_future_cancels_with_the_cause_gone() {
    let handler = pending();
    let mut future = ContextLayer::new(root().0).layer(handler.clone()).call(request(&[]));
    assert!(poll(&mut future).is_pending());
    let ctx = context_of(&handler);
    let (below, _handle) = ctx.with_cancel();
    assert_live(&below);
    drop(future);
    assert_ended(&below, Error::Canceled, "the response was dropped before its end");
    assert!(ctx.cause().unwrap().downcast_ref::<Gone>().is_some());
}

#[test]
fn a_service_error_passes_and_ends_the_context() {
    let handler = Handler::new(|_| async { Err("broken".into()) });
    let error = now(ContextLayer::new(root().0).layer(handler.clone()).call(request(&[]))).unwrap_err();
    assert_eq!(error.to_string(), "broken");
    assert_canceled(&context_of(&handler));
}

#[test]
fn a_service_error_after_the_end_is_answered_as_the_end() {
    let (root, handle) = root();
    let handler = Handler::new(|ctx| async move { Err(ctx.done().await.into()) });
    let mut future = ContextLayer::new(root).layer(handler).call(request(&[]));
    assert!(poll(&mut future).is_pending());
    handle.cancel();
    let Poll::Ready(Ok(response)) = poll(&mut future) else { panic!("no answer") };
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[test]
fn a_handler_that_panics_when_called_ends_the_context() {
    let handler = Handler::new(|ctx| {
        let poison = ctx.value::<Tale>().is_none();
        assert!(!poison, "on purpose");
        std::future::pending()
    });
    let mut service = ContextLayer::new(root().0).layer(handler.clone());
    let message = crate::common::panic_of(|| service.call(request(&[])));
    assert_eq!(message, "on purpose");
    assert_ended(&context_of(&handler), Error::Canceled, "the response was dropped before its end");
}

#[test]
fn the_response_to_head_is_through_without_its_body() {
    let (handler, seen, tale) = answering(|| vec![Step::Data("not sent")]);
    let mut head = request(&[]);
    *head.method_mut() = Method::HEAD;
    let response = now(ContextLayer::new(root().0).layer(handler).call(head)).unwrap();
    let ctx = seen.lock().unwrap().clone().unwrap();
    assert_live(&ctx);
    drop(response);
    assert_canceled(&ctx);
    assert_eq!(tale.drops(), 1);
}

#[test]
fn prepare_adds_values_and_shorter_deadlines() {
    struct Path(String);
    let handler = pending();
    let layer = ContextLayer::new(root().0).prepare(|ctx, head| {
        let ctx = ctx.with_value(Path(head.uri.path().to_owned()));
        if head.uri.path() == "/short" { ctx.with_timeout_cause(Duration::ZERO, "too short").0 } else { ctx }
    });
    let mut service = layer.layer(handler.clone());
    let mut long = request(&[]);
    *long.uri_mut() = "/long".parse().unwrap();
    let mut future = service.call(long);
    assert!(poll(&mut future).is_pending());
    let ctx = context_of(&handler);
    assert_eq!(ctx.value::<Path>().unwrap().0, "/long");
    drop(future);
    assert!(ctx.cause().unwrap().downcast_ref::<Gone>().is_some(), "a prepared context hears of the client, too");

    let mut short = request(&[]);
    *short.uri_mut() = "/short".parse().unwrap();
    let response = now(service.call(short)).unwrap();
    assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(handler.calls(), 1);
}

#[test]
fn an_answer_of_ones_own_sees_the_cause() {
    let (root, handle) = root();
    handle.cancel_cause("maintenance until noon");
    let layer = ContextLayer::new(root)
        .answer(|cause: &Cause| Response::builder().status(599).header("x-cause", cause.to_string()).body(()).unwrap());
    let response = now(layer.layer(pending()).call(request(&[]))).unwrap();
    assert_eq!(response.status(), 599);
    assert_eq!(response.headers()["x-cause"], "maintenance until noon");
}

#[test]
fn readiness_is_the_services_own_and_each_call_uses_one() {
    let permits = Arc::new(Mutex::new(0));
    let mut handler = pending();
    handler.permits = Some(permits.clone());
    let mut service = ContextLayer::new(root().0).layer(handler);
    let mut cx = std::task::Context::from_waker(Waker::noop());
    assert!(Service::<http::Request<()>>::poll_ready(&mut service, &mut cx).is_pending());
    *permits.lock().unwrap() = 1;
    assert!(Service::<http::Request<()>>::poll_ready(&mut service, &mut cx).is_ready());
    // Answered without the handler: the permit stays for the next one.
    let response = now(service.call(request(&[("grpc-timeout", "0S")]))).unwrap();
    assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(*permits.lock().unwrap(), 1);
    let _future = service.call(request(&[]));
    assert_eq!(*permits.lock().unwrap(), 0);
    assert!(Service::<http::Request<()>>::poll_ready(&mut service, &mut cx).is_pending());
}

/// Prompt, as gRPC is: the clock counts, and the timer may come later.
#[derive(Clone)]
struct Prompt;

impl Answer for Prompt {
    fn response(&self, cause: &Cause) -> Response<()> {
        Response::builder().status(if cause.error().is_timeout() { 504 } else { 503 }).body(()).unwrap()
    }
    fn is_prompt(&self) -> bool {
        true
    }
}

#[test]
fn a_prompt_answer_does_not_wait_for_the_timer() {
    let handler = pending();
    let mut service = ContextLayer::new(root().0).answer(Prompt).layer(handler.clone());
    // Whoever polls after the deadline gets the 504, whether the timer has fired or not.
    let mut seen = 0;
    for _ in 0..200 {
        let mut future = service.call(request(&[("grpc-timeout", "300u")]));
        if handler.calls() == seen {
            // It was over on arrival, on a machine with much to do.
            continue;
        }
        seen = handler.calls();
        let ctx = context_of(&handler);
        while ctx.remaining() != Some(Duration::ZERO) {
            std::hint::spin_loop();
        }
        let Poll::Ready(Ok(response)) = poll(&mut future) else { panic!("pending after the deadline") };
        assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
        assert_ended(&context_of(&handler), Error::DeadlineExceeded, "context deadline exceeded");
    }
    assert!(seen > 0, "none was in time");
}
