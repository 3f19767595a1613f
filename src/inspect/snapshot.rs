//! The contexts of a moment, as they are shown: what every format is made of.

use crate::clock::NEVER;
use crate::context::write_utc;
use crate::error::Error;
use crate::node::{Derived, Line};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, SystemTime};

/// The contexts of the process at a moment. Made by [`snapshot`](super::snapshot).
///
/// Displayed, it is an indented tree.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(super) taken: SystemTime,
    pub(super) contexts: Vec<Inspected>,
    pub(super) left_out: usize,
}

impl Snapshot {
    /// In the order of the tree: every context before what was derived from it, the oldest first.
    #[must_use]
    pub fn contexts(&self) -> &[Inspected] {
        &self.contexts
    }

    /// How many did not fit into the bound of [`snapshot_at_most`](super::snapshot_at_most).
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// When it was begun.
    #[must_use]
    pub fn taken(&self) -> SystemTime {
        self.taken
    }

    /// `2026-11-22T10:20:30.123Z`.
    pub(super) fn taken_utc(&self) -> String {
        let mut text = String::new();
        let since = self.taken.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        write_utc(&mut text, since).expect("a string takes everything");
        text
    }

    /// How many have not ended.
    pub(super) fn live(&self) -> usize {
        self.contexts.iter().filter(|context| context.ended.is_none()).count()
    }
}

/// One context as it was at some moment while the [`Snapshot`] was taken.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspected {
    /// Its number: unique in this process, for ever.
    pub id: u64,
    /// The context it was derived from, if that can end.
    pub parent: Option<u64>,
    /// The second parent of a merged context.
    pub merged: Option<u64>,
    /// How many of its ancestors are in the snapshot.
    pub depth: usize,
    /// The [name](crate::Context::with_name) it was given; a name that an ancestor was given is told there.
    pub name: Option<String>,
    /// How it was made: `WithCancel`, `WithDeadline`, `WithCancelFrom` or `WithCancelOn`.
    pub made: &'static str,
    /// How long ago.
    pub age: Duration,
    /// Its own deadline; those of its ancestors are told there.
    pub deadline: Option<Deadline>,
    /// How it ended.
    pub ended: Option<Error>,
    /// Why it ended.
    pub cause: Option<String>,
    /// Handles on it: contexts, cancel handles and futures. Without any it is a relay, kept by what is below.
    pub handles: usize,
}

/// Where a deadline is, seen from the snapshot.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// It comes in this time.
    In(Duration),
    /// It has passed so long ago.
    Ago(Duration),
}

impl Inspected {
    pub(super) fn of(line: Line, now: u64) -> Inspected {
        let ended = line.cause.as_ref().map(|cause| cause.error());
        Inspected {
            id: line.number,
            parent: line.parent,
            merged: line.other,
            depth: 0,
            name: line.name,
            made: match (line.kind, line.deadline) {
                (Derived::CancelFrom, _) => "WithCancelFrom",
                (Derived::CancelOn, _) => "WithCancelOn",
                (Derived::Cancel, NEVER) => "WithCancel",
                (Derived::Cancel, _) => "WithDeadline",
            },
            age: Duration::from_nanos(line.age),
            deadline: (line.deadline < NEVER).then(|| match line.deadline.checked_sub(now) {
                Some(left) => Deadline::In(Duration::from_nanos(left)),
                None => Deadline::Ago(Duration::from_nanos(now - line.deadline)),
            }),
            ended,
            // User code, both its words and its end.
            cause: line.cause.map(|cause| {
                let said = catch_unwind(AssertUnwindSafe(move || cause.to_string()));
                said.unwrap_or_else(|_| "(its display panicked)".to_owned())
            }),
            handles: line.handles,
        }
    }

    /// `live`, `canceled` or `deadline exceeded`.
    pub(super) fn state(&self) -> &'static str {
        match self.ended {
            None => "live",
            Some(Error::Canceled) => "canceled",
            Some(Error::DeadlineExceeded) => "deadline exceeded",
        }
    }

    /// Kept only by what is below.
    pub(super) fn is_relay(&self) -> bool {
        self.handles == 0
    }
}

/// A time for people: three digits and a unit.
pub(super) fn short(time: Duration) -> String {
    let (secs, millis, micros) = (time.as_secs(), time.as_millis(), time.as_micros());
    match secs {
        0 if millis == 0 => format!("{micros}µs"),
        0 => format!("{millis}ms"),
        1..100 => format!("{secs}.{}s", millis / 100 % 10),
        100..6_000 => format!("{}m{:02}s", secs / 60, secs % 60),
        _ => format!("{}h{:02}m", secs / 3_600, secs / 60 % 60),
    }
}

impl Deadline {
    pub(super) fn words(self) -> String {
        match self {
            Deadline::In(time) => format!("in {}", short(time)),
            Deadline::Ago(time) => format!("{} ago", short(time)),
        }
    }
}
