//! The lock of the baseline: parking_lot's.

use parking_lot::{Condvar, Mutex as Inner};
use std::time::Duration;

pub(super) use parking_lot::MutexGuard as Guard;

pub(super) struct Mutex<T>(Inner<T>);

impl<T> Mutex<T> {
    pub(super) const fn new(value: T) -> Self {
        Mutex(Inner::new(value))
    }

    #[inline]
    pub(super) fn lock(&self) -> Guard<'_, T> {
        self.0.lock()
    }
}

pub(super) struct Sleep(Condvar);

impl Sleep {
    pub(super) const fn new() -> Self {
        Sleep(Condvar::new())
    }

    pub(super) fn wake(&self) {
        self.0.notify_one();
    }

    pub(super) fn wait<'a, T>(&self, mut guard: Guard<'a, T>, at_most: Option<Duration>) -> Guard<'a, T> {
        match at_most {
            Some(time) => {
                self.0.wait_for(&mut guard, time);
            }
            None => self.0.wait(&mut guard),
        }
        guard
    }
}
