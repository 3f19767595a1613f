//! hyper's timers, made of contexts: its keep-alive pings go by the same clock as everything else here.

use hyper::rt::{Sleep, Timer};
use ripcord::{CancelHandle, Context, DoneOwned};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as Task, Poll};
use std::time::{Duration, Instant};

#[derive(Clone, Debug, Default)]
pub(crate) struct Clock;

/// A context that nobody but its deadline ends.
struct Nap {
    over: DoneOwned,
    handle: CancelHandle,
}

impl Nap {
    fn until((ctx, handle): (Context, CancelHandle)) -> Pin<Box<dyn Sleep>> {
        Box::pin(Nap { over: ctx.into_done(), handle })
    }
}

impl Timer for Clock {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Nap::until(Context::background().with_timeout(duration))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Nap::until(Context::background().with_deadline(deadline))
    }

    /// A push back is one store.
    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, new_deadline: Instant) {
        let moved = sleep.as_mut().downcast_mut_pin::<Nap>().is_some_and(|nap| nap.handle.reset_deadline(new_deadline));
        if !moved {
            *sleep = self.sleep_until(new_deadline);
        }
    }
}

impl Sleep for Nap {}

impl Future for Nap {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<()> {
        Pin::new(&mut self.over).poll(task).map(|_| ())
    }
}
