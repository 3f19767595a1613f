//! The frame of every model, and how a function fares.

pub(crate) use crate::instruments::{Count, root};

use ripcord::loom_support;
use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::thread::{self, JoinHandle};
use shuttle::{Config, MaxSteps, Runner};
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

/// Preemptions that PCT plants in one run.
const DEPTHS: [usize; 2] = [3, 8];

/// Runs `model` in so many random orders, and in as many with few preemptions. Fails if a run fails, leaks, or does not
/// come to an end.
pub(crate) fn explore(name: &str, model: impl Fn() + Send + Sync + 'static) {
    let framed = Arc::new(move || {
        // Makes the timers, which stay until the run is over: not to be counted as left behind.
        ripcord::after_fork_child();
        loom_support::begin();
        model();
        loom_support::end();
    });
    if let Ok(schedule) = std::env::var("RIPCORD_SHUTTLE_REPLAY") {
        let framed = framed.clone();
        return shuttle::replay(move || framed(), &schedule);
    }
    let times = std::env::var("RIPCORD_SHUTTLE").map_or(200, |text| text.parse().expect("a number of runs"));
    run(name, "random", times, RandomScheduler::new(times), &framed);
    for depth in DEPTHS {
        run(name, &format!("PCT {depth}"), times / 2, PctScheduler::new(depth, times / 2), &framed);
    }
}

fn run<M: Fn() + Send + Sync + 'static>(
    name: &str,
    how: &str,
    times: usize,
    scheduler: impl Scheduler + 'static,
    model: &Arc<M>,
) {
    let mut config = Config::new();
    config.stack_size = 0x4_0000;
    config.max_steps = MaxSteps::FailAfter(1_000_000);
    config.silence_warnings = true;
    let start = Instant::now();
    let model = model.clone();
    let runs = Runner::new(scheduler, config).run(move || model());
    // Past the capture of the test frame: the figures are the point.
    let line = format!("{name:<44} {how:<8} {runs:>8} runs {:>7.1} s\n", start.elapsed().as_secs_f32());
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    assert_eq!(runs, times, "{name}: cut short");
}

/// Threads of one model; all are joined, and their panics go on.
#[derive(Default)]
pub(crate) struct Crew(Vec<JoinHandle<()>>);

impl Crew {
    pub(crate) fn spawn(&mut self, f: impl FnOnce() + Send + 'static) {
        self.0.push(thread::spawn(f));
    }

    pub(crate) fn join(self) {
        for thread in self.0 {
            thread.join().unwrap();
        }
    }
}

/// A number below `n`, drawn from the schedule, so that a replay draws the same.
pub(crate) fn below(n: usize) -> usize {
    thread_rng().gen_range(0..n)
}

/// A function as its owner sees it: how often it ran, and whether it is gone.
#[derive(Clone, Default)]
pub(crate) struct Call {
    pub(crate) runs: Count,
    pub(crate) drops: Count,
}

impl Call {
    /// The function to register; it does `f` too.
    pub(crate) fn function(&self, f: impl FnOnce() + Send + 'static) -> impl FnOnce() + Send + 'static {
        let (runs, token) = (self.runs.clone(), self.drops.token());
        move || {
            let _token = token;
            runs.up();
            f();
        }
    }

    /// Something whose drop counts, and that never runs.
    pub(crate) fn token(&self) -> impl Send + Sync + 'static {
        self.drops.token()
    }

    pub(crate) fn has_run(&self) -> bool {
        (self.runs.get(), self.drops.get()) == (1, 1)
    }

    pub(crate) fn is_dropped_unrun(&self) -> bool {
        (self.runs.get(), self.drops.get()) == (0, 1)
    }

    pub(crate) fn is_waiting(&self) -> bool {
        (self.runs.get(), self.drops.get()) == (0, 0)
    }
}
