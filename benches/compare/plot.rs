//! The picture of a run: for each row, where each rival stands when we are at 1. Right of the line we are ahead.

use super::report::show;
use super::rounds::Line;
use super::table::{NAMES, Target};
use crate::support::Svg;

const COLORS: [&str; NAMES.len()] = ["#111111", "#1f77b4", "#17a2a2", "#d62728", "#9467bd", "#2ca02c"];
const LEFT: f64 = 330.0;
const RIGHT: f64 = 860.0;
const ROW: f64 = 17.0;
const TOP: f64 = 58.0;
/// The scale goes from a tenth to a hundred times our figure.
const DECADES: (f64, f64) = (-1.0, 2.0);

fn x(times: f64) -> f64 {
    let share = (times.log10() - DECADES.0) / (DECADES.1 - DECADES.0);
    LEFT + share.clamp(0.0, 1.0) * (RIGHT - LEFT)
}

pub(crate) fn ratios(lines: &[Line]) -> String {
    // Rows whose figures are compared; counts and zeroes have no place on such a scale.
    let rows: Vec<&Line> = lines
        .iter()
        .filter(|line| (1..NAMES.len()).any(|who| line.ratio(who).is_some_and(|r| r > 0.0 && r.is_finite())))
        .collect();
    let bottom = TOP + rows.len() as f64 * ROW;
    let mut svg = Svg::new(960.0, bottom + 34.0);
    svg.text(10.0, 20.0, "start", 14.0, "Rivals' figures over ours, row by row: right of the black line we are ahead");
    let mut at = LEFT;
    for (name, color) in NAMES.iter().zip(COLORS).skip(1) {
        svg.dot(at, 36.0, 4.0, color);
        svg.text(at + 8.0, 40.0, "start", 11.0, name);
        at += 95.0;
    }
    svg.line(at, 30.0, at, 42.0, "#ff7f0e", 2.0);
    svg.text(at + 6.0, 40.0, "start", 11.0, "wanted");
    for (times, label) in
        [(0.1, "0.1"), (0.3, "0.3"), (1.0, "1"), (3.0, "3"), (10.0, "10"), (30.0, "30"), (100.0, "100 x")]
    {
        let width = if times == 1.0 { 1.5 } else { 0.5 };
        svg.line(x(times), TOP - 8.0, x(times), bottom, if times == 1.0 { "#111111" } else { "#bbbbbb" }, width);
        svg.text(x(times), bottom + 16.0, "middle", 11.0, label);
    }
    for (n, line) in rows.iter().enumerate() {
        let y = TOP + n as f64 * ROW + ROW / 2.0;
        if n % 2 == 0 {
            svg.rect(0.0, y - ROW / 2.0, 960.0, ROW, "#f4f4f4");
        }
        svg.text(10.0, y + 4.0, "start", 10.0, &format!("{}  {}", line.row.id, line.row.work));
        let mine = line.median(0).map_or_else(String::new, |median| format!("{} {}", show(median), line.row.unit));
        svg.text(950.0, y + 4.0, "end", 10.0, &mine);
        for target in line.row.targets {
            if let Target::Ratio(most) = target {
                svg.line(x(1.0 / most), y - 6.0, x(1.0 / most), y + 6.0, "#ff7f0e", 2.0);
            }
        }
        for who in (1..NAMES.len()).rev() {
            if let Some(ratio) = line.ratio(who).filter(|ratio| *ratio > 0.0 && ratio.is_finite()) {
                svg.dot(x(1.0 / ratio), y, 3.5, COLORS[who]);
            }
        }
    }
    // Over the stripes.
    svg.line(x(1.0), TOP - 8.0, x(1.0), bottom, "#111111", 1.5);
    svg.finish()
}
