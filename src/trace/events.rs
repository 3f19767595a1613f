//! One `tracing` event per context that was ended by itself: by a cancel, its own deadline, or a foreign parent.
//!
//! What ends with it, further down, is counted and not told one by one.

use super::words::{Sort, Whose, Words};
use crate::error::Error;
use std::fmt::Display;
use tracing::Level;

/// The target of every event.
pub(crate) const TARGET: &str = "ripcord";
/// Their level.
pub(crate) const LEVEL: Level = Level::DEBUG;

/// Whether anybody listens: mostly one load.
#[inline]
pub(crate) fn wanted() -> bool {
    tracing::enabled!(target: TARGET, LEVEL)
}

/// The events of one walk, or of one pass of the timer. One word, so that walks that nobody hears of carry no more.
pub(crate) struct Events<C>(Option<Box<Batch<C>>>);

struct Batch<C> {
    waiting: Vec<Event<C>>,
    /// The last of them is of the marking that is under way: what is inherited now is its own.
    open: bool,
}

struct Event<C> {
    kind: Error,
    words: Words<C>,
    fan_out: u64,
}

impl<C> Default for Events<C> {
    #[inline]
    fn default() -> Self {
        Events(None)
    }
}

impl<C: Display> Events<C> {
    #[inline]
    pub(super) fn note(&mut self, (kind, whose): Sort, words: Option<Words<C>>) {
        match (whose, &mut self.0) {
            (Whose::Own, _) => {
                if let Some(words) = words {
                    self.open(Event { kind, words, fan_out: 0 });
                }
            }
            (Whose::Inherited, Some(batch)) if batch.open => {
                if let Some(event) = batch.waiting.last_mut() {
                    event.fan_out += 1;
                }
            }
            (Whose::Inherited, _) => {}
        }
    }

    #[cold]
    fn open(&mut self, event: Event<C>) {
        let batch = self.0.get_or_insert_with(|| Box::new(Batch { waiting: Vec::new(), open: false }));
        batch.waiting.push(event);
        batch.open = true;
    }

    /// What follows belongs to another marking.
    #[inline]
    pub(super) fn settle(&mut self) {
        if let Some(batch) = &mut self.0 {
            batch.open = false;
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(super) fn say(&mut self, mut run: impl FnMut(&mut dyn FnMut())) {
        for event in self.0.take().into_iter().flat_map(|batch| batch.waiting) {
            let mut event = Some(event);
            // The event is dropped in there too: its cause may be the last of its kind.
            run(&mut || event.take().into_iter().for_each(Event::emit));
        }
    }
}

impl<C: Display> Event<C> {
    fn emit(self) {
        let Words { cause, name, age } = self.words;
        let kind = match self.kind {
            Error::Canceled => "canceled",
            Error::DeadlineExceeded => "deadline exceeded",
        };
        tracing::event!(
            target: TARGET,
            LEVEL,
            context = name.as_deref(),
            kind,
            cause = %cause,
            fan_out = self.fan_out,
            age_us = age.map(|nanos| nanos / 1_000),
            "context ended"
        );
    }
}
