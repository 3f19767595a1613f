//! Waiting as a thread.

use super::Context;
use crate::clock::{self, NEVER, Tick, When};
use crate::error::Error;
use crate::node;
use crate::sync::thread::{self, Thread};
#[cfg(not(feature = "loom"))]
use std::cell::OnceCell;
use std::pin::pin;
use std::sync::Arc;
use std::task::{self, Poll, Wake, Waker};
use std::time::Duration;

/// Wakes a thread by its token.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// The waker of the calling thread: made once.
fn thread_waker() -> Waker {
    let make = || Waker::from(Arc::new(Unpark(thread::current())));
    #[cfg(feature = "loom")]
    return make();
    #[cfg(not(feature = "loom"))]
    {
        thread_local! {
            static WAKER: OnceCell<Waker> = const { OnceCell::new() };
        }
        WAKER.try_with(|waker| waker.get_or_init(make).clone()).unwrap_or_else(|_| make())
    }
}

impl Context {
    /// Blocks this thread until the context ends.
    ///
    /// # Panics
    ///
    /// On a context that can never end: background, todo, [`without_cancel`](Context::without_cancel), and values over
    /// them.
    ///
    /// ```
    /// use ripcord::{Context, Error};
    ///
    /// let (ctx, handle) = Context::background().with_cancel();
    /// let worker = std::thread::spawn(move || ctx.wait());
    /// handle.cancel();
    /// assert_eq!(worker.join().unwrap(), Error::Canceled);
    /// ```
    pub fn wait(&self) -> Error {
        assert!(!self.is_endless(), "waited for {self}, which can never end");
        self.wait_until(NEVER).expect("waiting without a limit ends with the context")
    }

    /// Blocks this thread until the context ends, or so long; `None` if it is live still. Never panics.
    ///
    /// ```
    /// use ripcord::Context;
    /// use std::time::Duration;
    ///
    /// assert_eq!(Context::background().wait_timeout(Duration::from_millis(1)), None);
    /// ```
    pub fn wait_timeout(&self, d: Duration) -> Option<Error> {
        if let Some(error) = self.err() {
            return Some(error);
        }
        self.wait_until(When::after(d).tick)
    }

    fn wait_until(&self, limit: Tick) -> Option<Error> {
        if let Some(error) = self.err() {
            return Some(error);
        }
        let waker = thread_waker();
        let mut cx = task::Context::from_waker(&waker);
        let mut done = pin!(self.done());
        loop {
            if let Poll::Ready(error) = done.as_mut().poll(&mut cx) {
                return Some(error);
            }
            // Where the timer's thread could not be started, whoever waits does its work.
            let now = clock::now();
            let until = limit.min(node::timers().help(now));
            if limit <= now {
                return self.err();
            }
            if until < NEVER {
                clock::park_until(until);
            } else {
                thread::park();
            }
        }
    }
}
