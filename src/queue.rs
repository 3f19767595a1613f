//! A queue of claimed entries, threaded through the entries themselves: telling them allocates nothing.

use crate::sync::UnsafeCell;
use std::ptr::{self, NonNull};

/// An entry with room for one link, which belongs to whoever claimed it.
pub(crate) trait Linked: Sized {
    fn link(&self) -> &UnsafeCell<*mut Self>;
}

/// First in, first out.
pub(crate) struct Queue<T: Linked> {
    head: *mut T,
    tail: *mut T,
}

impl<T: Linked> Default for Queue<T> {
    fn default() -> Self {
        Queue { head: ptr::null_mut(), tail: ptr::null_mut() }
    }
}

impl<T: Linked> Queue<T> {
    /// # Safety
    ///
    /// The caller claimed the entry: it stays alive, and its link is the caller's, until it is popped.
    pub(crate) unsafe fn push(&mut self, entry: NonNull<T>) {
        // SAFETY: claimed.
        unsafe { entry.as_ref() }.link().with_mut(|link| {
            // SAFETY: the link is ours.
            unsafe { *link = ptr::null_mut() };
        });
        if let Some(tail) = NonNull::new(self.tail) {
            // SAFETY: in the queue, so claimed.
            unsafe { tail.as_ref() }.link().with_mut(|link| {
                // SAFETY: the link is ours.
                unsafe { *link = entry.as_ptr() };
            });
        } else {
            self.head = entry.as_ptr();
        }
        self.tail = entry.as_ptr();
    }

    pub(crate) fn pop(&mut self) -> Option<NonNull<T>> {
        let entry = NonNull::new(self.head)?;
        // SAFETY: in the queue, so claimed.
        self.head = unsafe { entry.as_ref() }.link().with(|link| {
            // SAFETY: the link is ours.
            unsafe { *link }
        });
        if self.head.is_null() {
            self.tail = ptr::null_mut();
        }
        Some(entry)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_null()
    }
}
