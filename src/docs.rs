//! The long form: design, orderings, limits, the comparison with Go, and benchmarks.
//!
//! These pages are the project's `docs/`; their examples are tested. Where their links lead from here is said before each: of two
//! definitions the first one holds.

/// [ORDERINGS.md]: crate::docs::orderings
///
#[doc = include_str!("../docs/DESIGN.md")]
pub mod design {}
#[doc = include_str!("../docs/GO.md")]
pub mod go {}
#[doc = include_str!("../docs/LIMITS.md")]
pub mod limits {}
/// [orderings-timer.md]: crate::docs::orderings_timer
///
#[doc = include_str!("../docs/ORDERINGS.md")]
pub mod orderings {}
/// [ORDERINGS.md]: crate::docs::orderings
///
#[doc = include_str!("../docs/orderings-timer.md")]
pub mod orderings_timer {}
#[doc = include_str!("../docs/BENCHMARKS.md")]
pub mod benchmarks {}
#[cfg(feature = "crossbeam-channel")]
#[doc = include_str!("../docs/bridges/crossbeam-channel.md")]
pub mod crossbeam_channel {}
// Its examples need pingora: `pingora-tests` runs them.
#[cfg_attr(not(doctest), doc = include_str!("../docs/bridges/pingora.md"))]
#[cfg_attr(doctest, doc = "Inside a pingora proxy.")]
pub mod pingora {}
#[doc = include_str!("../docs/PROXIES.md")]
pub mod proxies {}
