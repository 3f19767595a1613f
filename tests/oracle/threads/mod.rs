//! Scripts for several threads on one tree. Nobody foretells what they do; what must hold in every order is checked
//! while they run (`deeds`), and when they are through (`finish`).
//!
//! The first step says how many threads there are, how they share, and in how many storms they meet before that (`storm`); the next few build a tree; the rest is dealt out.
#![cfg(not(feature = "loom"))]

mod calls;
mod crowd;
mod deeds;
mod finish;
mod fruit;
mod storm;

use super::script::{Script, Step, Told};
use super::world::Outcome;
use crowd::Shared;
use deeds::Worker;
#[allow(unused_imports)] // for the tests alone
pub(crate) use deeds::{DEEDS, Deed};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::{mem, thread};
use storm::Storm;

/// The shape of a run.
#[derive(Debug, Clone, Copy)]
struct Shape {
    threads: usize,
    /// Steps that build the tree.
    setup: usize,
    /// Every thread gets clones of everything; else each context goes to one of them.
    clones: bool,
    /// At the end the root is canceled; else everything is just dropped, and no deadline is far away.
    cancels: bool,
    /// Threads drop what they have when they are through; else it is looked at first.
    drops: bool,
}

impl Shape {
    fn of(step: Option<&Step>) -> Shape {
        let step = step.copied().unwrap_or_default();
        Shape {
            threads: 2 + usize::from(step[0] % 3),
            setup: 1 + usize::from(step[1] % 8),
            clones: step[2] % 2 == 0,
            cancels: step[3] % 2 == 0,
            drops: step[4] % 2 == 1,
        }
    }
}

/// How often each deed was done, and what is wrong.
#[derive(Debug)]
pub(crate) struct ThreadsReport {
    pub(crate) done: BTreeMap<Deed, usize>,
    pub(crate) outcome: Outcome,
}

/// Runs a script on threads of its own.
pub(crate) fn run(steps: &[Step], show: bool) -> ThreadsReport {
    let shape = Shape::of(steps.first());
    let told = || if show { Told::Printed } else { Told::Nobody };
    if show {
        println!("  {shape:?}");
    }
    let shared = Shared::new(shape.cancels);
    let rest = steps.get(1..).unwrap_or_default();
    let (setup, rest) = rest.split_at(shape.setup.min(rest.len()));
    let mut builder = Worker::new(&shared, 0, Script::new(told()));
    let root = builder.plant();
    for step in setup {
        builder.step(*step);
    }
    let mut workers: Vec<Worker<'_>> =
        (1..=shape.threads).map(|number| Worker::new(&shared, number, Script::new(told()))).collect();
    for (n, fruit) in mem::take(&mut builder.fruits).into_iter().enumerate() {
        if shape.clones {
            workers.iter_mut().for_each(|worker| worker.fruits.push(fruit.clone()));
        } else {
            workers[n % shape.threads].fruits.push(fruit);
        }
    }
    let root = root.filter(|_| shape.cancels);
    let ready = AtomicUsize::new(0);
    let storms = Storm::of(steps.first(), shape.threads, &shared);
    let mut workers: Vec<Worker<'_>> = thread::scope(|scope| {
        let threads: Vec<_> = workers
            .into_iter()
            .enumerate()
            .map(|(n, mut worker)| {
                let (ready, storms, shared) = (&ready, &storms, &shared);
                scope.spawn(move || {
                    // All at once, as far as that goes.
                    ready.fetch_add(1, SeqCst);
                    while ready.load(SeqCst) < shape.threads {
                        thread::yield_now();
                    }
                    storms.iter().for_each(|storm| storm.play(n, shared));
                    for step in rest.iter().skip(n).step_by(shape.threads) {
                        worker.step(*step);
                    }
                    if shape.drops {
                        worker.fruits.clear();
                    }
                    worker
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread of the script panicked")).collect()
    });
    workers.push(builder);
    storms.into_iter().for_each(|storm| storm.check(&shared));
    let mut done: BTreeMap<Deed, usize> = BTreeMap::new();
    for worker in &workers {
        for (deed, times) in &worker.done {
            *done.entry(*deed).or_default() += times;
        }
    }
    // Once something is wrong nothing is waited for any more.
    if shared.faults.lock().unwrap().is_empty() {
        finish::finish(&shared, workers, root);
    }
    let faults = mem::take(&mut *shared.faults.lock().unwrap());
    let outcome = if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) };
    ThreadsReport { done, outcome }
}
