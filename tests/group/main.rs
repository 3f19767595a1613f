//! Groups: each promise of `ripcord::group` a test, for threads and for futures.
#![cfg(not(feature = "loom"))]

#[path = "../common/mod.rs"]
mod common;
mod errors;
mod handles;
mod limit;
mod panics;
mod parent;
mod support;
mod waiting;
