//! Names, for people: in logs, events and the live tree.

use super::Context;
use crate::trace::Name;
use std::borrow::Cow;

impl Context {
    /// A context that ends with this one and is called `name`; what is derived from it inherits the name.
    ///
    /// Names are for people: `inspect` shows them, and `tracing` events carry them. A name is a value of a private type: one
    /// allocation (two for a name that is made at run time), and nothing is registered for cancelation.
    ///
    /// ```
    /// use ripcord::Context;
    /// use std::time::Duration;
    ///
    /// let server = Context::background().with_name("server");
    /// let (request, _handle) = server.with_name(format!("GET {}", "/users")).with_timeout(Duration::from_secs(2));
    /// assert_eq!(server.name(), Some("server"));
    /// assert_eq!(request.name(), Some("GET /users"));
    /// ```
    #[must_use]
    pub fn with_name(&self, name: impl Into<Cow<'static, str>>) -> Context {
        self.with_value(Name(name.into()))
    }

    /// The nearest name given to this context or above it. Costs what [`value`](Context::value) costs.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.value::<Name>().map(|name| &*name.0)
    }
}
