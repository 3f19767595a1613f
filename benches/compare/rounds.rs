//! Rows go round: every contender of a row in turn, forwards in one round and backwards in the next, so that nobody always comes
//! after the same one; every row in every round, and a probe of the machine about each.

use super::table::{Effort, NAMES, Row};
use crate::support::{busy, stay_on};
use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

/// A round whose probes got less of a processor than this was disturbed.
const WHOLE: f64 = 0.95;

struct Round {
    figures: [Option<f64>; NAMES.len()],
    /// What share of their processors the probes before and after got.
    share: f64,
}

/// A row and what its rounds gave.
pub(crate) struct Line {
    pub(crate) row: Row,
    rounds: Vec<Round>,
}

impl Line {
    /// The rounds that count: all that were undisturbed, or the quietest third.
    fn counting(&self) -> impl Iterator<Item = &Round> {
        let least = self.least();
        self.rounds.iter().filter(move |round| round.share >= least)
    }

    fn least(&self) -> f64 {
        let mut shares: Vec<f64> = self.rounds.iter().map(|round| round.share).collect();
        shares.sort_by(|one, other| other.total_cmp(one));
        let third = shares.get(shares.len().div_ceil(3).saturating_sub(1)).copied().unwrap_or(0.0);
        third.min(WHOLE)
    }

    /// Whether disturbed rounds had to be counted.
    pub(crate) fn disturbed(&self) -> bool {
        self.least() < WHOLE
    }

    /// How many rounds count, of how many.
    pub(crate) fn kept(&self) -> (usize, usize) {
        (self.counting().count(), self.rounds.len())
    }

    pub(crate) fn median(&self, who: usize) -> Option<f64> {
        median(self.counting().filter_map(|round| round.figures[who]))
    }

    /// The spread of the rounds that count: least and greatest figure.
    pub(crate) fn spread(&self, who: usize) -> Option<(f64, f64)> {
        let all = || self.counting().filter_map(|round| round.figures[who]).filter(|figure| figure.is_finite());
        Some((all().min_by(f64::total_cmp)?, all().max_by(f64::total_cmp)?))
    }

    /// The median of our ratio to this rival in the same round.
    pub(crate) fn ratio(&self, who: usize) -> Option<f64> {
        median(self.counting().filter_map(|round| Some(round.figures[0]? / round.figures[who]?)))
    }

    /// The best sound rival, and our ratio to it.
    pub(crate) fn best(&self) -> Option<(usize, f64)> {
        let sound = (1..NAMES.len()).filter(|who| self.row.unsound != Some(*who));
        let rivals = sound.filter_map(|who| Some((who, self.median(who)?)));
        let (who, _) = rivals.min_by(|one, other| one.1.total_cmp(&other.1))?;
        Some((who, self.ratio(who)?))
    }

    /// Our figure to our own in another row, by medians: the rows' rounds are not the same ones.
    pub(crate) fn to(&self, other: &Line) -> Option<f64> {
        Some(self.median(0)? / other.median(0)?)
    }
}

fn median(of: impl Iterator<Item = f64>) -> Option<f64> {
    let mut of: Vec<f64> = of.filter(|figure| figure.is_finite()).collect();
    of.sort_by(f64::total_cmp);
    of.get(of.len() / 2).copied()
}

/// What share of a processor each of so many threads gets that does nothing but count: the least of them.
fn probe(threads: usize, time: Duration) -> f64 {
    let one = || {
        let (start, before) = (Instant::now(), busy());
        while busy() - before < time {
            for n in 0..1000 {
                black_box(n);
            }
        }
        (busy() - before).as_secs_f64() / start.elapsed().as_secs_f64()
    };
    if threads == 1 {
        return one();
    }
    thread::scope(|scope| {
        let there = |nth| {
            stay_on(nth);
            one()
        };
        let all: Vec<_> = (0..threads).map(|nth| scope.spawn(move || there(nth))).collect();
        all.into_iter().map(|thread| thread.join().expect("it only counts")).fold(1.0, f64::min)
    })
}

/// Runs every row in every round. So a row's rounds are spread over the whole run, and a noisy neighbour spoils a round of
/// each rather than all of one.
pub(crate) fn run(rows: Vec<Row>, effort: Effort) -> Vec<Line> {
    let mut lines: Vec<Line> = rows.into_iter().map(|row| Line { row, rounds: Vec::new() }).collect();
    let span = effort.slice.min(Duration::from_micros(300));
    // Round 0 does not count: it finds how often each is to be repeated. Rows that take seconds need no such thing.
    for number in 0..=effort.rounds {
        for line in &mut lines {
            let long = line.row.rounds < usize::MAX;
            if (number == 0 && long) || line.rounds.len() >= line.row.rounds {
                continue;
            }
            let before = probe(line.row.threads, span);
            let mut figures = [None; NAMES.len()];
            for turn in 0..NAMES.len() {
                let turn = if number % 2 == 0 { turn } else { NAMES.len() - 1 - turn };
                let who = (turn + number) % NAMES.len();
                figures[who] = line.row.cells[who].as_mut().map(|cell| cell());
            }
            if number > 0 {
                let share = before.min(probe(line.row.threads, span));
                line.rounds.push(Round { figures, share });
            }
        }
    }
    // What a row's cells hold is not to outlive its stage.
    for line in &mut lines {
        line.row.cells = [const { None }; NAMES.len()];
    }
    lines
}
