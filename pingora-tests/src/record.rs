//! One line for each request.

use ripcord::Cause;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Where records go. Called once for each request, on the thread that served it.
pub type Log = Arc<dyn Fn(Record) + Send + Sync>;

/// What became of a request.
#[derive(Clone, Debug)]
pub struct Record {
    /// Method and path.
    pub request: String,
    /// What the client was told; `None` if nothing.
    pub status: Option<u16>,
    /// How much of a body it got.
    pub bytes: usize,
    /// How often an upstream was asked.
    pub tries: u32,
    /// How long it might take.
    pub budget: Duration,
    /// How long it took.
    pub took: Duration,
    /// Why its context ended; `None` if the request came to an end by itself.
    pub cause: Option<Cause>,
    /// What pingora met with.
    pub error: Option<String>,
    /// Whether it did not end when it was told to, and was dropped.
    pub dropped: bool,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Record { request, status, bytes, tries, budget, took, cause, error, dropped } = self;
        write!(f, "{request} {} {bytes} B", status.map_or("-".into(), |status| status.to_string()))?;
        write!(f, ", {tries} tries, {took:.1?} of {budget:.1?}")?;
        if let Some(cause) = cause {
            write!(f, "; {cause}")?;
        }
        if let Some(error) = error {
            write!(f, "; {error}")?;
        }
        f.write_str(if *dropped { "; dropped" } else { "" })
    }
}
