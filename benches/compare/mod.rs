//! The comparison: rows, rounds, one table, a record.

mod cells;
mod counting;
mod golang;
mod heavy;
mod machine;
mod plot;
mod record;
mod report;
mod rounds;
mod rows;
mod table;
mod timers;

pub(crate) use counting::Counting;

use crate::support::load;
use std::time::Duration;
use table::Effort;

/// Runs everything. `label` tells the records of allocators apart.
pub(crate) fn main(allocator: &str, label: &str) {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, who, what, times] = arguments.as_slice() {
        if flag == "--grown" {
            println!("{}", rows::grown_here(who, what, times.parse().expect("a number")));
            return;
        }
    }
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let filter: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let effort = if !has("--bench") || has("--test") {
        // `cargo test --benches`: everything runs, nothing is measured.
        Effort::trial()
    } else if has("--quick") {
        Effort { rounds: 5, slice: Duration::from_millis(2), churn: 1_000_000, minute: 3, most: 1, ..Effort::full() }
    } else if has("--full") {
        Effort { churn: 100_000_000, minute: 60, ..Effort::full() }
    } else {
        Effort::full()
    };
    let machine = machine::describe(allocator, effort);
    println!("{machine}");
    let wanted = |id: &str| {
        let matches = |word: &&String| {
            id.strip_prefix(word.as_str()).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
        };
        filter.is_empty() || filter.iter().any(matches)
    };
    let mut lines = Vec::new();
    for stage in rows::stages(effort) {
        let (mut rows, kept) = stage(&wanted);
        rows.retain(|row| wanted(row.id));
        lines.extend(rounds::run(rows, effort));
        drop(kept);
    }
    let machine = format!("{machine}; after: {}", load());
    let table = report::table(&lines);
    println!("load       after: {}\n\n{table}", load());
    if effort.counts && filter.is_empty() && !has("--quick") && !has("--no-record") {
        record::write(&lines, &machine, &table, label);
    }
}
