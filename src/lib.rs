#![cfg_attr(not(feature = "loom"), doc = include_str!("../README.md"))]
#![cfg_attr(feature = "loom", doc = "The crate as its models see it.")]
#![cfg_attr(all(doctest, feature = "loom"), cfg(any()))]

mod base;
mod cause;
mod claim;
mod clock;
mod config;
mod context;
#[cfg(not(feature = "loom"))]
pub mod docs;
mod error;
mod foreign;
pub mod group;
mod hook;
mod node;
mod queue;
mod refs;
mod shield;
mod signal;
mod slots;
mod state;
mod sync;
mod timer;
mod value;

pub use cause::Cause;
pub use config::Config;
pub use context::{AfterFunc, CancelGuard, CancelHandle, Context, Done, DoneOwned};
pub use error::Error;
pub use group::Group;

/// To be called in the child of a `fork` that goes on without `exec`, before it uses deadlines.
///
/// The child has no timer thread; this starts one if deadlines are queued. Arming a deadline that would wake the timer, and
/// waiting for a context, notice the fork by themselves: this is for children that do neither. Deadlines that another thread
/// of the parent was firing at the moment of the fork are lost in the child, and that is reported to the
/// [`on_panic`](Config::on_panic) hook, or on standard error.
pub fn after_fork_child() {
    node::timers().after_fork_child();
}
#[cfg(feature = "loom")]
#[doc(hidden)]
pub use sync::loom_support;
