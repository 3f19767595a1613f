//! Makes a failing script short: leaves out what it can, and makes the rest plain, for as long as it still fails.
#![cfg(not(feature = "loom"))]

use super::script::{STEP, Step};

/// The shortest script found that still fails, in so many attempts.
pub(crate) fn shrink(steps: &[Step], attempts: usize, mut fails: impl FnMut(&[Step]) -> bool) -> Vec<Step> {
    let mut best = steps.to_vec();
    let mut left = attempts;
    let mut try_it = |attempt: Vec<Step>, best: &mut Vec<Step>| {
        left = left.saturating_sub(1);
        let better = left > 0 && fails(&attempt);
        if better {
            *best = attempt;
        }
        better
    };
    loop {
        let before = best.clone();
        leave_out_runs(&mut best, &mut try_it);
        leave_out_pairs(&mut best, &mut try_it);
        make_plain(&mut best, &mut try_it);
        if best == before {
            return best;
        }
    }
}

type Try<'a> = dyn FnMut(Vec<Step>, &mut Vec<Step>) -> bool + 'a;

/// Halves, quarters and so on down to single steps.
fn leave_out_runs(best: &mut Vec<Step>, try_it: &mut Try<'_>) {
    let mut size = best.len().div_ceil(2);
    while size > 0 {
        let mut at = best.len();
        while at > 0 {
            let from = at.saturating_sub(size);
            let mut attempt = best.clone();
            attempt.drain(from..at.min(best.len()));
            try_it(attempt, best);
            at = from.min(best.len());
        }
        size /= 2;
    }
}

/// Two steps that only go together: one makes what the other takes.
fn leave_out_pairs(best: &mut Vec<Step>, try_it: &mut Try<'_>) {
    let mut first = 0;
    while first < best.len() {
        let mut second = first + 1;
        let mut went = false;
        while second < best.len() && !went {
            let mut attempt = best.clone();
            attempt.remove(second);
            attempt.remove(first);
            went = try_it(attempt, best);
            second += 1;
        }
        first += usize::from(!went);
    }
}

/// Zeros say the plainest there is.
fn make_plain(best: &mut Vec<Step>, try_it: &mut Try<'_>) {
    for at in 0..best.len() {
        for byte in (1..STEP).rev().filter(|byte| best[at][*byte] != 0).collect::<Vec<_>>() {
            let mut attempt = best.clone();
            attempt[at][byte] = 0;
            try_it(attempt, best);
        }
    }
}
