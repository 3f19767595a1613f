//! The tree as a graph for Graphviz.

use super::snapshot::{Snapshot, short};
use std::fmt::Write;

/// A quoted string of the DOT language: quotes and backslashes escaped, lines kept.
fn quote(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace(['\n', '\r'], "\\n")
}

impl Snapshot {
    /// A graph for Graphviz: `dot -Tsvg`. Merged contexts have a dashed second edge.
    #[must_use]
    pub fn to_dot(&self) -> String {
        let mut out = String::from(
            "digraph contexts {\n  rankdir=LR;\n  node [shape=box, style=rounded, fontname=\"sans-serif\", fontsize=10];\n",
        );
        for context in &self.contexts {
            let id = context.id;
            let mut label = format!("{} #{id}\\n{} old", context.made, short(context.age));
            if let Some(name) = &context.name {
                label = format!("{}\\n{label}", quote(name));
            }
            if let Some(deadline) = context.deadline {
                let _ = write!(label, ", {}", deadline.words());
            }
            if let Some(cause) = &context.cause {
                let _ = write!(label, "\\n{}: {}", context.state(), quote(cause));
            }
            let look = match (context.ended, context.is_relay()) {
                (Some(_), _) => ", color=gray60, fontcolor=gray40",
                (None, true) => ", style=\"rounded,dashed\"",
                (None, false) => "",
            };
            let _ = writeln!(out, "  n{id} [label=\"{label}\"{look}];");
            if let Some(parent) = context.parent {
                let _ = writeln!(out, "  n{parent} -> n{id};");
            }
            if let Some(merged) = context.merged {
                let _ = writeln!(out, "  n{merged} -> n{id} [style=dashed];");
            }
        }
        out.push_str("}\n");
        out
    }
}
