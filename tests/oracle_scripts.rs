//! Seeded random scripts of everything a sequential program can do, compared with the oracle after every step.
//!
//! `RIPCORD_STRESS` multiplies the scripts; `RIPCORD_SEED` runs one script only. A mismatch prints its seed and the
//! shortest script found that shows it.
#![cfg(not(feature = "loom"))]

mod common;
mod oracle;

use common::*;
use oracle::blast::{WHO, Who};
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
        fired: 0,
        panics: BTreeMap::new(),
        outcome: Err(String::from("a panic, printed above")),
    })
}

/// What all scripts together have shown.
#[derive(Debug, Default)]
struct All {
    done: BTreeMap<What, usize>,
    fired: usize,
    panics: BTreeMap<Who, usize>,
}

#[track_caller]
fn check(seed: u64, all: &mut All) {
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
        *all.done.entry(what).or_default() += times;
    }
    all.fired += report.fired;
    for (who, times) in report.panics {
        *all.panics.entry(who).or_default() += times;
    }
}

fn scripts(first: u64) {
    let mut all = All::default();
    if let Ok(seed) = std::env::var("RIPCORD_SEED") {
        return check(seed.parse().unwrap(), &mut all);
    }
    let scripts = stress(5_000);
    for n in 0..scripts as u64 {
        check(first + n, &mut all);
    }
    println!(
        "{scripts} scripts of {STEPS} steps: {} contexts ended as time passed, panics: {:?}",
        all.fired, all.panics
    );
    for what in WHATS.iter().filter(|what| STANDS || **what != What::Pass) {
        assert!(all.done.get(what).is_some_and(|times| *times >= scripts / 4), "{what:?} is hardly ever done: {all:?}");
    }
    for who in WHO {
        assert!(all.panics.get(who).is_some_and(|times| *times >= scripts / 32), "{who:?} hardly ever panics: {all:?}");
    }
    assert!(!STANDS || all.fired >= scripts, "hardly any deadline fires: {all:?}");
}

#[test]
fn scripts_agree_with_the_oracle_first_half() {
    scripts(0);
}

#[test]
fn scripts_agree_with_the_oracle_second_half() {
    scripts(1 << 32);
}
