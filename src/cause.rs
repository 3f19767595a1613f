//! Why, in the user's own words: one shared word.
//!
//! # States
//!
//! A cause is a pointer to a shared error, or null, with the kind of end in the two low bits:
//!
//! | pointer | kind | content                        |
//! |---------|------|--------------------------------|
//! | null    | k    | the plain [`Error`] of kind k  |
//! | error   | k    | the user's error               |
//!
//! The kind bits are the same that the state word carries (see `state`), so ending a context moves a cause into its
//! state word with one compare-and-swap: kind and cause are decided together.

use crate::error::Error;
use std::error::Error as StdError;
use std::fmt;
use std::mem::ManuallyDrop;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr;
use std::sync::Arc;

/// The bits of a word that name the kind of end.
pub(crate) const KIND: usize = 0b11;
const CANCELED: usize = 0b01;
const DEADLINE_EXCEEDED: usize = 0b10;

/// The kind bits of an error.
pub(crate) const fn kind_bits(error: Error) -> usize {
    match error {
        Error::Canceled => CANCELED,
        Error::DeadlineExceeded => DEADLINE_EXCEEDED,
    }
}

/// The error that a word's kind bits name.
pub(crate) fn error_of(bits: usize) -> Error {
    if bits & KIND == DEADLINE_EXCEEDED { Error::DeadlineExceeded } else { Error::Canceled }
}

/// What a cause points to; the alignment frees the low bits of its address.
#[repr(align(16))]
struct Shared(Box<dyn StdError + Send + Sync>);

/// Why a context ended: a shared error, with the kind of end beside it.
///
/// Display and [`source`](StdError::source) are those of the error inside; [`Cause::downcast_ref`] gets at it by type,
/// and [`Cause::error`] tells cancelation from a deadline without knowing the type. One word; cloning is cheap.
///
/// ```
/// use ripcord::{Cause, Context, Error};
/// use std::io;
///
/// let (ctx, handle) = Context::background().with_cancel();
/// // A plain `io::Error` is not `Into<Cause>`: wrap it.
/// handle.cancel_cause(Cause::new(io::Error::other("backend unplugged")));
///
/// let cause = ctx.cause().unwrap();
/// assert_eq!(cause.to_string(), "backend unplugged");
/// assert!(cause.downcast_ref::<io::Error>().is_some());
/// assert_eq!(cause.error(), Error::Canceled);
/// ```
pub struct Cause {
    word: *mut (),
}

// SAFETY: the pointee is `Send + Sync` and immutable, and shared through an `Arc`.
unsafe impl Send for Cause {}
// SAFETY: as for `Send`.
unsafe impl Sync for Cause {}
impl UnwindSafe for Cause {}
impl RefUnwindSafe for Cause {}

impl Cause {
    /// Wraps any error. An [`Error`] or a `Cause` is taken as what it is, not wrapped again.
    pub fn new<E: StdError + Send + Sync + 'static>(error: E) -> Cause {
        Cause::from(Box::new(error) as Box<dyn StdError + Send + Sync>)
    }

    /// The error inside, if it is an `E`. A plain cancelation's cause holds an [`Error`].
    #[must_use]
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        self.content().downcast_ref()
    }

    /// The kind of end. On a cause taken from a context this equals its [`err`](crate::Context::err); on a free one it
    /// is [`Error::Canceled`], or the [`Error`] it was made from.
    #[must_use]
    pub fn error(&self) -> Error {
        error_of(self.word.addr())
    }

    /// The same content as the reason of an end of this kind.
    pub(crate) fn with_kind(self, kind: Error) -> Cause {
        if self.error() == kind {
            return self;
        }
        match self.shared() {
            // A plain error that is not what the kind says is content of its own.
            None => Cause::share(Box::new(self.error()), kind),
            Some(_) => {
                let word = ManuallyDrop::new(self).word;
                Cause { word: word.map_addr(|a| (a & !KIND) | kind_bits(kind)) }
            }
        }
    }

    fn share(error: Box<dyn StdError + Send + Sync>, kind: Error) -> Cause {
        let shared = Arc::into_raw(Arc::new(Shared(error))).cast_mut().cast::<()>();
        Cause { word: shared.map_addr(|a| a | kind_bits(kind)) }
    }

    /// Whether dropping it may run user code.
    pub(crate) fn is_shared(&self) -> bool {
        self.shared().is_some()
    }

    /// Gives up the cause for its word; [`Cause::from_word`] takes it back.
    pub(crate) fn into_word(self) -> *mut () {
        ManuallyDrop::new(self).word
    }

    /// # Safety
    ///
    /// `word` came from [`Cause::into_word`] and stands for one share.
    pub(crate) unsafe fn from_word(word: *mut ()) -> Cause {
        Cause { word }
    }

    /// A share of the cause behind a word that somebody else keeps.
    ///
    /// # Safety
    ///
    /// `word` came from [`Cause::into_word`] and was not taken back yet.
    pub(crate) unsafe fn share_word(word: *mut ()) -> Cause {
        let kept = ManuallyDrop::new(Cause { word });
        Cause::clone(&kept)
    }

    fn shared(&self) -> Option<*const Shared> {
        let shared = self.word.map_addr(|a| a & !KIND).cast::<Shared>();
        (!shared.is_null()).then_some(shared.cast_const())
    }

    fn content(&self) -> &(dyn StdError + 'static) {
        match self.shared() {
            // SAFETY: this cause holds a share of it.
            Some(shared) => unsafe { &*(*shared).0 },
            None => match self.error() {
                Error::Canceled => &Error::Canceled,
                Error::DeadlineExceeded => &Error::DeadlineExceeded,
            },
        }
    }
}

impl Clone for Cause {
    fn clone(&self) -> Self {
        if let Some(shared) = self.shared() {
            // SAFETY: the pointer came from `Arc::into_raw`, and our own share keeps it alive.
            unsafe { Arc::increment_strong_count(shared) };
        }
        Cause { word: self.word }
    }
}

impl Drop for Cause {
    fn drop(&mut self) {
        if let Some(shared) = self.shared() {
            // SAFETY: the pointer came from `Arc::into_raw`, and our share ends here.
            drop(unsafe { Arc::from_raw(shared) });
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.content(), f)
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cause").field("error", &self.error()).field("content", &self.content()).finish()
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.content().source()
    }
}

impl From<Box<dyn StdError + Send + Sync>> for Cause {
    fn from(error: Box<dyn StdError + Send + Sync>) -> Self {
        let error = match error.downcast::<Error>() {
            Ok(plain) => return Cause::from(*plain),
            Err(other) => other,
        };
        match error.downcast::<Cause>() {
            Ok(cause) => *cause,
            Err(other) => Cause::share(other, Error::Canceled),
        }
    }
}

impl From<&'static str> for Cause {
    fn from(message: &'static str) -> Self {
        Cause::share(message.into(), Error::Canceled)
    }
}

impl From<String> for Cause {
    fn from(message: String) -> Self {
        Cause::share(message.into(), Error::Canceled)
    }
}

impl From<Error> for Cause {
    fn from(error: Error) -> Self {
        Cause { word: ptr::without_provenance_mut(kind_bits(error)) }
    }
}

/// A plain cancelation, for foreign parents whose output says nothing.
impl From<()> for Cause {
    fn from((): ()) -> Self {
        Cause::from(Error::Canceled)
    }
}
