//! What the core says of itself: one line at each place, and no code at all without a feature that listens.
//!
//! | feature   | kept in a node                        | kept beside                | said            |
//! |-----------|---------------------------------------|----------------------------|-----------------|
//! | `tracing` | when it was born, if anybody listens  | -                          | after each walk |
//! | `metrics` | -                                     | counters, a set per thread | when asked      |
//! | `inspect` | number, birth, place in the list      | a list of all nodes        | when asked      |
//!
//! # Not here
//!
//! Nodes: this is below them. What a node has to tell comes as closures, which are not called, and cost nothing, when
//! nobody listens.
#![allow(unused_variables, reason = "each feature uses some")]

#[cfg(feature = "metrics")]
pub(crate) mod counts;
#[cfg(feature = "tracing")]
pub(crate) mod events;
#[cfg(feature = "inspect")]
pub(crate) mod roll;
mod words;

pub(crate) use words::{Name, Sort, Whose, Words};

use std::fmt::Display;
use std::marker::PhantomData;

/// What a node carries for those who listen.
pub(crate) struct Trail {
    /// When it was made; 0 if nobody wanted to know.
    #[cfg(any(feature = "tracing", feature = "inspect"))]
    born: u64,
    #[cfg(feature = "inspect")]
    pub(crate) place: roll::Place,
}

impl Trail {
    /// A node is made; it may be one that is born ended.
    #[inline(always)]
    pub(crate) fn born(ended: impl FnOnce() -> Option<Sort>, now: impl FnOnce() -> u64) -> Trail {
        #[cfg(feature = "metrics")]
        counts::born(ended());
        Trail {
            #[cfg(feature = "inspect")]
            born: now(),
            #[cfg(all(feature = "tracing", not(feature = "inspect")))]
            born: if events::wanted() { now() } else { 0 },
            #[cfg(feature = "inspect")]
            place: roll::Place::new(),
        }
    }

    /// A node ends before anybody has seen it.
    #[inline(always)]
    pub(crate) fn born_ended(&self, ended: impl FnOnce() -> Sort) {
        #[cfg(feature = "metrics")]
        counts::ended(ended());
    }

    /// The age of the node, if anybody wanted to know when it was born.
    #[cfg_attr(not(feature = "tracing"), allow(dead_code, reason = "asked for events"))]
    pub(crate) fn age(&self, now: impl FnOnce() -> u64) -> Option<u64> {
        #[cfg(any(feature = "tracing", feature = "inspect"))]
        return (self.born != 0).then(|| now().saturating_sub(self.born));
        #[cfg(not(any(feature = "tracing", feature = "inspect")))]
        None
    }

    /// The node is about to leave its place in the tree: nobody may find it in the list any more.
    #[inline(always)]
    pub(crate) fn leaves(&self) {
        #[cfg(feature = "inspect")]
        self.place.strike_out();
    }

    /// The node is gone: its memory is given back next.
    #[inline(always)]
    pub(crate) fn gone(&self, ended: impl FnOnce() -> bool) {
        #[cfg(feature = "metrics")]
        counts::gone(ended());
    }
}

/// A node got a reminder of its deadline: counted if it had `none`.
#[inline(always)]
pub(crate) fn armed(none: impl FnOnce() -> bool) {
    #[cfg(feature = "metrics")]
    if none() {
        counts::armed();
    }
}

/// A node lost its reminder, or ended by it: told is its deadline, which may be `never` by now, unless it was counted before.
#[inline(always)]
pub(crate) fn disarmed(never: u64, when: impl FnOnce() -> Option<u64>, now: impl FnOnce() -> u64) {
    #[cfg(feature = "metrics")]
    if let Some(when) = when() {
        counts::disarmed((when < never).then(|| (when, now())));
    }
}

/// What a walk has ended, kept until user code may run.
pub(crate) struct Ends<C> {
    #[cfg(feature = "metrics")]
    tally: counts::Tally,
    #[cfg(feature = "tracing")]
    events: events::Events<C>,
    causes: PhantomData<fn(C)>,
}

impl<C> Default for Ends<C> {
    #[inline(always)]
    fn default() -> Self {
        Ends {
            #[cfg(feature = "metrics")]
            tally: counts::Tally::default(),
            #[cfg(feature = "tracing")]
            events: events::Events::default(),
            causes: PhantomData,
        }
    }
}

impl<C: Display> Ends<C> {
    /// A context is about to be ended here, unless somebody else does it first: what there is to say, if anybody listens.
    #[inline(always)]
    pub(crate) fn heard(sort: impl FnOnce() -> Sort, words: impl FnOnce() -> Words<C>) -> Option<Words<C>> {
        #[cfg(feature = "tracing")]
        return (sort().1 == Whose::Own && events::wanted()).then(words);
        #[cfg(not(feature = "tracing"))]
        None
    }

    /// A context was ended here, and by nobody else.
    #[inline(always)]
    pub(crate) fn marked(&mut self, sort: impl FnOnce() -> Sort, words: Option<Words<C>>) {
        #[cfg(any(feature = "metrics", feature = "tracing"))]
        let sort = sort();
        #[cfg(feature = "metrics")]
        self.tally.note(sort);
        #[cfg(feature = "tracing")]
        self.events.note(sort, words);
    }

    /// One marking is through: what was below has been counted.
    #[inline(always)]
    pub(crate) fn counted(&mut self) {
        #[cfg(feature = "metrics")]
        self.tally.settle();
        #[cfg(feature = "tracing")]
        self.events.settle();
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        #[cfg(feature = "tracing")]
        return self.events.is_empty();
        #[cfg(not(feature = "tracing"))]
        true
    }

    /// Says it: each piece is a closure that runs user code, for `run` to call behind a shield.
    #[inline(always)]
    pub(crate) fn say(&mut self, run: impl FnMut(&mut dyn FnMut())) {
        #[cfg(feature = "tracing")]
        self.events.say(run);
    }
}
