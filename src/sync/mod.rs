//! The only door to atomics, cells, threads and wakers.
//!
//! Everything above this floor names primitives through `crate::sync`, so that the loom models run the code that
//! ships. [`real`] is what users get; [`model`] is loom's (or shuttle's, see [`explorer`]), and every difference between the
//! two is written down there.
//! Epochs have their own door, [`reclaim`], and so has the memory of small objects, [`stock`].

mod fork_lock;
pub(crate) use fork_lock::ForkLock;
#[cfg(not(feature = "loom"))]
mod forks;
#[cfg(not(feature = "loom"))]
mod real;
#[cfg(not(feature = "loom"))]
mod sweep;
#[cfg(not(feature = "loom"))]
pub(crate) use forks::{Held, Turn, hold_at_forks};
#[cfg(not(feature = "loom"))]
pub(crate) use real::*;
#[cfg(not(feature = "loom"))]
pub(crate) use sweep::Sweep;

#[cfg(feature = "loom")]
pub(crate) mod explorer;
#[cfg(feature = "loom")]
mod model;
#[cfg(feature = "loom")]
mod mortal;
#[cfg(feature = "loom")]
pub(crate) use explorer::lazy_static;
#[cfg(feature = "loom")]
pub(crate) use model::*;
#[cfg(feature = "loom")]
pub(crate) use mortal::Lasting;

pub(crate) mod reclaim;
#[cfg(not(feature = "loom"))]
mod retired;
pub(crate) mod stock;
mod tagged;
pub(crate) use tagged::{Tagged, addr_bits, strip};

/// A run of a model begins.
#[cfg(feature = "loom")]
pub(crate) fn begin() {
    reclaim::begin();
    mortal::forget();
}

/// A run of a model ends.
#[cfg(feature = "loom")]
pub(crate) fn end() {
    reclaim::end();
}
