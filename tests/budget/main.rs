//! Budgets: the time of tries, pauses and hedges, and retries as a share of requests.
#![cfg(not(feature = "loom"))]

#[path = "../common/mod.rs"]
mod common;
mod hedges;
mod retries;
mod time;
