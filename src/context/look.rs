//! Looking at a context: state, cause, deadline, values. Nothing here writes or waits.

use super::{Context, Is};
use crate::cause::Cause;
use crate::clock::{self, NEVER};
use crate::error::Error;
use crate::node::Node;
use crate::value::Binding;
use std::time::{Duration, Instant};

impl Context {
    /// Whether the context has ended. One atomic load; never blocks, also while the tree is being canceled.
    ///
    /// Acquire: whoever sees the end sees what was done before it.
    #[inline]
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.scope().is_some_and(Node::is_done)
    }

    /// How the context ended; `None` exactly while it is live. One atomic load.
    #[inline]
    #[must_use]
    pub fn err(&self) -> Option<Error> {
        self.scope().and_then(Node::err)
    }

    /// The first cause that ended this context; `None` while it is live. Constant time, never waiting for a walk.
    ///
    /// A plain cancelation's cause displays the [`Error`].
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        self.scope().and_then(Node::cause)
    }

    /// The earliest deadline of this context and its ancestors, as they stand now. Time proportional to the depth.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.scope().and_then(|node| clock::instant_of(node.deadline()))
    }

    /// The time until [`deadline`](Context::deadline); zero once it has passed.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        let deadline = self.scope().map_or(NEVER, Node::deadline);
        (deadline < NEVER).then(|| Duration::from_nanos(deadline.saturating_sub(clock::now())))
    }

    /// The nearest value of this type. The time grows with the logarithm of the number of values bound above, as long as they
    /// are of few types; a type that is bound nowhere is mostly refused at once.
    ///
    /// ```
    /// use ripcord::Context;
    ///
    /// #[derive(Debug, PartialEq)]
    /// struct User(&'static str);
    ///
    /// let ctx = Context::background().with_value(User("ada"));
    /// assert_eq!(ctx.value::<User>(), Some(&User("ada")));
    /// assert_eq!(ctx.value::<String>(), None);
    /// ```
    #[inline]
    #[must_use]
    pub fn value<T: Send + Sync + 'static>(&self) -> Option<&T> {
        // SAFETY: this context keeps what it can see.
        unsafe { Binding::find(self.values()) }
    }

    /// Whether no end can ever come: nothing that can end is above.
    pub(super) fn is_endless(&self) -> bool {
        match self.is() {
            Is::Base(_) => true,
            _ => self.scope().is_none(),
        }
    }
}
