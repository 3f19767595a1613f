//! Stress: the races that broke others, one file a row, S1 to S10 (S5, which counts bytes, and S10's panics, which need
//! the process's hook, have binaries of their own: `stress_flat`, `stress_panics`).
//!
//! Small by default, so that `cargo test` stays quick; `RIPCORD_STRESS=n` goes round n times as often. What can only
//! fail by hanging runs under a watchdog that names the stuck worker and its operation (`common/watch.rs`).
#![cfg(not(feature = "loom"))]

#[path = "../common/mod.rs"]
mod common;
mod handler;

mod churn;
mod s01_stop;
mod s02_never_wait;
mod s03_self;
mod s04_deep;
mod s06_helping;
mod s07_wakers;
mod s08_drops;
mod s09_timers;
mod s10_exit;
mod watchdog;
