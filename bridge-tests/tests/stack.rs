//! The layers among tower's own: limits, buffers, readiness.

use bridge_tests::world::in_time;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use ripcord::tower::{BoxError, ContextLayer, DeadlineLayer};
use ripcord::{Cause, Context, Error};
use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

type Answer = Response<Empty<Bytes>>;

fn request(timeout: Option<&str>) -> Request<()> {
    let mut request = Request::builder();
    if let Some(timeout) = timeout {
        request = request.header("grpc-timeout", timeout);
    }
    request.body(()).unwrap()
}

fn run<F: Future<Output = ()>>(test: F) {
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    rt.block_on(async { tokio::time::timeout(Duration::from_secs(60), test).await.expect("hangs") });
}

#[test]
fn a_permit_that_poll_ready_took_is_used_by_the_call_or_kept_for_the_next() {
    run(async {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        let mut service = ServiceBuilder::new()
            .layer(ContextLayer::new(Context::background()))
            .concurrency_limit(1)
            .service(service_fn(move |_: Request<()>| {
                counted.fetch_add(1, SeqCst);
                pending::<Result<Answer, Infallible>>()
            }));
        let mut other = service.clone();

        let running = service.ready().await.unwrap().call(request(None));
        assert!(is_busy(&mut other).await, "the only permit is taken");
        drop(running);
        assert!(!is_busy(&mut other).await, "and given back");

        // Answered by the layer: the permit was not used, and is not lost.
        let response = other.call(request(Some("0n"))).await.unwrap();
        assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
        assert_eq!(calls.load(SeqCst), 1);
        let running = other.call(request(None));
        assert_eq!(calls.load(SeqCst), 2);
        assert!(is_busy(&mut service).await);
        drop(running);
        assert!(!is_busy(&mut service).await);
    });
}

/// Whether a service is not ready now.
async fn is_busy<S: Service<Request<()>>>(service: &mut S) -> bool {
    std::future::poll_fn(|cx| std::task::Poll::Ready(service.poll_ready(cx).is_pending())).await
}

#[test]
fn a_deadline_gives_the_permit_back() {
    run(async {
        let mut service = ServiceBuilder::new()
            .layer(ContextLayer::new(Context::background()))
            .concurrency_limit(1)
            .service(service_fn(|_: Request<()>| pending::<Result<Answer, Infallible>>()));
        for _ in 0..10 {
            let response = service.ready().await.unwrap().call(request(Some("2m"))).await.unwrap();
            assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
        }
    });
}

#[test]
fn through_a_buffer_and_boxes() {
    run(async {
        let client = ServiceBuilder::new()
            .boxed_clone()
            .buffer(4)
            .layer(DeadlineLayer::new())
            .service(service_fn(|_: Request<()>| pending::<Result<Answer, Infallible>>()));
        let (ctx, handle) = Context::background().with_cancel();
        let mut call = request(None);
        call.extensions_mut().insert(ctx);
        let calling = tokio::spawn(client.oneshot(call));
        tokio::task::yield_now().await;
        handle.cancel_cause("a faster one won");
        let error: BoxError = calling.await.unwrap().unwrap_err();
        let cause = error.downcast_ref::<Cause>().expect("the cause");
        assert_eq!((cause.error(), cause.to_string().as_str()), (Error::Canceled, "a faster one won"));
    });
}

/// One deadline for all tries: the second gets what the first left, and a third is not made.
#[test]
fn retries_share_one_budget() {
    run(in_time(Duration::from_millis(200), async |time| {
        let said = Arc::new(std::sync::Mutex::new(Vec::new()));
        let heard = said.clone();
        let upstream = service_fn(move |request: Request<()>| {
            heard.lock().unwrap().push(request.headers()["grpc-timeout"].to_str().unwrap().to_owned());
            async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Err::<Answer, BoxError>("refused".into())
            }
        });
        let mut client = ServiceBuilder::new().layer(DeadlineLayer::new()).service(upstream);
        let (ctx, _handle) = Context::background().with_timeout(time);
        let mut tries = 0;
        let last = loop {
            let mut call = request(None);
            call.extensions_mut().insert(ctx.clone());
            tries += 1;
            let error = client.ready().await.unwrap().call(call).await.unwrap_err();
            if error.downcast_ref::<Cause>().is_some() {
                break error;
            }
        };
        assert_eq!(last.downcast_ref::<Cause>().unwrap().error(), Error::DeadlineExceeded);
        let said: Vec<_> = said
            .lock()
            .unwrap()
            .iter()
            .map(|text| ripcord::http::Header::GrpcTimeout.parse(text.as_bytes()).unwrap().unwrap())
            .collect();
        assert!(said.is_sorted_by(|a, b| a > b), "{said:?}");
        // The last of them was not made.
        (tries > 2).then_some(())
    }));
}
