//! Bridges to other crates, each behind the feature named after it.
//!
//! A bridge sees what people hold and nothing below, and leans on no bridge to its right.

// On the way of a request.
#[cfg(feature = "axum")]
pub mod axum;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "tonic")]
pub mod tonic;
#[cfg(feature = "tower")]
pub mod tower;

// Runtimes and observers.
#[cfg(feature = "crossbeam-channel")]
mod channel;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(feature = "tokio")]
pub mod tokio;
#[cfg(feature = "tracing")]
pub mod tracing;
