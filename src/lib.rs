//! Go's `context` for Rust: a lock-free tree of cancelations, deadlines and request values.
#![cfg_attr(all(doctest, feature = "loom"), cfg(any()))]

mod base;
mod cause;
mod claim;
mod clock;
mod config;
mod context;
mod error;
mod foreign;
mod hook;
mod node;
mod queue;
mod refs;
mod shield;
mod signal;
mod slots;
mod state;
mod sync;
mod timer;
mod value;

pub use cause::Cause;
pub use config::Config;
pub use context::{AfterFunc, CancelGuard, CancelHandle, Context, Done, DoneOwned};
pub use error::Error;
#[cfg(feature = "loom")]
#[doc(hidden)]
pub use sync::loom_support;
