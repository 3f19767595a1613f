//! Where this was measured, and against what.

use super::golang;
use super::table::Effort;
use crate::support::{hardware, load, read};

/// A version out of the lock file.
fn version(name: &str) -> String {
    let lock = read(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock"));
    let package = lock.split_once(&format!("name = \"{name}\"\nversion = \"")).map_or("", |at| at.1);
    package.split('"').next().unwrap_or_default().to_string()
}

pub(crate) fn describe(allocator: &str, effort: Effort) -> String {
    let allocator = match allocator {
        "mimalloc" => format!("mimalloc ({} {})", "crate", version("mimalloc")),
        other => other.to_string(),
    };
    let Effort { rounds, slice, .. } = effort;
    format!(
        "cpu        {}\n\
         allocator  {allocator}, behind a counter that is off outside P12\n\
         rivals     mutex: Go's algorithm on std::sync; parking_lot {}: the same on its locks; tokio {} with tokio-util {};\n           \
         pingora: pingora-timeout {}; go: {}\n\
         method     medians of {rounds} interleaved rounds of {slice:?} a cell, fewer for rows that take seconds; a round whose\n           \
         row began or ended with a probe that got less than 95 % of a processor is left out, unless that\n           \
         leaves less than a third: then the quietest third counts, and the row is marked ~\n\
         ratio      ours to the best rival's, the median over the rounds\n\
         time       of one core per operation: one thread by its own CPU clock, several by the wall's\n\
         load       before: {}",
        hardware(),
        version("parking_lot"),
        version("tokio"),
        version("tokio-util"),
        version("pingora-timeout"),
        golang::version(effort).unwrap_or_else(|| "not found".into()),
        load(),
    )
}
