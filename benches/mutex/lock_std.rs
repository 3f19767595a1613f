//! The lock of the baseline: std's.

use std::sync::{Condvar, Mutex as Inner, PoisonError};
use std::time::Duration;

pub(super) use std::sync::MutexGuard as Guard;

pub(super) struct Mutex<T>(Inner<T>);

impl<T> Mutex<T> {
    pub(super) const fn new(value: T) -> Self {
        Mutex(Inner::new(value))
    }

    /// No user code runs under these locks, so a poisoned one holds sound data.
    #[inline]
    pub(super) fn lock(&self) -> Guard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

    pub(super) fn wait<'a, T>(&self, guard: Guard<'a, T>, at_most: Option<Duration>) -> Guard<'a, T> {
        match at_most {
            Some(time) => self.0.wait_timeout(guard, time).unwrap_or_else(PoisonError::into_inner).0,
            None => self.0.wait(guard).unwrap_or_else(PoisonError::into_inner),
        }
    }
}
