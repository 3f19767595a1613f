//! The tree as one page: a table whose first column is indented, so that the depth of the tree is not that of the page.

use super::snapshot::{Deadline, Inspected, Snapshot, short};
use std::fmt::Write;

/// Levels that are shown by indenting.
const INDENTED: usize = 40;

const STYLE: &str = "
:root { color-scheme: light dark; --line: #8883; --dim: #888; --late: #c33; --name: #06c }
@media (prefers-color-scheme: dark) { :root { --late: #f77; --name: #6bf } }
body { font: 14px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 80em; padding: 0 1em }
h1 { font-size: 1.3em; margin: 0 } p { margin: .2em 0 1.2em; color: var(--dim) }
table { border-collapse: collapse; width: 100% }
th { text-align: left; font-weight: 600; color: var(--dim); position: sticky; top: 0; background: Canvas }
th, td { padding: .25em .8em .25em 0; border-bottom: 1px solid var(--line); vertical-align: top }
td:first-child { padding-left: calc(var(--d, 0) * 1.3em) }
td.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
th.n { text-align: right }
b { font-weight: 600; color: var(--name) } small { color: var(--dim) }
tr.ended td { color: var(--dim) } tr.ended b { color: inherit } .late { color: var(--late) }
";

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // Controls have no place in a page.
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

fn row(out: &mut String, context: &Inspected) {
    let class = if context.ended.is_some() { " class=\"ended\"" } else { "" };
    let _ = write!(out, "<tr id=\"c{}\"{class}><td style=\"--d:{}\">", context.id, context.depth.min(INDENTED));
    if let Some(name) = &context.name {
        let _ = write!(out, "<b>{}</b> ", escape(name));
    }
    let _ = write!(out, "{} <small>#{}", context.made, context.id);
    if let Some(merged) = context.merged {
        let _ = write!(out, ", also under <a href=\"#c{merged}\">#{merged}</a>");
    }
    if context.depth > INDENTED {
        let _ = write!(out, ", {} down", context.depth);
    }
    if context.is_relay() {
        out.push_str(", relay");
    }
    let _ = write!(out, "</small></td><td class=\"n\">{}</td>", short(context.age));
    let (late, words) = match context.deadline {
        None => ("", String::new()),
        Some(Deadline::Ago(time)) if context.ended.is_none() => (" late", Deadline::Ago(time).words()),
        Some(deadline) => ("", deadline.words()),
    };
    let _ = write!(out, "<td class=\"n{late}\">{words}</td><td>{}</td>", context.state());
    let cause = context.cause.as_deref().map(escape).unwrap_or_default();
    let _ = writeln!(out, "<td>{cause}</td><td class=\"n\">{}</td></tr>", context.handles);
}

impl Snapshot {
    /// A page that needs nothing else: no script, no style sheet, no image. For an admin endpoint, or a file.
    #[must_use]
    pub fn to_html(&self) -> String {
        let (all, live) = (self.contexts.len(), self.live());
        let relays = self.contexts.iter().filter(|context| context.is_relay()).count();
        let mut out = format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{all} contexts</title>\n\
             <style>{STYLE}</style></head>\n<body><h1>{all} contexts</h1>\n\
             <p>{live} live, {} ended, {relays} kept as relays; {}</p>\n\
             <table><thead><tr><th>context</th><th class=\"n\">age</th><th class=\"n\">deadline</th><th>state</th>\
             <th>cause</th><th class=\"n\">handles</th></tr></thead><tbody>\n",
            all - live,
            self.taken_utc(),
        );
        self.contexts.iter().for_each(|context| row(&mut out, context));
        out.push_str("</tbody></table>\n");
        if self.left_out > 0 {
            let _ = writeln!(out, "<p>and {} more</p>", self.left_out);
        }
        out.push_str("</body></html>\n");
        out
    }
}
