//! What is kept of a run: the table, the same as comma-separated values, and a picture, below `docs/records`.

use super::plot;
use super::report::{show, verdict};
use super::rounds::Line;
use super::table::NAMES;
use crate::support::{save, stem};

pub(crate) fn write(lines: &[Line], machine: &str, table: &str, label: &str) {
    let mut out = String::new();
    for line in machine.lines() {
        out += &format!("# {line}\n");
    }
    out +=
        "row,work,unit,who,median,least,most,ratio of ripcord to it,rounds counted,rounds,disturbed,wanted,reached\n";
    for line in lines {
        let (kept, all) = line.kept();
        let (wanted, reached) = verdict(line, lines);
        for (who, name) in NAMES.iter().enumerate() {
            let (Some(median), Some((least, most))) = (line.median(who), line.spread(who)) else { continue };
            let ratio = if who == 0 {
                String::new()
            } else {
                line.ratio(who).map_or_else(String::new, |ratio| format!("{ratio:.3}"))
            };
            let (wanted, reached) =
                if who == 0 { (wanted.as_str(), if reached { "yes" } else { "no" }) } else { ("", "") };
            out += &format!(
                "{},\"{}\",{},{name},{},{},{},{ratio},{kept},{all},{},\"{wanted}\",{reached}\n",
                line.row.id,
                line.row.work,
                line.row.unit,
                show(median),
                show(least),
                show(most),
                if line.disturbed() { "yes" } else { "no" },
            );
        }
    }
    let stem = stem(label);
    save(&format!("{stem}.txt"), &format!("{machine}\n\n{table}"));
    save(&format!("{stem}.csv"), &out);
    save(&format!("{stem}.svg"), &plot::ratios(lines));
}
