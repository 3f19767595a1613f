//! What a request costs: the context, the map of extensions, a waiter if it has to wait. Nothing per frame.

use crate::common::Tale;
use crate::common::allocations::{ALLOCATIONS, Counting};
use crate::support::{Script, Step, frame};
use http::{Request, Response};
use ripcord::Context;
use ripcord::tower::ContextLayer;
use std::cell::RefCell;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::pin;
use std::task::{self, Poll, Waker};
use tower_layer::Layer;
use tower_service::Service;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    static NEXT: RefCell<Option<Script>> = const { RefCell::new(None) };
}

/// Answers with the thread's next script, and allocates nothing.
#[derive(Clone)]
struct Bare;

impl Service<Request<()>> for Bare {
    type Response = Response<Script>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Script>, Infallible>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::new(NEXT.take().unwrap())))
    }
}

#[test]
fn a_request_allocates_three_times_and_frames_do_not() {
    let (root, _handle) = Context::background().with_cancel();
    let mut service = ContextLayer::new(root).layer(Bare);
    let tale = Tale::new();
    let mut least = (usize::MAX, usize::MAX);
    for _ in 0..100 {
        let steps = (0..50).map(|_| Step::Data("frame")).chain([Step::Wait]);
        NEXT.set(Some(Script::new(&tale, steps)));
        let request = Request::new(());
        let mut cx = task::Context::from_waker(Waker::noop());

        let start = ALLOCATIONS.get();
        let future = pin!(service.call(request));
        let Poll::Ready(Ok(response)) = future.poll(&mut cx) else { panic!("not ready") };
        let mut body = pin!(response.into_body());
        let head = ALLOCATIONS.get();
        for _ in 0..50 {
            assert!(frame(body.as_mut(), Waker::noop()).is_ready());
        }
        assert_eq!(ALLOCATIONS.get(), head, "frames pass without an allocation");
        for _ in 0..10 {
            assert!(frame(body.as_mut(), Waker::noop()).is_pending());
        }
        least = least.min((head - start, ALLOCATIONS.get() - head));
    }
    // The map of extensions, its table, and the context in it; node and waiter are in the memory of those before.
    assert_eq!(least, (3, 0), "and nothing for waiting, however often it is polled");
}
