// Where the links of the README lead from here: of two definitions the first one holds.
#![cfg_attr(not(feature = "loom"), doc = "[docs/LIMITS.md]: crate::docs::limits")]
#![cfg_attr(not(feature = "loom"), doc = "[docs/GO.md]: crate::docs::go")]
#![cfg_attr(not(feature = "loom"), doc = "[docs/PROXIES.md]: crate::docs::proxies")]
#![cfg_attr(not(feature = "loom"), doc = "[docs/bridges/pingora.md]: crate::docs::pingora")]
#![cfg_attr(not(feature = "loom"), doc = "[docs/DESIGN.md]: crate::docs::design")]
#![cfg_attr(not(feature = "loom"), doc = "[docs/ORDERINGS.md]: crate::docs::orderings")]
#![cfg_attr(not(feature = "loom"), doc = "[docs/BENCHMARKS.md]: crate::docs::benchmarks")]
#![cfg_attr(not(feature = "loom"), doc = "")]
#![cfg_attr(not(feature = "loom"), doc = include_str!("../README.md"))]
#![cfg_attr(feature = "loom", doc = "The crate as its models see it.")]
#![cfg_attr(all(doctest, feature = "loom"), cfg(any()))]
#![cfg_attr(docsrs, feature(doc_cfg))]
// Says what brings an item. No word of `loom`, which nobody who reads it turns on.
#![cfg_attr(docsrs, doc(auto_cfg(hide(feature = "loom"))))]

#[cfg(all(feature = "loom", feature = "metrics"))]
compile_error!(
    "the features `loom` and `shuttle` are for this repository's models, which count nothing: leave them out, or leave out \
     `metrics`; name the features you want instead of `--all-features`"
);

mod base;
mod bridge;
pub mod budget;
mod cause;
mod claim;
mod clock;
mod config;
mod context;
#[cfg(not(feature = "loom"))]
pub mod docs;
mod error;
mod few;
mod foreign;
pub mod group;
mod hook;
#[cfg(feature = "inspect")]
pub mod inspect;
mod node;
mod queue;
mod refs;
mod shield;
pub mod shutdown;
mod signal;
mod slots;
mod state;
mod sync;
#[cfg(all(feature = "test-util", not(feature = "loom")))]
pub mod time;
mod timer;
mod trace;
mod value;

#[cfg(feature = "axum")]
pub use bridge::axum;
#[cfg(feature = "http")]
pub use bridge::http;
#[cfg(feature = "metrics")]
pub use bridge::metrics;
#[cfg(feature = "tokio")]
pub use bridge::tokio;
#[cfg(feature = "tonic")]
pub use bridge::tonic;
#[cfg(feature = "tower")]
pub use bridge::tower;
#[cfg(feature = "tracing")]
pub use bridge::tracing;
pub use cause::Cause;
pub use config::Config;
pub use context::{AfterFunc, CancelGuard, CancelHandle, Context, Done, DoneOwned, Run};
pub use error::Error;
pub use group::Group;
pub use shutdown::Shutdown;
#[cfg(all(feature = "fuzz", not(feature = "loom")))]
#[doc(hidden)]
pub use timer::by_hand as timer_by_hand;

/// What models need beside the public interface. Outside semver, like the feature.
#[cfg(feature = "loom")]
#[doc(hidden)]
pub mod loom_support {
    use crate::context::{Attached, Context};
    use crate::{clock, node, sync};
    use std::any::Any;
    use std::task::Waker;

    /// A run begins: called first, from the model's main thread. The clock starts at 0.
    pub fn begin() {
        sync::begin();
        clock::set(0);
        sync::tidy(false);
    }

    /// A run ends: every thread is joined, every context dropped. Panics if anything was leaked.
    pub fn end() {
        sync::end();
    }

    /// Moves the models' clock. Only while no other thread runs.
    pub fn set_clock(nanos: u64) {
        clock::set(nanos);
    }

    /// Whether whoever leaves a block looks for empty ones: in the models always or never, not now and then. Only while no
    /// other thread runs.
    pub fn set_tidy(always: bool) {
        sync::tidy(always);
    }

    /// The calling thread lets others go on when it next touches a context (bit 0), when it does so once more (bit 1), and so
    /// on. A registrant touches its own between its look at a slot and its compare-and-swap, a canceler each one that it has
    /// found, before it marks it.
    pub fn linger(touches: u64) {
        sync::linger(touches);
    }

    /// One pass of the timer, as its thread would make it at this time. Says when it would come back.
    pub fn turn(nanos: u64) -> u64 {
        node::timers().turn(clock::at(nanos)) - clock::at(0)
    }

    /// What a bridge would find on a live context, or hang there with a waker that the end wakes.
    pub fn attached(
        ctx: &Context,
        make: impl FnOnce() -> (Box<dyn Any + Send + Sync>, Waker),
    ) -> Option<&(dyn Any + Send + Sync)> {
        match ctx.attached(make) {
            Attached::Live(thing) => Some(&**thing),
            Attached::Endless | Attached::Ended => None,
        }
    }

    /// A run with deadlines ends: before [`end`], when nothing is armed any more.
    pub fn stop_timers() {
        node::timers().wind_up();
    }
}

/// To be called in the child of a `fork` that goes on without `exec`, if it only looks whether contexts have ended.
///
/// The child has its parent's deadlines, but no timer thread; this starts one if there is anything to do for it. The first
/// deadline that the child sets does the same, and so does the first wait, the first poll and the first registered function: this is
/// for children that do none of these. In any other process, and a second time, it does nothing.
///
/// A child that comes about past the C library's `fork` should call it before it has a second thread. What is lost there, and
/// what a forked child does not get, is in [the limits](crate::docs::limits); the timer reports it to the
/// [`on_panic`](Config::on_panic) hook, or on standard error, when it is started.
pub fn after_fork_child() {
    node::timers().after_fork_child();
}
