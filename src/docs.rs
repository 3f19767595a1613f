//! The long form: design, orderings, limits, the comparison with Go, and benchmarks.
//!
//! These pages are the project's `docs/`; their examples are tested.

#[doc = include_str!("../docs/DESIGN.md")]
pub mod design {}
#[doc = include_str!("../docs/GO.md")]
pub mod go {}
#[doc = include_str!("../docs/LIMITS.md")]
pub mod limits {}
