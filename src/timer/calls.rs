//! What the timer has to call, and its two threads' rights: see [`stand_in`](super::stand_in).

use super::runner::Runner;
use std::collections::VecDeque;

/// By what right a thread drives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Seat {
    /// The first thread: it has the seat unless it calls.
    Own,
    /// The stand-in.
    Lent,
}

/// What is left to be called, and who drives in the meantime.
pub(super) struct Calls<Told> {
    pub(super) left: VecDeque<Told>,
    pub(super) stand_in: Option<&'static Runner>,
}

impl<Told> Default for Calls<Told> {
    fn default() -> Self {
        Calls { left: VecDeque::new(), stand_in: None }
    }
}
