//! The tree as indented text.

use super::snapshot::{Snapshot, short};
use std::fmt;

/// Levels that are shown by indenting; what is further down says how far.
const INDENTED: usize = 24;

/// One line per context:
/// `#12 WithDeadline "GET /users" 1.2s old, in 3.8s, canceled: client gone`.
impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, live) = (self.contexts.len(), self.live());
        writeln!(f, "{all} contexts, {live} live, at {}", self.taken_utc())?;
        for context in &self.contexts {
            f.write_str(&"  ".repeat(context.depth.min(INDENTED)))?;
            if context.depth > INDENTED {
                write!(f, "({} down) ", context.depth)?;
            }
            write!(f, "#{} {}", context.id, context.made)?;
            if let Some(name) = &context.name {
                write!(f, " {name:?}")?;
            }
            write!(f, " {} old", short(context.age))?;
            if let Some(deadline) = context.deadline {
                write!(f, ", {}", deadline.words())?;
            }
            if let Some(cause) = &context.cause {
                write!(f, ", {}: {}", context.state(), cause.escape_debug())?;
            }
            if let Some(merged) = context.merged {
                write!(f, ", also under #{merged}")?;
            }
            if context.is_relay() {
                f.write_str(", relay")?;
            }
            writeln!(f)?;
        }
        if self.left_out > 0 {
            writeln!(f, "and {} more", self.left_out)?;
        }
        Ok(())
    }
}
