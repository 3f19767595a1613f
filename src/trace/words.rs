//! What there is to say, whoever listens.

use crate::error::Error;
use std::borrow::Cow;

/// The key of a name among a context's values.
#[derive(Debug)]
pub(crate) struct Name(pub(crate) Cow<'static, str>);

/// How a context ended: its error, and whether by itself or with an ancestor.
pub(crate) type Sort = (Error, Whose);

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    Own,
    Inherited,
}

/// What there is to say of a context that was ended by itself.
#[cfg_attr(not(feature = "tracing"), allow(dead_code, reason = "built only for events"))]
pub(crate) struct Words<C> {
    pub(crate) cause: C,
    pub(crate) name: Option<String>,
    /// In nanoseconds; `None` if nobody listened when it was born.
    pub(crate) age: Option<u64>,
}
