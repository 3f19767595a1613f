// The page's examples need axum itself, which this package does not: `bridge-tests/` compiles them.
#![cfg_attr(not(doctest), doc = include_str!("../../../docs/bridges/axum.md"))]
#![cfg_attr(doctest, doc = "See `bridge-tests/`.")]

use crate::context::Context;
use ::axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use ::axum_core::response::{IntoResponse, Response};
use ::http::StatusCode;
use ::http::request::Parts;
use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;

/// The rejection of a handler that asks for a [`Context`] where no [`ContextLayer`](crate::tower::ContextLayer) put one: 500,
/// for the server is put together wrongly.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub struct MissingContext;

impl fmt::Display for MissingContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request has no context: is ripcord's ContextLayer missing?")
    }
}

impl StdError for MissingContext {}

impl IntoResponse for MissingContext {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
    }
}

/// The request's context: the one that [`ContextLayer`](crate::tower::ContextLayer) put into its extensions.
impl<S: Sync> FromRequestParts<S> for Context {
    type Rejection = MissingContext;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Context, MissingContext> {
        parts.extensions.get().cloned().ok_or(MissingContext)
    }
}

/// `None` where no layer put a context.
impl<S: Sync> OptionalFromRequestParts<S> for Context {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Context>, Infallible> {
        Ok(parts.extensions.get().cloned())
    }
}
