//! More than one reason to stop: two contexts merged, and a context below something that is none.
//!
//! ```text
//! cargo run --example merge
//! ```

use ripcord::{Cause, Context, Error};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{self, Poll, Waker};
use std::thread;
use std::time::Duration;

#[derive(Debug, PartialEq)]
struct Tenant(u32);

/// A foreign source of ends, as small as they come: a lamp that goes out once. A signal stream, a channel, a
/// cancellation token or a socket that hangs up would do as well.
#[derive(Clone, Default)]
struct Lamp(Arc<Mutex<(bool, Option<Waker>)>>);

impl Lamp {
    fn put_out(&self) {
        let waker = {
            let mut lamp = self.0.lock().expect("nobody panics with it");
            lamp.0 = true;
            lamp.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Future for Lamp {
    type Output = &'static str;

    fn poll(self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<&'static str> {
        let mut lamp = self.0.lock().expect("nobody panics with it");
        lamp.1 = Some(task.waker().clone());
        if lamp.0 { Poll::Ready("the lamp went out") } else { Poll::Pending }
    }
}

fn main() {
    // A request is served by a worker: it ends when its client goes or when the worker is retired.
    let (client, client_gone) = Context::background().with_value(Tenant(7)).with_cancel();
    let (worker, retire) = Context::background().with_value(Tenant(8)).with_timeout(Duration::from_secs(60));
    let (request, _handle) = client.with_cancel_from(&worker);
    println!("merged:  {:?} left, for {:?}", request.remaining().map(|left| left.as_secs()), request.value::<Tenant>());
    assert_eq!(request.deadline(), worker.deadline(), "the earlier of the two, and the client has none");
    assert_eq!(request.value(), Some(&Tenant(7)), "values come from the context it was derived from");

    retire.cancel_cause("the worker is being retired");
    println!("retired: {:?}, because {}", request.err(), text(&request));
    assert_eq!(text(&request), "the worker is being retired");
    assert!(!client.is_done(), "a merged context touches neither of those above it");
    client_gone.cancel();
    assert_eq!(text(&request), "the worker is being retired", "the first end counts");

    // The other way round.
    let (client, client_gone) = Context::background().with_cancel();
    let (worker, _retire) = Context::background().with_cancel();
    let (request, _handle) = client.with_cancel_from(&worker);
    client_gone.cancel_cause("the client has gone");
    assert_eq!((text(&request).as_str(), worker.err()), ("the client has gone", None));
    println!("gone:    {:?}, because {}", request.err(), text(&request));

    // A foreign parent: the context ends when the future does. Nobody polls it but its own waker.
    let lamp = Lamp::default();
    let (lit, _handle) = Context::background().with_cancel_on(lamp.clone());
    let (below, _handle) = lit.with_timeout(Duration::from_secs(60));
    assert_eq!(below.err(), None);
    thread::spawn(move || lamp.put_out());
    assert_eq!(below.wait(), Error::Canceled);
    println!("dark:    {:?}, because {}", below.err(), text(&below));
    assert_eq!(text(&below), "the lamp went out");

    // The output decides the kind: a future that reports a missed deadline ends its context as one.
    let (late, _handle) = Context::background().with_cancel_on(async { Error::DeadlineExceeded });
    assert_eq!(late.err(), Some(Error::DeadlineExceeded));
    println!("late:    {:?}, at birth", late.err());

    // A handle of its own outranks what has not ended yet.
    let (waiting, handle) = Context::background().with_cancel_on(std::future::pending::<Cause>());
    handle.cancel_cause("no need to wait");
    assert_eq!(text(&waiting), "no need to wait");
    println!("alone:   {:?}, because {}", waiting.err(), text(&waiting));
}

fn text(ctx: &Context) -> String {
    ctx.cause().map(|cause| cause.to_string()).unwrap_or_default()
}
