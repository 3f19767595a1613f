//! `DeadlineLayer` up to the response: what is written, what is not sent, and when a call is given up.

use crate::common::{Tale, Wakes, assert_live, block_on, far, in_time, past, poll, poll_with};
use crate::support::{Handler, Script, held, now, request, timeout};
use http::{HeaderMap, Request, Response};
use ripcord::http::Header;
use ripcord::tower::{Answer, BoxError, DeadlineLayer};
use ripcord::{Cause, Context, Error};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};
use tower_layer::Layer;
use tower_service::Service;

/// An upstream that never answers.
fn pending() -> Handler {
    Handler::new(|_| std::future::pending())
}

fn under(ctx: &Context, headers: &[(&'static str, &'static str)]) -> Request<()> {
    let mut request = request(headers);
    request.extensions_mut().insert(ctx.clone());
    request
}

fn headers_of(upstream: &Handler) -> HeaderMap {
    upstream.seen.lock().unwrap().last().expect("called").headers.clone()
}

fn cause_of(error: &BoxError) -> &Cause {
    error.downcast_ref::<Cause>().expect("the error is the cause")
}

#[test]
fn what_remains_goes_with_the_call() {
    let upstream = pending();
    let mut client = DeadlineLayer::new().layer(upstream.clone());
    let (ctx, _handle) = Context::background().with_timeout(Duration::from_secs(60));
    let before = Instant::now();
    drop(client.call(under(&ctx, &[])));
    let said = Header::GrpcTimeout.read(&headers_of(&upstream)).unwrap().unwrap();
    assert!(before + said <= ctx.deadline().unwrap(), "never later than here");
    assert!(said > Duration::from_secs(1));
    assert_eq!(headers_of(&upstream).len(), 1);
}

#[test]
fn the_headers_are_chosen() {
    let upstream = pending();
    let (ctx, _handle) = Context::background().with_timeout(Duration::from_secs(60));
    let mut client = DeadlineLayer::new().headers(Header::ALL).layer(upstream.clone());
    drop(client.call(under(&ctx, &[])));
    for header in Header::ALL {
        assert!(header.read(&headers_of(&upstream)).unwrap().is_some(), "{header}");
    }
    let mut client = DeadlineLayer::new().headers(&[]).layer(upstream.clone());
    drop(client.call(under(&ctx, &[])));
    assert!(headers_of(&upstream).is_empty());
}

#[test]
fn a_shorter_timeout_of_the_call_stays() {
    let upstream = pending();
    let mut client = DeadlineLayer::new().layer(upstream.clone());
    let (ctx, _handle) = Context::background().with_timeout(Duration::from_secs(60));
    drop(client.call(under(&ctx, &[("grpc-timeout", "5S")])));
    assert_eq!(headers_of(&upstream)["grpc-timeout"], "5S");
    drop(client.call(under(&ctx, &[("grpc-timeout", "5M")])));
    assert_ne!(headers_of(&upstream)["grpc-timeout"], "5M");

    let calls = in_time(Duration::from_millis(20), |time| {
        let (before, calls) = (Instant::now(), upstream.calls());
        let error = block_on(client.call(under(&ctx, &[timeout(time)]))).unwrap_err();
        assert!(before.elapsed() >= time);
        assert_eq!(cause_of(&error).error(), Error::DeadlineExceeded);
        (upstream.calls() > calls).then(|| upstream.calls())
    });
    assert_live(&ctx);
    assert!(now(client.call(under(&ctx, &[("grpc-timeout", "0n")]))).is_err());
    assert_eq!(upstream.calls(), calls, "nothing of its own remained");
}

#[test]
fn a_shorter_timeout_in_one_header_is_in_all_of_them() {
    let upstream = pending();
    let mut client = DeadlineLayer::new().headers(Header::ALL).layer(upstream.clone());
    let (ctx, _handle) = Context::background().with_timeout(Duration::from_secs(60));
    for ctx in [ctx, Context::background()] {
        drop(client.call(under(&ctx, &[("grpc-timeout", "5S"), ("x-envoy-expected-rq-timeout-ms", "9000")])));
        let map = headers_of(&upstream);
        assert_eq!(map["grpc-timeout"], "5S");
        for header in Header::ALL {
            assert!(header.read(&map).unwrap().unwrap() <= Duration::from_secs(5), "{header}");
        }
    }
}

#[test]
fn without_a_context_or_a_deadline_the_request_passes_as_it_is() {
    let upstream = pending();
    let mut client = DeadlineLayer::new().layer(upstream.clone());
    let mut call = client.call(request(&[("grpc-timeout", "5S")]));
    assert!(poll(&mut call).is_pending());
    assert_eq!(headers_of(&upstream)["grpc-timeout"], "5S");
    drop(client.call(under(&Context::background(), &[])));
    assert!(headers_of(&upstream).is_empty());
}

#[test]
fn when_nothing_remains_the_call_is_not_made() {
    let upstream = pending();
    let mut client = DeadlineLayer::new().layer(upstream.clone());
    let (late, _handle) = Context::background().with_deadline_cause(past(), "lunch is over");
    let error = now(client.call(under(&late, &[]))).unwrap_err();
    assert_eq!((cause_of(&error).error(), error.to_string().as_str()), (Error::DeadlineExceeded, "lunch is over"));

    let (ctx, handle) = Context::background().with_deadline(far());
    handle.cancel_cause("a faster one won");
    for headers in [&[Header::GrpcTimeout][..], &[]] {
        let mut client = DeadlineLayer::new().headers(headers).layer(upstream.clone());
        let error = now(client.call(under(&ctx, &[]))).unwrap_err();
        assert_eq!((cause_of(&error).error(), error.to_string().as_str()), (Error::Canceled, "a faster one won"));
    }
    assert_eq!(upstream.calls(), 0);
}

#[test]
fn a_cancel_wakes_the_call_and_drops_it() {
    let (upstream, tale) = Handler::hanging();
    let (ctx, handle) = Context::background().with_cancel();
    let mut call = held(DeadlineLayer::new().layer(upstream).call(under(&ctx, &[])));
    let (wakes, waker) = Wakes::new();
    assert!(poll_with(&mut call, &waker).is_pending());
    handle.cancel_cause("client gone");
    assert_eq!(wakes.count(), 1);
    let Poll::Ready(Err(error)) = poll_with(&mut call, &waker) else { panic!("woken for nothing") };
    assert_eq!(error.to_string(), "client gone");
    assert_eq!(tale.drops(), 1, "the call is gone, though its future is still held");
}

#[test]
fn a_deadline_ends_the_call_never_early() {
    let before = Instant::now();
    let (ctx, _handle) = Context::background().with_timeout_cause(Duration::from_millis(20), "twenty is plenty");
    let error = block_on(DeadlineLayer::new().layer(pending()).call(under(&ctx, &[]))).unwrap_err();
    assert!(before.elapsed() >= Duration::from_millis(20));
    assert_eq!((cause_of(&error).error(), error.to_string().as_str()), (Error::DeadlineExceeded, "twenty is plenty"));
}

#[test]
fn an_ended_context_polls_the_call_no_more() {
    let tale = Tale::new();
    let probe = tale.probe();
    let probe = Arc::new(Mutex::new(Some(probe)));
    let upstream = Handler::new(move |_| {
        let probe = probe.lock().unwrap().take().unwrap();
        async move {
            probe.run();
            Err("polled".into())
        }
    });
    let (ctx, handle) = Context::background().with_cancel();
    let call = DeadlineLayer::new().layer(upstream).call(under(&ctx, &[]));
    handle.cancel();
    assert_eq!(now(call).unwrap_err().to_string(), "context canceled");
    assert_eq!((tale.runs(), tale.drops()), (0, 1));
}

#[test]
fn answers_and_errors_from_below_pass_and_leave_the_context_alone() {
    let (ctx, _handle) = Context::background().with_cancel();
    let tale = Tale::new();
    let probes = tale.clone();
    let upstream = Handler::new(move |ctx| {
        let body = Script::new(&probes, []);
        let refuse = ctx.value::<&str>().is_some();
        async move { if refuse { Err("refused".into()) } else { Ok(Response::builder().status(201).body(body).unwrap()) } }
    });
    let mut client = DeadlineLayer::new().layer(upstream);
    assert_eq!(now(client.call(under(&ctx, &[]))).unwrap().status(), 201);
    let error = now(client.call(under(&ctx.with_value("refuse"), &[]))).unwrap_err();
    assert_eq!(error.to_string(), "refused");
    assert_live(&ctx);
}

/// Prompt, and with a word for errors that come when the headers' time is over.
#[derive(Clone)]
struct Overdue;

impl Answer for Overdue {
    fn response(&self, _: &Cause) -> Response<()> {
        Response::new(())
    }
    fn is_prompt(&self) -> bool {
        true
    }
    fn failure(&self, error: BoxError, overdue: bool) -> BoxError {
        format!("{error}, overdue: {overdue}").into()
    }
}

#[test]
fn an_error_is_overdue_when_the_headers_time_is_over() {
    let upstream = Handler::new(|_| async { Err("refused".into()) });
    let mut client = DeadlineLayer::new().answer(Overdue).layer(upstream);
    let (ctx, _handle) = Context::background().with_timeout(Duration::from_secs(60));
    assert_eq!(now(client.call(under(&ctx, &[]))).unwrap_err().to_string(), "refused, overdue: false");

    // Pushed back after the header was written: its reader gives up before the context does.
    let call = pushed_back_after_the_call(&mut client);
    assert_eq!(now(call).unwrap_err().to_string(), "refused, overdue: true");
}

/// A call under a deadline that was pushed back when the call had been made, after the time that it had at first.
fn pushed_back_after_the_call<S: Service<Request<()>>>(client: &mut S) -> S::Future {
    in_time(Duration::from_millis(50), |time| {
        let before = Instant::now();
        let (ctx, handle) = Context::background().with_timeout(time);
        let call = client.call(under(&ctx, &[]));
        let made = before.elapsed() < time;
        let moved = handle.reset_timeout(Duration::from_secs(3600));
        assert!(moved || before.elapsed() >= time, "ended early");
        std::thread::sleep(time);
        (made && moved).then_some(call)
    })
}

#[test]
fn a_prompt_answer_does_not_wait_for_the_timer_but_for_a_deadline_that_moved() {
    let mut client = DeadlineLayer::new().answer(Overdue).layer(pending());
    for _ in 0..200 {
        let (ctx, _handle) = Context::background().with_timeout(Duration::from_micros(300));
        let mut call = client.call(under(&ctx, &[]));
        while ctx.remaining() != Some(Duration::ZERO) {
            std::hint::spin_loop();
        }
        let Poll::Ready(Err(error)) = poll(&mut call) else { panic!("pending after the deadline") };
        assert_eq!(cause_of(&error).error(), Error::DeadlineExceeded);
    }
    assert!(poll(&mut pushed_back_after_the_call(&mut client)).is_pending());
}

#[test]
fn readiness_is_the_upstreams_own() {
    let permits = Arc::new(Mutex::new(1));
    let mut upstream = pending();
    upstream.permits = Some(permits.clone());
    let mut client = DeadlineLayer::new().layer(upstream);
    let mut cx = std::task::Context::from_waker(Waker::noop());
    let mut ready = |client: &mut _| Service::<Request<()>>::poll_ready(client, &mut cx).is_ready();
    assert!(ready(&mut client));
    let (late, _handle) = Context::background().with_deadline(past());
    assert!(now(client.call(under(&late, &[]))).is_err());
    assert_eq!(*permits.lock().unwrap(), 1, "the permit stays for the next one");
    assert!(ready(&mut client));
    let _call = client.call(under(&Context::background(), &[]));
    assert!(!ready(&mut client));
}
