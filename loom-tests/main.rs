//! Models of the races in `docs/ORDERINGS.md`, over the code that ships: every interleaving that loom can tell apart.
//!
//! `cargo test --features loom` runs them all; `RIPCORD_LOOM=long` raises the bounds of those that have one,
//! a number there is the bound for all, and `none` explores everything. Each prints
//! its name, its bound on preemptions (`none`: exhaustive) and how many interleavings it ran. `teeth` checks that each
//! would notice: it breaks a copy of the source, and expects a model to fail.
//!
//! One file per protocol; `support` is the frame, and `instruments` the counters that find what is told twice, never, or
//! too late.
#![cfg(not(feature = "shuttle"))]

mod instruments;
#[cfg(crossbeam_loom)]
mod left_out;
mod support;

mod m01_register;
mod m02_two_cancels;
mod m03_leave;
mod m04_orphan;
mod m05_relay;
mod m06_reuse;
mod m07_comings_and_goings;
mod m08_helping;
mod m09_born_ended;
mod m10_last_reference;
mod m11_append;
mod m12_desks;
mod m13_merge;
mod m14_signal;
mod m15_deadline;
mod m16_reasons;
mod m17_waker_change;
mod m18_stale_reminder;
mod m19_hope;
mod m20_foreign;
mod m21_deadline_cause;
mod m22_values;
mod m23_attached;
mod m24_guards;
mod m25_meeting;
mod m26_late;
mod m27_rover;
