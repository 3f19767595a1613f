//! Seeded random scripts of everything a sequential program can do, compared with the oracle after every step.
//!
//! `RIPCORD_STRESS` multiplies the scripts; `RIPCORD_SEED` runs one script only. A mismatch prints its seed and the
//! shortest script found that shows it.
#![cfg(not(feature = "loom"))]

mod common;
mod oracle;

use common::*;
use oracle::clock::STANDS;
use oracle::script::{Step, Told};
use oracle::steps::{WHATS, What};
use oracle::{Report, run};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

const STEPS: usize = 100;

/// Attempts to make a failing script shorter.
const PATIENCE: usize = 20_000;

fn steps(seed: u64) -> Vec<Step> {
    let mut random = Random::new(seed);
    (0..STEPS).map(|_| random.next().to_le_bytes()).collect()
}

fn run_shielded(steps: &[Step], told: Told) -> Report {
    catch_unwind(AssertUnwindSafe(|| run(steps, told))).unwrap_or_else(|_| Report {
        told: Told::Nobody,
        done: BTreeMap::new(),
        outcome: Err(String::from("a panic, printed above")),
    })
}

#[track_caller]
fn check(seed: u64, done: &mut BTreeMap<What, usize>) {
    let steps = steps(seed);
    let report = run_shielded(&steps, Told::Nobody);
    if let Err(first) = report.outcome {
        eprintln!("seed {seed}: {first}; now to make it short");
        let short =
            oracle::shrink::shrink(&steps, PATIENCE, |steps| run_shielded(steps, Told::Nobody).outcome.is_err());
        println!("seed {seed}, made short:");
        let last = run_shielded(&short, Told::Printed).outcome;
        panic!("seed {seed}: {first}; made short, printed above: {last:?}");
    }
    for (what, times) in report.done {
        *done.entry(what).or_default() += times;
    }
}

fn scripts(first: u64) {
    let mut done = BTreeMap::new();
    if let Ok(seed) = std::env::var("RIPCORD_SEED") {
        return check(seed.parse().unwrap(), &mut done);
    }
    let scripts = stress(5_000);
    for n in 0..scripts as u64 {
        check(first + n, &mut done);
    }
    for what in WHATS.iter().filter(|what| STANDS || **what != What::Pass) {
        assert!(done.get(what).is_some_and(|times| *times >= scripts / 4), "{what:?} is hardly ever done: {done:?}");
    }
}

#[test]
fn scripts_agree_with_the_oracle_first_half() {
    scripts(0);
}

#[test]
fn scripts_agree_with_the_oracle_second_half() {
    scripts(1 << 32);
}
