//! The same races as in `loom-tests/`, larger: five to eight threads, deep trees, many steps each, over the code that
//! ships. Shuttle runs them in random orders and in orders with few preemptions (PCT), not in all of them, and takes
//! every ordering for sequentially consistent: what it finds are orders of steps that loom's sizes do not reach.
//!
//! `cargo test --features shuttle --test shuttle` runs each model some hundred times under each scheduler;
//! `RIPCORD_SHUTTLE=n` sets how many. A failure prints its schedule: run that test again with it in
//! `RIPCORD_SHUTTLE_REPLAY`.
//!
//! # Not here
//!
//! Deadlines (the timer has its models in `src/timer`), and `Group`, whose lock is `std`'s.
#![cfg(feature = "shuttle")]

#[path = "../loom-tests/instruments.rs"]
mod instruments;
mod support;

mod foreign;
mod merges;
mod reentrancy;
mod relays;
mod slots;
mod storm;
mod waiters;
