//! The oracle: what the public surface must show, worked out by a plain sequential model (`model`), and a world that
//! drives the real thing beside it and compares the two after every step (`world`, `steps`).
//!
//! Real time is left out: deadlines are past or an hour away.
#![cfg(not(feature = "loom"))]

pub(crate) mod model;
pub(crate) mod retention;
pub(crate) mod steps;
pub(crate) mod world;
