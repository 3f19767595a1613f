//! Groups: each promise of `ripcord::group` a test, for threads and for futures.
#![cfg(not(feature = "loom"))]

mod errors;
mod handles;
mod limit;
mod panics;
mod parent;
mod support;
mod waiting;
