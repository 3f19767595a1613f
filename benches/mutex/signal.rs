//! The done signal of the baseline: made by the first to wait, under its node's lock, taken out by the end.

use super::tree::{AddrHash, Cancel, Context, Error};
use std::collections::HashMap;
use std::future::Future;
use std::hash::BuildHasherDefault;
use std::pin::Pin;
use std::task::{Poll, Waker};

type Func = Box<dyn FnOnce() + Send>;

#[derive(Default)]
pub(super) struct Signal {
    /// A slab: a place is found through `free`, so a wait on a context that was waited on before allocates nothing.
    waiters: Vec<Place>,
    free: Option<usize>,
    funcs: HashMap<usize, Func, BuildHasherDefault<AddrHash>>,
    next_func: usize,
}

enum Place {
    Free(Option<usize>),
    Waits(Waker),
}

impl Signal {
    fn enter(&mut self, waker: Waker) -> usize {
        match self.free {
            Some(key) => {
                if let Place::Free(next) = std::mem::replace(&mut self.waiters[key], Place::Waits(waker)) {
                    self.free = next;
                }
                key
            }
            None => {
                self.waiters.push(Place::Waits(waker));
                self.waiters.len() - 1
            }
        }
    }

    fn leave(&mut self, key: usize) -> Place {
        let place = std::mem::replace(&mut self.waiters[key], Place::Free(self.free));
        self.free = Some(key);
        place
    }

    /// Wakes and calls everybody; the caller holds no lock.
    pub(super) fn fire(self) {
        for place in self.waiters {
            if let Place::Waits(waker) = place {
                waker.wake();
            }
        }
        for func in self.funcs.into_values() {
            func();
        }
    }
}

/// Ready when the context has ended.
pub(crate) struct Done<'a> {
    context: &'a Context,
    key: Option<usize>,
}

/// A function registered with a context that was live. The baseline keeps it as long as the context has a handle, and
/// this is one.
pub(crate) struct AfterFunc {
    context: Context,
    key: Option<usize>,
}

impl Context {
    pub(crate) fn done(&self) -> Done<'_> {
        Done { context: self, key: None }
    }

    /// Calls `func` on the thread that ends this context, or at once.
    pub(crate) fn after_func<F: FnOnce() + Send + 'static>(&self, func: F) -> AfterFunc {
        let context = self.clone();
        let Some(cancel) = self.canceler() else { return AfterFunc { context, key: None } };
        let mut inner = cancel.lock();
        if cancel.err().is_some() {
            drop(inner);
            func();
            return AfterFunc { context, key: None };
        }
        let signal = inner.signal.get_or_insert_default();
        let key = signal.next_func;
        signal.next_func += 1;
        signal.funcs.insert(key, Box::new(func));
        drop(inner);
        AfterFunc { context, key: Some(key) }
    }
}

impl AfterFunc {
    /// Whether this call kept the function from running.
    pub(crate) fn stop(&self) -> bool {
        let (Some(key), Some(cancel)) = (self.key, self.context.canceler()) else { return false };
        let func = cancel.lock().signal.as_mut().and_then(|signal| signal.funcs.remove(&key));
        func.is_some()
    }
}

impl Done<'_> {
    fn register(&mut self, cancel: &Cancel, waker: &Waker) -> Poll<Error> {
        let fresh = waker.clone();
        let mut inner = cancel.lock();
        if let Some(err) = cancel.err() {
            return Poll::Ready(err);
        }
        let signal = inner.signal.get_or_insert_default();
        let old = match self.key {
            None => {
                self.key = Some(signal.enter(fresh));
                None
            }
            Some(key) => Some(std::mem::replace(&mut signal.waiters[key], Place::Waits(fresh))),
        };
        drop(inner);
        drop(old);
        Poll::Pending
    }
}

impl Future for Done<'_> {
    type Output = Error;

    fn poll(mut self: Pin<&mut Self>, task: &mut std::task::Context<'_>) -> Poll<Error> {
        let Some(cancel) = self.context.canceler() else { return Poll::Pending };
        if let Some(err) = cancel.err() {
            return Poll::Ready(err);
        }
        if let Some(key) = self.key {
            let inner = cancel.lock();
            let same = inner.signal.as_ref().is_some_and(
                |signal| matches!(&signal.waiters[key], Place::Waits(waker) if waker.will_wake(task.waker())),
            );
            if same {
                return Poll::Pending;
            }
        }
        self.register(cancel, task.waker())
    }
}

impl Drop for Done<'_> {
    fn drop(&mut self) {
        let (Some(key), Some(cancel)) = (self.key, self.context.canceler()) else { return };
        let place = cancel.lock().signal.as_mut().map(|signal| signal.leave(key));
        drop(place);
    }
}
