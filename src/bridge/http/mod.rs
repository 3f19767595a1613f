#![doc = include_str!("../../../docs/bridges/http.md")]

mod digits;
mod header;
mod policy;
mod write;

pub use digits::{Flaw, Text};
pub use header::{ENVOY_EXPECTED, ENVOY_UPSTREAM, GRPC_TIMEOUT, Header, Malformed};
pub use policy::{Child, Policy, Reading};
pub use write::{shorten, write};
