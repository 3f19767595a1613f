#![doc = include_str!("../../../docs/bridges/tower.md")]

mod answer;
mod body;
mod client;
mod future;
mod server;
mod watch;

pub use answer::{Answer, BoxError, Gone, Plain};
pub use body::ContextBody;
pub use client::{DeadlineLayer, DeadlineService};
pub use future::{CallFuture, ResponseFuture};
pub use server::{ContextLayer, ContextService};
