//! Go's `context` for Rust: a lock-free tree of cancelations, deadlines and request values.
#![allow(dead_code, unused)]

mod clock;
mod config;
mod shield;
mod sync;
mod timer;

pub use config::Config;
