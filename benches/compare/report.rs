//! The table, losses as plainly as wins.

use super::rounds::Line;
use super::table::{NAMES, Row, Target};

/// What is wanted of a row, and whether it was reached.
pub(crate) fn verdict(line: &Line, lines: &[Line]) -> (String, bool) {
    let named = |id: &str| lines.iter().find(|line| line.row.id == id);
    let unit = line.row.unit;
    let mine = line.median(0).unwrap_or(f64::NAN);
    let (mut wanted, mut reached) = (Vec::new(), true);
    for target in line.row.targets {
        let (text, met) = match *target {
            Target::Ratio(most) => (format!("{most}"), line.best().is_some_and(|(_, ratio)| ratio <= most)),
            Target::Most(most) => (format!("{most} {unit}").trim().to_string(), mine <= most),
            Target::Of(times, id) => {
                let ratio = named(id).and_then(|base| line.to(base));
                (format!("{times} x {id}"), ratio.is_none_or(|ratio| ratio <= times))
            }
        };
        wanted.push(text);
        reached &= met;
    }
    if wanted.is_empty() { (String::new(), true) } else { (format!("<= {}", wanted.join(", ")), reached) }
}

pub(crate) fn table(lines: &[Line]) -> String {
    let mut table = vec![["row", "work", "unit"].map(String::from).to_vec()];
    table[0].extend(NAMES.map(String::from));
    table[0].extend(["ratio", "to", "wanted", "reached", "rounds"].map(String::from));
    for line in lines {
        let Row { id, work, unit, .. } = &line.row;
        let mut cells = vec![(*id).to_string(), (*work).to_string(), (*unit).to_string()];
        cells.extend((0..NAMES.len()).map(|who| line.median(who).map_or("-".into(), show)));
        cells.extend(match line.best() {
            Some((who, ratio)) => [show(ratio), NAMES[who].into()],
            None => ["-".into(), "-".into()],
        });
        let (wanted, reached) = verdict(line, lines);
        let word = if wanted.is_empty() {
            ""
        } else if reached {
            "yes"
        } else {
            "NO"
        };
        let (kept, all) = line.kept();
        let mark = if line.disturbed() { "~" } else { "" };
        cells.extend([wanted, word.into(), format!("{kept}/{all}{mark}")]);
        table.push(cells);
    }
    let widths: Vec<usize> =
        (0..table[0].len()).map(|n| table.iter().map(|cells| cells[n].len()).max().unwrap_or(0)).collect();
    let mut out = String::new();
    for cells in table {
        let mut text = String::new();
        for (n, (cell, &width)) in cells.iter().zip(&widths).enumerate() {
            // Figures to the right, words to the left.
            let figure = (3..=3 + NAMES.len()).contains(&n);
            text += &if figure { format!("{cell:>width$}  ") } else { format!("{cell:<width$}  ") };
        }
        out += text.trim_end();
        out += "\n";
    }
    out
}

/// Three digits, or all before the point.
pub(crate) fn show(figure: f64) -> String {
    let digits = if figure.abs() < 10.0 { 2 } else { usize::from(figure.abs() < 100.0) };
    format!("{figure:.digits$}")
}
