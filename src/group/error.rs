//! What a group says when a member could not start, or panicked.

use crate::cause::Cause;
use std::any::Any;
use std::error::Error as StdError;
use std::fmt;

/// Why a group did not take a member.
///
/// `?` turns it into a [`Cause`]: of an ended group, the cause of its end.
///
/// ```
/// use ripcord::group::SpawnError;
/// use ripcord::{Cause, Context, Group};
///
/// let (parent, handle) = Context::background().with_cancel();
/// let group = Group::new(&parent);
/// handle.cancel_cause("shutting down");
///
/// let refused = group.spawn(|_ctx| Ok::<(), Cause>(())).unwrap_err();
/// assert!(matches!(refused, SpawnError::Ended(_)));
/// assert_eq!(Cause::from(refused).to_string(), "shutting down");
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SpawnError {
    /// The group has ended, for this cause: a member failed, the parent ended, or everybody was waited for.
    Ended(Cause),
    /// The limit is reached. Only said by calls that do not block.
    Full,
    /// The operating system gave no thread; an [`io::Error`](std::io::Error) is inside.
    Thread(Cause),
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SpawnError::Ended(_) => "the group has ended",
            SpawnError::Full => "the group is full",
            SpawnError::Thread(_) => "no thread could be started",
        })
    }
}

impl StdError for SpawnError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            SpawnError::Ended(cause) | SpawnError::Thread(cause) => Some(cause),
            SpawnError::Full => None,
        }
    }
}

impl From<SpawnError> for Cause {
    fn from(error: SpawnError) -> Self {
        match error {
            SpawnError::Ended(cause) => cause,
            other => Cause::new(other),
        }
    }
}

/// A member panicked: the cause that ends its group.
///
/// ```
/// use ripcord::group::Panicked;
/// use ripcord::{Cause, Context, Group};
///
/// let group = Group::new(&Context::background());
/// group.spawn(|_ctx| -> Result<(), Cause> { panic!("out of cheese") })?;
///
/// let waited = std::panic::catch_unwind(|| group.wait());
/// assert_eq!(waited.unwrap_err().downcast_ref(), Some(&"out of cheese"), "the panic goes on in who waits");
///
/// let cause = group.context().cause().unwrap();
/// assert_eq!(cause.downcast_ref::<Panicked>().unwrap().message(), Some("out of cheese"));
/// # Ok::<(), Cause>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panicked {
    message: Option<String>,
}

impl Panicked {
    pub(super) fn of(payload: &(dyn Any + Send)) -> Panicked {
        let text = payload.downcast_ref::<&'static str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Panicked { message: text.map(str::to_owned) }
    }

    /// What it panicked with, if that was text.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => write!(f, "a member of the group panicked: {message}"),
            None => f.write_str("a member of the group panicked"),
        }
    }
}

impl StdError for Panicked {}
