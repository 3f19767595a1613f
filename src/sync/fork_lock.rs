//! A mutex that a forked child can replace.
//!
//! `fork` copies one thread. A lock that another thread held at that moment stays locked in the child for ever, and
//! what it guards may be half written: the child leaves it where it is and starts with a new one.

use super::{Mutex, MutexGuard};
use std::sync::{PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) use imp::ForkLock;

impl<T: Default> ForkLock<T> {
    /// Locks. A panic of an earlier holder is no reason to lose anything: what is guarded so is consistent between
    /// any two calls into other people's code.
    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.mutex().lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks, unless somebody holds it beyond `until`, and for a millisecond: one of many locks may have cost all the time.
    pub(crate) fn lock_until(&self, until: Instant) -> Option<MutexGuard<'_, T>> {
        let until = until.max(Instant::now() + Duration::from_millis(1));
        loop {
            let guard = self.try_lock();
            if guard.is_some() || Instant::now() >= until {
                return guard;
            }
            thread::sleep(Duration::from_micros(50));
        }
    }

    /// Locks if nobody holds it.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.mutex().try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

#[cfg(not(feature = "loom"))]
mod imp {
    use super::Mutex;
    use crate::sync::{AtomicPtr, Ordering};
    use crossbeam_utils::CachePadded;

    /// Shards lie side by side here, and none of the mutexes shares a line with another.
    pub(crate) struct ForkLock<T>(AtomicPtr<CachePadded<Mutex<T>>>);

    impl<T: Default> ForkLock<T> {
        pub(crate) fn new() -> Self {
            ForkLock(AtomicPtr::new(Box::into_raw(Box::default())))
        }

        #[inline]
        pub(super) fn mutex(&self) -> &Mutex<T> {
            // ORDERING: fork-lock (reader): the mutex was made before its address was published.
            let mutex = self.0.load(Ordering::Acquire);
            // SAFETY: a mutex once published here is freed by `drop` only; a replaced one is leaked.
            unsafe { &*mutex }
        }

        /// Run by the only thread of a forked child. True: it was held when the process forked, and what it guarded
        /// is lost.
        pub(crate) fn after_fork(&self) -> bool {
            let held = self.try_lock().is_none();
            if held {
                let fresh = Box::into_raw(Box::default());
                // ORDERING: fork-lock (writer).
                self.0.store(fresh, Ordering::Release);
            }
            held
        }
    }

    impl<T> Drop for ForkLock<T> {
        fn drop(&mut self) {
            // SAFETY: published by `new` or `after_fork`, and `self` is exclusive.
            drop(unsafe { Box::from_raw(*self.0.get_mut()) });
        }
    }
}

#[cfg(feature = "loom")]
mod imp {
    use super::Mutex;

    /// Models do not fork.
    pub(crate) struct ForkLock<T>(Mutex<T>);

    impl<T: Default> ForkLock<T> {
        pub(crate) fn new() -> Self {
            ForkLock(Mutex::new(T::default()))
        }

        pub(super) fn mutex(&self) -> &Mutex<T> {
            &self.0
        }

        pub(crate) fn after_fork(&self) -> bool {
            false
        }
    }
}
