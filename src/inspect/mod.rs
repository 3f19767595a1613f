#![doc = include_str!("../../docs/bridges/inspect.md")]

mod dot;
mod html;
mod json;
mod order;
mod snapshot;
mod take;
mod text;

pub use snapshot::{Deadline, Inspected, Snapshot};
pub use take::{count, snapshot, snapshot_at_most};
