//! The tower layers: over services and bodies that are told what to do, and over hyper on real sockets.
#![cfg(not(feature = "loom"))]

#[path = "../common/mod.rs"]
mod common;

mod allocations;
mod auto_traits;
mod body;
mod client;
mod server;
mod sockets;
mod support;
