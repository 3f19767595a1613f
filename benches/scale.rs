//! How costs grow: with children, depth, threads and pending timers. Flat or linear as it should be?
//!
//! `cargo bench --bench scale [-- --quick] [-- --no-record]` prints one table per panel and writes them and a picture below
//! `docs/records`. A point is the median of interleaved rounds, in nanoseconds of one core: a child, a level, an operation.
//!
//! * children, cancel: one cancel of a parent of n; per child.
//! * children, one more: a child created and dropped beside n live siblings.
//! * depth, cancel and drop: a chain of n levels, all handles kept, canceled from the top, then dropped from the top; per
//!   level. The mutex recurses with its locks held, and stops at 10,000.
//! * depth, one more: a child created and dropped below n levels.
//! * threads: a child, a child with a timeout, a wait polled once, by so many threads at one parent.
//! * pending: a deadline armed and released with so many others pending.

mod mutex;
mod support;

use std::any::Any;
use std::hint::black_box;
use std::time::Duration;
use support::{
    Contender, Pingora, Ripcord, StdMutex, Svg, Timing, Tokio, cancel_trees, chain_of, hardware, keep_pending, load,
    save, stem, stopwatch, together, together_in,
};

const NAMES: [&str; 4] = ["ripcord", "mutex", "tokio", "pingora"];
const COLORS: [&str; 4] = ["#111111", "#1f77b4", "#d62728", "#9467bd"];

/// Nanoseconds of one measurement.
type Cell = Box<dyn FnMut() -> f64>;
type Cells = [Option<Cell>; NAMES.len()];

#[derive(Copy, Clone)]
struct Effort {
    rounds: usize,
    slice: Duration,
    greatest: usize,
    counts: bool,
}

struct Panel {
    title: &'static str,
    axis: &'static str,
    /// Sizes, and what each contender took.
    points: Vec<(usize, [Option<f64>; NAMES.len()])>,
}

/// Repeats what is short until a slice is filled; per time.
fn per_time(effort: Effort, mut work: impl FnMut(u64) -> Duration + 'static) -> Option<Cell> {
    let mut times = 1u64;
    loop {
        let spent = (0..3).map(|_| work(times)).min().expect("three tries");
        if spent >= effort.slice.mul_f64(0.7) {
            break;
        }
        let short = effort.slice.as_secs_f64() / spent.as_secs_f64().max(1e-9);
        times = (times as f64 * short.clamp(1.2, 10.0)).ceil() as u64;
    }
    Some(Box::new(move || work(times).as_secs_f64() * 1e9 / times as f64))
}

fn cancel<C: Contender>(effort: Effort, width: usize) -> Option<Cell> {
    let times = if effort.counts { (20_000 / width).max(1) as u64 } else { 1 };
    Some(Box::new(move || cancel_trees::<C>(width, times).as_secs_f64() * 1e9 / (times * width as u64) as f64))
}

/// A child beside so many.
fn beside<C: Contender>(effort: Effort, width: usize) -> Option<Cell> {
    let parent = C::root();
    let siblings: Vec<_> = (0..width).map(|_| C::child(&parent)).collect();
    per_time(effort, move |times| {
        let _ = &siblings;
        stopwatch(|| (0..times).for_each(|_| drop(black_box(C::child(&parent)))))
    })
}

/// A child below so many.
fn below<C: Contender>(effort: Effort, depth: usize) -> Option<Cell> {
    let levels = chain_of::<C>(depth);
    per_time(effort, move |times| stopwatch(|| (0..times).for_each(|_| drop(black_box(C::child(&levels[depth - 1]))))))
}

/// Short chains by the batch, so that the clock costs nothing.
fn chain<C: Contender>(effort: Effort, depth: usize, dropped: bool) -> Option<Cell> {
    let count = if effort.counts { (10_000 / depth).max(1) } else { 1 };
    Some(Box::new(move || {
        let chains: Vec<_> = (0..count).map(|_| chain_of::<C>(depth)).collect();
        let canceled = stopwatch(|| chains.iter().for_each(|levels| C::cancel(&levels[0])));
        let gone = stopwatch(|| drop(chains));
        (if dropped { gone } else { canceled }).as_secs_f64() * 1e9 / (count * depth) as f64
    }))
}

fn child<C: Contender>(effort: Effort, threads: usize) -> Option<Cell> {
    let parent = C::root();
    per_time(effort, move |times| {
        together::<C>(threads, times, |times| (0..times).for_each(|_| drop(black_box(C::child(&parent)))))
    })
}

fn timed<C: Contender>(effort: Effort, threads: usize) -> Option<Cell> {
    let parent = C::root();
    per_time(effort, move |times| {
        together::<C>(threads, times, |times| (0..times).for_each(|_| C::pass_timed(&parent)))
    })
}

fn done<C: Contender>(effort: Effort, threads: usize) -> Option<Cell> {
    let child = C::root();
    per_time(effort, move |times| together::<C>(threads, times, |times| (0..times).for_each(|_| C::pass_done(&child))))
}

fn timer<T: Timing>(effort: Effort) -> Option<Cell> {
    per_time(effort, move |times| {
        together_in(|work| T::inside(work), 1, times, |times| (0..times).for_each(|_| T::pass()))
    })
}

/// One panel: every size in turn, every contender in turn in each round. `make` is asked for the cells of a size and what
/// is to be kept while they are measured.
fn panel(
    effort: Effort,
    title: &'static str,
    axis: &'static str,
    sizes: &[usize],
    make: impl Fn(usize) -> (Cells, Box<dyn Any>),
) -> Panel {
    let mut points = Vec::new();
    for &size in sizes.iter().filter(|size| **size <= effort.greatest) {
        let (mut cells, kept) = make(size);
        let mut figures = [const { Vec::new() }; NAMES.len()];
        for round in 0..effort.rounds {
            for turn in 0..NAMES.len() {
                let who = (turn + round) % NAMES.len();
                figures[who].extend(cells[who].as_mut().map(|cell| cell()));
            }
        }
        drop((cells, kept));
        let medians = figures.map(|mut all: Vec<f64>| {
            all.sort_by(f64::total_cmp);
            all.get(all.len() / 2).copied()
        });
        points.push((size, medians));
    }
    Panel { title, axis, points }
}

macro_rules! trees {
    ($cell:ident($($arg:expr),*)) => {
        ([$cell::<Ripcord>($($arg),*), $cell::<StdMutex>($($arg),*), $cell::<Tokio>($($arg),*), None], Box::new(()) as Box<dyn Any>)
    };
}

fn panels(e: Effort) -> Vec<Panel> {
    const SIZES: [usize; 7] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000];
    const THREADS: [usize; 4] = [1, 2, 4, 8];
    let chains = |size: usize, dropped: bool| {
        let mutex = if size <= 10_000 { chain::<StdMutex>(e, size, dropped) } else { None };
        let cells = [chain::<Ripcord>(e, size, dropped), mutex, chain::<Tokio>(e, size, dropped), None];
        (cells, Box::new(()) as Box<dyn Any>)
    };
    vec![
        panel(e, "cancel, per child", "children", &SIZES, |n| trees!(cancel(e, n))),
        panel(e, "one more child: create, drop", "live siblings", &SIZES, |n| trees!(beside(e, n))),
        panel(e, "cancel a chain, per level", "levels", &SIZES, |n| chains(n, false)),
        panel(e, "drop a canceled chain, per level", "levels", &SIZES, |n| chains(n, true)),
        panel(e, "one more child: create, drop", "levels above", &SIZES[..6], |n| {
            // The baseline's chain is dropped by recursion.
            let mutex = if n <= 10_000 { below::<StdMutex>(e, n) } else { None };
            ([below::<Ripcord>(e, n), mutex, below::<Tokio>(e, n), None], Box::new(()))
        }),
        panel(e, "timer: arm, release", "pending timers", &SIZES, |n| {
            let kept = (
                keep_pending::<Ripcord>(n),
                keep_pending::<StdMutex>(n),
                keep_pending::<Tokio>(n),
                keep_pending::<Pingora>(n),
            );
            ([timer::<Ripcord>(e), timer::<StdMutex>(e), timer::<Tokio>(e), timer::<Pingora>(e)], Box::new(kept))
        }),
        panel(e, "child: create, drop", "threads, one parent", &THREADS, |n| trees!(child(e, n))),
        panel(e, "child with timeout: create, drop", "threads, one parent", &THREADS, |n| trees!(timed(e, n))),
        panel(e, "done(): poll once, drop", "threads, one context", &THREADS, |n| trees!(done(e, n))),
    ]
}

fn table(panels: &[Panel]) -> String {
    let mut out = format!("panel,size,{}\n", NAMES.join(","));
    for panel in panels {
        for (size, figures) in &panel.points {
            let figures = figures.map(|figure| figure.map_or_else(String::new, |figure| format!("{figure:.1}")));
            out += &format!("\"{} / {}\",{size},{}\n", panel.title, panel.axis, figures.join(","));
        }
    }
    out
}

/// 1, 10, .. as `1`, `10`, `1k`, `1M`.
fn short(size: usize) -> String {
    match size {
        1_000_000.. => format!("{}M", size / 1_000_000),
        1000.. => format!("{}k", size / 1000),
        _ => size.to_string(),
    }
}

/// Small multiples: both axes by powers, every panel with the same scale of time.
fn picture(panels: &[Panel]) -> String {
    const WIDE: f64 = 320.0;
    const HIGH: f64 = 250.0;
    let (low, high) = (10f64.log10(), 10_000f64.log10());
    let rows = panels.len().div_ceil(3);
    let mut svg = Svg::new(3.0 * WIDE, rows as f64 * HIGH + 40.0);
    svg.text(10.0, 22.0, "start", 14.0, "Nanoseconds of one core per child, level or operation, against size");
    for (n, (name, color)) in NAMES.iter().zip(COLORS).enumerate() {
        svg.dot(560.0 + 90.0 * n as f64, 18.0, 4.0, color);
        svg.text(568.0 + 90.0 * n as f64, 22.0, "start", 11.0, name);
    }
    for (n, panel) in panels.iter().enumerate() {
        let (left, top) = (WIDE * (n % 3) as f64 + 44.0, HIGH * (n / 3) as f64 + 66.0);
        let (width, height) = (WIDE - 64.0, HIGH - 80.0);
        let greatest = panel.points.iter().map(|point| point.0).max().unwrap_or(1).max(2) as f64;
        let x = |size: usize| left + (size as f64).log10() / greatest.log10() * width;
        let y = |figure: f64| top + height - ((figure.log10() - low) / (high - low)).clamp(0.0, 1.0) * height;
        svg.text(left, top - 8.0, "start", 12.0, panel.title);
        for power in [10.0, 100.0, 1000.0, 10_000.0] {
            svg.line(left, y(power), left + width, y(power), "#cccccc", 0.7);
            svg.text(left - 5.0, y(power) + 4.0, "end", 10.0, &short(power as usize));
        }
        for (size, _) in &panel.points {
            svg.line(x(*size), top + height, x(*size), top + height + 4.0, "#888888", 0.7);
            svg.text(x(*size), top + height + 15.0, "middle", 10.0, &short(*size));
        }
        svg.text(left + width / 2.0, top + height + 29.0, "middle", 11.0, panel.axis);
        for who in (0..NAMES.len()).rev() {
            let line: Vec<_> =
                panel.points.iter().filter_map(|(size, figures)| Some((x(*size), y(figures[who]?)))).collect();
            svg.path(&line, COLORS[who]);
            for (x, y) in line {
                svg.dot(x, y, 2.6, COLORS[who]);
            }
        }
    }
    svg.finish()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let effort = if !has("--bench") || has("--test") {
        Effort { rounds: 1, slice: Duration::ZERO, greatest: 100, counts: false }
    } else if has("--quick") {
        Effort { rounds: 3, slice: Duration::from_millis(1), greatest: 100_000, counts: true }
    } else {
        Effort { rounds: 7, slice: Duration::from_millis(2), greatest: 1_000_000, counts: true }
    };
    let head = format!("# {}; load before: {}\n", hardware(), load());
    let text = std::thread::Builder::new().stack_size(256 << 20).spawn(move || panels(effort));
    let panels = text.expect("a thread").join().expect("the stack is deep enough for all");
    let out = head + &table(&panels);
    print!("{out}");
    if effort.counts && !has("--quick") && !has("--no-record") {
        save(&format!("{}.csv", stem("-scale")), &out);
        save(&format!("{}.svg", stem("-scale")), &picture(&panels));
    }
}
