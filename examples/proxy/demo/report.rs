//! The table: what was asked, how it ended, and whether that was as expected.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// How one request ended, seen from outside.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// A status, or a word for what happened instead.
    pub(crate) ending: String,
    /// Empty when it ended well.
    pub(crate) cause: String,
    pub(crate) took: Duration,
    /// As expected.
    pub(crate) right: bool,
}

/// All requests of one kind.
#[derive(Debug)]
pub(crate) struct Row {
    asked: &'static str,
    expected: &'static str,
    count: usize,
    outcomes: Vec<Outcome>,
    /// What went wrong with the row as a whole.
    wrong: Option<String>,
}

impl Row {
    pub(crate) fn new(asked: &'static str, expected: &'static str, count: usize) -> Row {
        Row { asked, expected, count, outcomes: Vec::with_capacity(count), wrong: None }
    }

    pub(crate) fn add(&mut self, outcome: std::io::Result<Outcome>) {
        self.outcomes.push(outcome.unwrap_or_else(|error| Outcome {
            ending: "failed".to_owned(),
            cause: error.to_string(),
            took: Duration::ZERO,
            right: false,
        }));
    }

    pub(crate) fn check(mut self, holds: bool, otherwise: impl FnOnce() -> String) -> Row {
        if !holds {
            self.wrong = Some(otherwise());
        }
        self
    }

    pub(crate) fn right(&self) -> bool {
        self.wrong.is_none() && self.outcomes.len() == self.count && self.outcomes.iter().all(|outcome| outcome.right)
    }

    pub(crate) fn requests(&self) -> usize {
        self.outcomes.len()
    }

    pub(crate) fn times(&self) -> impl Iterator<Item = Duration> {
        self.outcomes.iter().map(|outcome| outcome.took)
    }
}

/// Heads the columns that [`Row`] displays.
pub(crate) const COLUMNS: &str =
    "asked                                              how many  ended           ms: min   median      max";

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut endings = BTreeMap::<(&str, &str), usize>::new();
        for outcome in &self.outcomes {
            *endings.entry((&outcome.ending, &outcome.cause)).or_default() += 1;
        }
        let mut kinds: Vec<&str> = endings.keys().map(|(ending, _)| *ending).collect();
        kinds.dedup();
        write!(f, "{:<50} {:>8}  {:<14}", self.asked, self.outcomes.len(), kinds.join(", "))?;
        for time in spread(self.times().collect()) {
            write!(f, "{:>9.2}", time.as_secs_f64() * 1e3)?;
        }
        write!(f, "  {}", if self.right() { "ok" } else { "WRONG" })?;
        for ((ending, cause), count) in endings {
            if !cause.is_empty() {
                write!(f, "\n    {count} x {ending}: {cause}")?;
            }
        }
        if !self.right() {
            write!(f, "\n    expected: {}, {} times", self.expected, self.count)?;
        }
        match &self.wrong {
            Some(wrong) => write!(f, "\n    but: {wrong}"),
            None => Ok(()),
        }
    }
}

/// The shortest, the middle and the longest.
pub(crate) fn spread(mut times: Vec<Duration>) -> [Duration; 3] {
    times.sort_unstable();
    let at = |index: usize| times.get(index).copied().unwrap_or_default();
    [at(0), at(times.len() / 2), at(times.len().saturating_sub(1))]
}
