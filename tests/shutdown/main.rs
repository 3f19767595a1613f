//! Staged shutdown: what its contexts, guards and reports promise.
#![cfg(not(feature = "loom"))]

#[path = "../common/mod.rs"]
mod common;
mod guards;
mod serving;
mod stages;
