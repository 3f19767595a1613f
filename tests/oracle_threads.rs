//! Seeded random scripts for two to four threads on one tree, checked against the rules that hold in every order.
//!
//! `RIPCORD_STRESS` multiplies the scripts; `RIPCORD_SEED` runs one script only, many times. A failure prints its seed
//! and the shortest script found that still fails now and then.
#![cfg(not(feature = "loom"))]

mod common;
mod oracle;

use common::*;
use oracle::script::Step;
use oracle::threads::{DEEDS, Deed, run};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

const STEPS: usize = 60;

/// How often a script is run before it is said not to fail.
const AGAIN: usize = 100;

/// Attempts to make a failing script shorter.
const PATIENCE: usize = 300;

fn steps(seed: u64) -> Vec<Step> {
    let mut random = Random::new(seed);
    (0..STEPS).map(|_| random.next().to_le_bytes()).collect()
}

fn outcome(steps: &[Step], show: bool, done: &mut BTreeMap<Deed, usize>) -> Result<(), String> {
    let report = catch_unwind(AssertUnwindSafe(|| run(steps, show))).map_err(|_| "a panic, printed above")?;
    for (deed, times) in report.done {
        *done.entry(deed).or_default() += times;
    }
    report.outcome
}

#[track_caller]
fn check(seed: u64, times: usize, done: &mut BTreeMap<Deed, usize>) {
    let steps = steps(seed);
    for _ in 0..times {
        if let Err(fault) = outcome(&steps, false, done) {
            eprintln!("seed {seed}: {fault}; now to make it short");
            let fails = |steps: &[Step]| (0..AGAIN).any(|_| outcome(steps, false, &mut BTreeMap::new()).is_err());
            let short = oracle::shrink::shrink(&steps, PATIENCE, fails);
            println!("seed {seed}, made short:");
            let last = outcome(&short, true, done);
            panic!("seed {seed}: {fault}; made short, printed above, and this time: {last:?}");
        }
    }
}

#[test]
fn threads_keep_the_rules() {
    let mut done = BTreeMap::new();
    if let Ok(seed) = std::env::var("RIPCORD_SEED") {
        return check(seed.parse().unwrap(), stress(1_000), &mut done);
    }
    let scripts = stress(2_000);
    for seed in 0..scripts as u64 {
        check(seed, 1, &mut done);
    }
    for deed in DEEDS {
        assert!(done.get(deed).is_some_and(|times| *times >= scripts / 8), "{deed:?} is hardly ever done: {done:?}");
    }
}
