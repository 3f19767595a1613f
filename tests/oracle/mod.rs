//! The oracle: what the public surface must show, worked out by a plain sequential model (`model`, `retention`), and a
//! world that drives the real thing beside it (`steps` and below) and compares the two after every step (`compare`).
//!
//! Scripts are bytes (`script`): the tests make them of random numbers, `fuzz/` is given them. Real time is left out
//! (`clock`): it stands, and passes in steps of its own; or deadlines are past, or an hour away, or never. What is called
//! and dropped may panic (`blast`).
#![cfg(not(feature = "loom"))]
#![allow(dead_code)] // each of its users uses another part of it

pub(crate) mod blast;
pub(crate) mod clock;
pub(crate) mod compare;
pub(crate) mod derive;
pub(crate) mod handles;
pub(crate) mod model;
pub(crate) mod retention;
pub(crate) mod script;
pub(crate) mod shrink;
pub(crate) mod steps;
pub(crate) mod threads;
pub(crate) mod waits;
pub(crate) mod world;

use blast::Who;
use script::{Script, Step, Told};
use std::collections::BTreeMap;
use steps::What;
use world::{Outcome, World};

/// What a run of a script has shown.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) told: Told,
    /// How often each operation was done.
    pub(crate) done: BTreeMap<What, usize>,
    /// How many contexts ended as time passed.
    pub(crate) fired: usize,
    /// How often what panicked.
    pub(crate) panics: BTreeMap<Who, usize>,
    pub(crate) outcome: Outcome,
}

/// Runs a script, and lets everything go at the end.
pub(crate) fn run(steps: &[Step], told: Told) -> Report {
    let mut script = Script::new(told);
    let mut world = World::new();
    let mut done = BTreeMap::new();
    let outcome = run_steps(steps, &mut script, &mut world, &mut done);
    Report { told: script.told, done, fired: world.fired, panics: world.fuses.count(), outcome }
}

fn run_steps(steps: &[Step], script: &mut Script, world: &mut World, done: &mut BTreeMap<What, usize>) -> Outcome {
    for step in steps {
        if let Some(what) = steps::step(world, script, *step)? {
            *done.entry(what).or_default() += 1;
        }
        world.compare()?;
    }
    script.tell(|| String::from("let everything go"));
    world.clear()
}
