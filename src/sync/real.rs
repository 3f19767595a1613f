//! The primitives users get: `std`, and `atomic-waker` for the done signal.

pub(crate) use atomic_waker::AtomicWaker;
pub(crate) use std::hint::spin_loop;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
pub(crate) use std::sync::{Mutex, MutexGuard};
pub(crate) use std::thread;

/// `std`'s cell behind loom's face, so that the models can see who reads and who writes.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    /// Lends the contents for reading; the caller proves that nobody writes meanwhile.
    #[inline(always)]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    /// Lends the contents for writing; the caller proves that nobody else looks meanwhile.
    #[inline(always)]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// Says "this object is alive" to the model; nothing in real builds.
#[derive(Debug)]
pub(crate) struct Canary;

impl Canary {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Canary
    }

    /// Panics in the model when the object has been given back.
    #[inline(always)]
    pub(crate) fn touch(&self) {}

    /// The object is about to be given back.
    #[inline(always)]
    pub(crate) fn kill(&self) {}
}
