//! The only door to atomics, cells, threads and wakers.
//!
//! Everything above this floor names primitives through `crate::sync`, so that the loom models run the code that
//! ships. [`real`] is what users get; [`model`] is loom's, and every difference between the two is written down there.
//! Epochs have their own door: [`reclaim`].

#[cfg(not(feature = "loom"))]
mod real;
#[cfg(not(feature = "loom"))]
pub(crate) use real::*;

#[cfg(feature = "loom")]
mod model;
#[cfg(feature = "loom")]
mod mortal;
#[cfg(feature = "loom")]
pub(crate) use model::*;

pub(crate) mod reclaim;
mod tagged;
pub(crate) use tagged::{Tagged, addr_bits, strip};

/// What models need beside the public interface. Outside semver, like the feature.
#[cfg(feature = "loom")]
#[doc(hidden)]
pub mod loom_support {
    /// A run begins: called first, from the model's main thread.
    pub fn begin() {
        super::reclaim::begin();
        super::mortal::forget();
    }

    /// A run ends: every thread is joined, every context dropped. Panics if anything was leaked.
    pub fn end() {
        super::reclaim::end();
    }
}
