#![doc = include_str!("../../docs/bridges/tracing.md")]

use crate::trace::events;

/// The target of every event: what filters name.
pub const TARGET: &str = events::TARGET;

/// The level of every event.
pub const LEVEL: ::tracing::Level = events::LEVEL;
