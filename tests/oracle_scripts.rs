//! Seeded random scripts of everything a sequential program can do, compared with the oracle after every step.
//!
//! `RIPCORD_STRESS` multiplies the scripts; `RIPCORD_SEED` runs one script only. A mismatch prints its seed and the
//! script up to there.
#![cfg(not(feature = "loom"))]

mod common;
mod oracle;

use common::*;
use oracle::steps::{Script, step};
use oracle::world::World;
use std::panic::{AssertUnwindSafe, catch_unwind};

const STEPS: usize = 100;

fn run(seed: u64, told: Option<Vec<String>>) -> (Script, Result<(), String>) {
    let mut script = Script { random: Random::new(seed), told };
    let result = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new();
        for _ in 0..STEPS {
            step(&mut world, &mut script)?;
            world.compare()?;
        }
        world.clear()
    }));
    let result = result.unwrap_or_else(|_| Err(String::from("a panic, printed above")));
    (script, result)
}

#[track_caller]
fn check(seed: u64) {
    if let (_, Err(_)) = run(seed, None) {
        let (script, result) = run(seed, Some(Vec::new()));
        let steps = script.told.unwrap_or_default().join("\n  ");
        panic!("seed {seed}: {}\n  {steps}", result.err().unwrap_or_else(|| String::from("only the first time")));
    }
}

fn scripts(first: u64) {
    if let Ok(seed) = std::env::var("RIPCORD_SEED") {
        return check(seed.parse().unwrap());
    }
    for n in 0..stress(1_000) as u64 {
        check(first + n);
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
