//! Leaving the tree, with the values.

use super::Context;
use super::display::detached_name;
use crate::base::Base;

impl Context {
    /// A context with the same values that never ends: for work that outlives its request.
    ///
    /// Nothing of the tree above is kept but the values, and the names for display.
    #[must_use]
    pub fn without_cancel(&self) -> Context {
        // SAFETY: this context keeps what it can see.
        Context::of_base(unsafe { Base::detached(self.values(), detached_name(self)) })
    }
}
