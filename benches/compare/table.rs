//! Rows, their rounds, and the one table.

use crate::support::cores;
use std::time::Duration;

/// Who is measured, in the order of a row's cells. The first is us.
pub(crate) const NAMES: [&str; 4] = ["ripcord", "mutex", "parking_lot", "tokio-util"];

/// One measurement, in the row's unit.
pub(crate) type Cell = Box<dyn FnMut() -> f64>;

pub(crate) struct Row {
    pub(crate) id: &'static str,
    pub(crate) work: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) cells: [Option<Cell>; NAMES.len()],
    pub(crate) targets: &'static [Target],
}

/// What our figure must reach.
#[derive(Copy, Clone)]
pub(crate) enum Target {
    /// Of the best rival's, in the same rounds.
    Ratio(f64),
    /// In the row's unit.
    Most(f64),
    /// Of our own in another row.
    Of(f64, &'static str),
}

/// How much of everything.
#[derive(Copy, Clone)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    /// Per cell and round.
    pub(crate) slice: Duration,
    /// Children in the widest trees.
    pub(crate) widest: usize,
}

/// A cell that repeats `work` until a slice is filled, in nanoseconds per time. What `work(times)` returns is the
/// time that counts, which may be less than it took.
pub(crate) fn per_time(effort: Effort, mut work: impl FnMut(u64) -> Duration + 'static) -> Option<Cell> {
    let mut times = 0;
    Some(Box::new(move || {
        if times == 0 {
            times = fill(effort.slice, &mut work);
        }
        work(times).as_secs_f64() * 1e9 / times as f64
    }))
}

/// How many times fill a slice. Each guess is tried eight times and judged by the best, or a preemption would pass
/// for slow work.
fn fill(slice: Duration, work: &mut impl FnMut(u64) -> Duration) -> u64 {
    let mut times = 1;
    loop {
        let spent = (0..8).map(|_| work(times)).min().expect("eight tries");
        if spent >= slice.mul_f64(0.7) {
            return times;
        }
        let short = slice.as_secs_f64() / spent.as_secs_f64().max(1e-9);
        times = (times as f64 * short.clamp(1.2, 10.0)).ceil() as u64;
    }
}

/// A row and what its rounds gave.
struct Line {
    row: Row,
    rounds: Vec<[Option<f64>; NAMES.len()]>,
}

impl Line {
    fn median(&self, who: usize) -> Option<f64> {
        median(self.rounds.iter().filter_map(|round| round[who]))
    }

    /// The best rival, and the median of our ratio to it.
    fn best(&self) -> Option<(usize, f64)> {
        let rivals = (1..NAMES.len()).filter_map(|who| Some((who, self.median(who)?)));
        let (who, _) = rivals.min_by(|one, other| one.1.total_cmp(&other.1))?;
        Some((who, median(self.rounds.iter().filter_map(|round| Some(round[0]? / round[who]?)))?))
    }

    /// The median of our ratio to ourselves in another row.
    fn to(&self, other: &Line) -> Option<f64> {
        let pairs = self.rounds.iter().zip(&other.rounds);
        median(pairs.filter_map(|(here, there)| Some(here[0]? / there[0]?)))
    }
}

/// Runs every row in every round, all contenders of a row in turn, then prints. So a row's rounds are spread over the
/// whole run, and a noisy neighbour spoils a round of each rather than all of one.
pub(crate) fn run(rows: Vec<Row>, effort: Effort) {
    let mut lines: Vec<Line> = rows.into_iter().map(|row| Line { row, rounds: Vec::new() }).collect();
    // Round 0 does not count: it finds how often each is to be repeated.
    for number in 0..=effort.rounds {
        for line in &mut lines {
            let mut round = [None; NAMES.len()];
            for turn in 0..NAMES.len() {
                let who = (turn + number) % NAMES.len();
                round[who] = line.row.cells[who].as_mut().map(|cell| cell());
            }
            if number > 0 {
                line.rounds.push(round);
            }
        }
    }
    print(&lines);
}

fn median(of: impl Iterator<Item = f64>) -> Option<f64> {
    let mut of: Vec<f64> = of.collect();
    of.sort_by(f64::total_cmp);
    of.get(of.len() / 2).copied()
}

fn print(lines: &[Line]) {
    let named = |id: &str| lines.iter().find(|line| line.row.id == id);
    let mut table = vec![["row", "work", "unit"].map(String::from).to_vec()];
    table[0].extend(NAMES.map(String::from));
    table[0].extend(["ratio", "to", "wanted", "reached"].map(String::from));
    for line in lines {
        let Row { id, work, unit, targets, .. } = &line.row;
        let mut cells = vec![(*id).to_string(), (*work).to_string(), (*unit).to_string()];
        cells.extend((0..NAMES.len()).map(|who| line.median(who).map_or("-".into(), show)));
        cells.extend(match line.best() {
            Some((who, ratio)) => [format!("{ratio:.2}"), NAMES[who].into()],
            None => ["-".into(), "-".into()],
        });
        let mine = line.median(0).unwrap_or(f64::NAN);
        let (mut wanted, mut reached) = (Vec::new(), true);
        for target in *targets {
            let (text, met) = match *target {
                Target::Ratio(most) => (format!("{most}"), line.best().is_some_and(|(_, ratio)| ratio <= most)),
                Target::Most(most) => (format!("{most} {unit}"), mine <= most),
                Target::Of(times, id) => {
                    let ratio = named(id).and_then(|base| line.to(base));
                    (format!("{times} x {id}"), ratio.is_none_or(|ratio| ratio <= times))
                }
            };
            wanted.push(text);
            reached &= met;
        }
        let verdict = if reached { "yes" } else { "NO" };
        cells.extend([format!("<= {}", wanted.join(", ")), verdict.into()]);
        table.push(cells);
    }
    let widths: Vec<usize> =
        (0..table[0].len()).map(|n| table.iter().map(|cells| cells[n].len()).max().unwrap_or(0)).collect();
    for cells in table {
        let mut text = String::new();
        for (n, (cell, &width)) in cells.iter().zip(&widths).enumerate() {
            // Figures to the right, words to the left.
            let figure = (3..=3 + NAMES.len()).contains(&n);
            text += &if figure { format!("{cell:>width$}  ") } else { format!("{cell:<width$}  ") };
        }
        println!("{}", text.trim_end());
    }
}

fn show(figure: f64) -> String {
    let digits = if figure < 10.0 { 2 } else { usize::from(figure < 100.0) };
    format!("{figure:.digits$}")
}

/// Where this was measured, and against what.
pub(crate) fn describe(effort: Effort) {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let cpu =
        info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("unknown", |at| at.1);
    let lock = read(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock"));
    let version = |name: &str| {
        let package = lock.split_once(&format!("name = \"{name}\"\nversion = \"")).map_or("", |at| at.1);
        package.split('"').next().unwrap_or_default().to_string()
    };
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    println!("cpu        {cpu}, {} cores, {} {}", cores(), std::env::consts::OS, std::env::consts::ARCH);
    println!("allocator  the system's, behind a counter that is off outside P12");
    println!(
        "rivals     mutex: Go's algorithm on std::sync; parking_lot {}: the same on its locks; tokio-util {} with tokio {}",
        version("parking_lot"),
        version("tokio-util"),
        version("tokio"),
    );
    let Effort { rounds, slice, .. } = effort;
    println!("method     medians of {rounds} interleaved rounds of {slice:?} each; load average before: {load}");
    if load.parse().is_ok_and(|load: f64| load > 0.5) {
        println!("           NOT QUIET: others are running, so rows of 2 and 8 threads say little");
    }
    println!("ratio      ours to the best rival's, the median over the rounds");
    println!("time       of one core per operation: one thread by its own CPU clock, several by the wall's\n");
}
