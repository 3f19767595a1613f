//! Who explores the models: loom, or shuttle behind loom's face.
//!
//! # Lies of shuttle
//!
//! * It knows sequential consistency only: every ordering is taken for `SeqCst`, and a fence is nothing. It finds orders
//!   of steps that are too long for loom, and never a missing edge.
//! * A cell is checked for two uses that overlap, not for uses that nothing orders.
//! * A touch of a word after its drop is seen; a race with the drop is not.

pub(crate) use imp::*;

#[cfg(not(feature = "shuttle"))]
mod imp {
    pub(crate) use loom::{cell, lazy_static, sync, thread, thread_local};

    /// The thread's number within its run: its id also counts runs, and a run must be repeatable.
    pub(crate) fn thread_number() -> usize {
        let shown = format!("{:?}", thread::current().id());
        shown.bytes().filter(u8::is_ascii_digit).fold(0, |number, digit| 10 * number + usize::from(digit - b'0'))
    }

    /// Fails the model unless all other accesses to the word happened before.
    macro_rules! alone {
        ($word:expr) => {
            $word.with_mut(|_| ())
        };
    }
    pub(crate) use alone;
}

#[cfg(feature = "shuttle")]
mod imp {
    pub(crate) use shuttle::{lazy_static, sync, thread, thread_local};

    /// The thread's number within its run.
    pub(crate) fn thread_number() -> usize {
        thread::current().id().into()
    }

    /// Nothing to check: see the lies above.
    macro_rules! alone {
        ($word:expr) => {{
            $word.get_mut();
        }};
    }
    pub(crate) use alone;

    pub(crate) mod cell {
        use std::cell::Cell;

        /// Readers, or minus one for a writer; all threads of a model run on one OS thread.
        #[derive(Debug)]
        pub(crate) struct UnsafeCell<T> {
            users: Cell<isize>,
            value: std::cell::UnsafeCell<T>,
        }

        /// Ends a use, also by a panic.
        struct Use<'a>(&'a Cell<isize>, isize);

        impl Drop for Use<'_> {
            fn drop(&mut self) {
                self.0.set(self.0.get() - self.1);
            }
        }

        impl<T> UnsafeCell<T> {
            pub(crate) fn new(value: T) -> Self {
                UnsafeCell { users: Cell::new(0), value: std::cell::UnsafeCell::new(value) }
            }

            pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
                assert!(self.users.get() >= 0, "read while somebody writes");
                self.users.set(self.users.get() + 1);
                let _use = Use(&self.users, 1);
                f(self.value.get())
            }

            pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
                assert_eq!(self.users.get(), 0, "written while somebody looks");
                self.users.set(-1);
                let _use = Use(&self.users, -1);
                f(self.value.get())
            }
        }
    }
}
