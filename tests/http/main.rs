//! Budgets in headers: the notations, the policy, what is written, and that none of it allocates.
#![cfg(not(feature = "loom"))]

#[path = "../common/mod.rs"]
mod common;

mod allocations;
mod notation;
mod policy;
mod write;

use http::{HeaderMap, HeaderValue};

/// A map of these; a name may come twice.
fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    map
}

const GRPC: &str = "grpc-timeout";
const EXPECTED: &str = "x-envoy-expected-rq-timeout-ms";
const UPSTREAM: &str = "x-envoy-upstream-rq-timeout-ms";
