//! The tree as JSON, written by hand: a flat list says it all.

use super::snapshot::{Deadline, Snapshot};
use std::fmt::Write;
use std::time::Duration;

fn string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn text_or_null(out: &mut String, text: Option<&str>) {
    match text {
        Some(text) => string(out, text),
        None => out.push_str("null"),
    }
}

fn number_or_null(number: Option<u64>) -> String {
    number.map_or_else(|| "null".to_owned(), |number| number.to_string())
}

/// Milliseconds, with the microseconds behind the point.
fn millis(time: Duration) -> String {
    format!("{}.{:03}", time.as_millis(), time.as_micros() % 1_000)
}

impl Snapshot {
    /// An object with `taken`, `left_out` and the list `contexts`, whose entries have the fields of
    /// [`Inspected`](super::Inspected); times are milliseconds.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = format!("{{\"taken\":\"{}\",\"left_out\":{},\"contexts\":[", self.taken_utc(), self.left_out);
        for (n, context) in self.contexts.iter().enumerate() {
            out.push_str(if n == 0 { "\n" } else { ",\n" });
            let _ = write!(
                out,
                "{{\"id\":{},\"parent\":{},\"merged\":{},\"depth\":{},\"name\":",
                context.id,
                number_or_null(context.parent),
                number_or_null(context.merged),
                context.depth,
            );
            text_or_null(&mut out, context.name.as_deref());
            let deadline = match context.deadline {
                None => "null".to_owned(),
                Some(Deadline::In(time)) => millis(time),
                Some(Deadline::Ago(time)) => format!("-{}", millis(time)),
            };
            let _ = write!(
                out,
                ",\"made\":\"{}\",\"age_ms\":{},\"deadline_ms\":{deadline},\"state\":\"{}\",\"cause\":",
                context.made,
                millis(context.age),
                context.state(),
            );
            text_or_null(&mut out, context.cause.as_deref());
            let _ = write!(out, ",\"handles\":{}}}", context.handles);
        }
        out.push_str("\n]}\n");
        out
    }
}
