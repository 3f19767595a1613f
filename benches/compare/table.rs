//! What a row is, and how a cell of it is measured.

use crate::support::cores;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// Who is measured, in the order of a row's cells. The first is us.
pub(crate) const NAMES: [&str; 6] = ["ripcord", "mutex", "parking_lot", "tokio", "pingora", "go"];

/// One measurement, in the row's unit.
pub(crate) type Cell = Box<dyn FnMut() -> f64>;

pub(crate) type Cells = [Option<Cell>; NAMES.len()];

pub(crate) struct Row {
    pub(crate) id: &'static str,
    pub(crate) work: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) cells: Cells,
    pub(crate) targets: &'static [Target],
    /// How many run at once.
    pub(crate) threads: usize,
    /// Rows that take long go round less often.
    pub(crate) rounds: usize,
    /// A rival that does something easier here: its figure is shown, and ours not compared with it.
    pub(crate) unsound: Option<usize>,
}

impl Row {
    pub(crate) fn new(
        id: &'static str,
        work: &'static str,
        unit: &'static str,
        cells: Cells,
        targets: &'static [Target],
    ) -> Row {
        Row { id, work, unit, cells, targets, threads: 1, rounds: usize::MAX, unsound: None }
    }

    pub(crate) fn threads(self, threads: usize) -> Row {
        Row { threads: threads.min(cores()), ..self }
    }

    pub(crate) fn rounds(self, rounds: usize) -> Row {
        Row { rounds, ..self }
    }

    pub(crate) fn unsound(self, name: &str) -> Row {
        let who = NAMES.iter().position(|other| *other == name).expect("one of the contenders");
        Row { unsound: Some(who), ..self }
    }
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
    /// Of rows that take seconds.
    pub(crate) most: usize,
    /// Per cell and round.
    pub(crate) slice: Duration,
    /// Children in the widest trees, deadlines in P10.
    pub(crate) widest: usize,
    /// Levels of the deepest chain, pending timers at most, children of the very widest tree.
    pub(crate) million: usize,
    /// Short children of P15.
    pub(crate) churn: usize,
    /// The time in which P10's deadlines pass, and idle threads are watched.
    pub(crate) while_: Duration,
    /// Seconds of P15's pace.
    pub(crate) minute: usize,
    /// Not a trial.
    pub(crate) counts: bool,
}

impl Effort {
    /// For rows of so many threads. Those that share processors do not end together, and what the last of them run alone is to weigh
    /// little: a longer slice.
    pub(crate) fn on(self, threads: usize) -> Effort {
        Effort { slice: self.slice * threads.div_ceil(2) as u32, ..self }
    }

    pub(crate) fn full() -> Effort {
        Effort {
            rounds: 31,
            most: 3,
            slice: Duration::from_millis(3),
            widest: 100_000,
            million: 1_000_000,
            churn: 10_000_000,
            minute: 10,
            while_: Duration::from_secs(1),
            counts: true,
        }
    }

    pub(crate) fn trial() -> Effort {
        Effort {
            rounds: 1,
            most: 1,
            slice: Duration::from_micros(1),
            widest: 100,
            million: 1000,
            churn: 100,
            minute: 0,
            while_: Duration::from_millis(5),
            counts: false,
        }
    }
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

/// How many times fill a slice. Each guess is tried some times and judged by the best, or a preemption would pass
/// for slow work.
fn fill(slice: Duration, work: &mut impl FnMut(u64) -> Duration) -> u64 {
    let mut times = 1;
    loop {
        let spent = (0..5).map(|_| work(times)).min().expect("five tries");
        if spent >= slice.mul_f64(0.7) {
            return times;
        }
        let short = slice.as_secs_f64() / spent.as_secs_f64().max(1e-9);
        times = (times as f64 * short.clamp(1.2, 10.0)).ceil() as u64;
    }
}

/// For work of less than a millisecond that is done once in a round: does it twice, and the second time counts. The first finds the
/// caches as whoever ran before left them, which is not the same for all.
pub(crate) fn warm<T>(mut work: impl FnMut() -> T) -> impl FnMut() -> T {
    move || {
        work();
        work()
    }
}

/// Cells of several rows that one run of `work` fills: whichever is asked first in a round runs it.
pub(crate) fn several<const N: usize>(work: impl FnMut() -> [f64; N] + 'static) -> [Option<Cell>; N] {
    let shared = Rc::new(RefCell::new((work, [None; N])));
    std::array::from_fn(|n| {
        let shared = Rc::clone(&shared);
        let cell: Cell = Box::new(move || {
            let (work, figures) = &mut *shared.borrow_mut();
            figures[n].take().unwrap_or_else(|| {
                *figures = work().map(Some);
                figures[n].take().expect("just filled")
            })
        });
        Some(cell)
    })
}

/// One cell of each contender for each of `N` rows, turned round to `N` rows of cells.
pub(crate) fn turned<const N: usize>(cells: [[Option<Cell>; N]; NAMES.len()]) -> [Cells; N] {
    let mut rows = [const { [const { None }; NAMES.len()] }; N];
    for (who, cells) in cells.into_iter().enumerate() {
        for (row, cell) in rows.iter_mut().zip(cells) {
            row[who] = cell;
        }
    }
    rows
}

/// A figure that is known already.
pub(crate) fn known(figure: f64) -> Option<Cell> {
    Some(Box::new(move || figure))
}

/// For who has nothing to show.
pub(crate) fn nothing<const N: usize>() -> [Option<Cell>; N] {
    [const { None }; N]
}
