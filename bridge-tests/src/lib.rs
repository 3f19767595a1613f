//! What the tests of the bridges share: gRPC without generated code, a server that is told what to do and tells what
//! happened, and the pages of `docs/bridges/` whose examples need axum and tonic.

pub mod bounded;
pub mod grpc;
pub mod wire;
pub mod world;

/// The examples of the page, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../docs/bridges/axum.md")]
pub mod axum_page {}
/// The examples of the page, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../docs/bridges/tonic.md")]
pub mod tonic_page {}
