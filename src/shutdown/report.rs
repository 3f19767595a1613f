//! What was still running, stage by stage.

use super::stage::Stage;
use crate::cause::Cause;
use std::fmt;
use std::time::Duration;

/// How many guards of one name were held, and for how long the oldest of them.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Running {
    /// The name that the guards were taken under.
    pub name: &'static str,
    /// How many.
    pub count: usize,
    /// The age of the oldest; zero if there is none.
    pub oldest: Duration,
}

impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} (oldest {:.1?})", self.count, self.name, self.oldest)
    }
}

/// A stage that was reached.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reached {
    /// Which.
    pub stage: Stage,
    /// How long after the beginning.
    pub after: Duration,
    /// Why: the reason of the shutdown, [`Overdue`](super::Overdue), or what a second signal gave.
    pub cause: Cause,
    /// What was running when it came; names without any are left out.
    pub running: Vec<Running>,
}

/// How a shutdown went, or has gone so far. Display is a small table.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Why there was one; `None` if it has not begun.
    pub reason: Option<Cause>,
    /// The stages that were reached, in order.
    pub stages: Vec<Reached>,
    /// What is left: when the last guard went or [`Stage::Abort`] came, or, if neither has, now.
    pub left: Vec<Running>,
    /// From the beginning to that moment.
    pub took: Duration,
    /// Whether it is through.
    pub over: bool,
}

impl Report {
    /// Whether everything finished by itself: it is through, nothing was canceled and nothing is left.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.over && self.left.is_empty() && self.stages.iter().all(|reached| reached.stage < Stage::Cancel)
    }

    /// How many guards were held when a stage came; `None` if it did not.
    #[must_use]
    pub fn running_at(&self, stage: Stage) -> Option<usize> {
        let reached = self.stages.iter().find(|reached| reached.stage == stage)?;
        Some(reached.running.iter().map(|running| running.count).sum())
    }
}

struct List<'a>(&'a [Running]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, running) in self.0.iter().enumerate() {
            write!(f, "{}{running}", if number == 0 { "" } else { ", " })?;
        }
        if self.0.is_empty() { f.write_str("nothing") } else { Ok(()) }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            None => write!(f, "up; running: {}", List(&self.left)),
            Some(reason) => {
                let state = if self.over { "down" } else { "going down" };
                write!(f, "{reason}: {state} after {:.1?}", self.took)?;
                for Reached { stage, after, running, .. } in &self.stages {
                    write!(f, "\n  {:<8}after {after:<10.1?} running: {}", stage.name(), List(running))?;
                }
                write!(f, "\n  left: {}", List(&self.left))
            }
        }
    }
}
