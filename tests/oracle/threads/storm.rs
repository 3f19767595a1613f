//! All threads at one small tree at the same moment: rules G3 and A1 where they are hard to keep.
//!
//! A chain of contexts, each with a crowd of children and functions below it, so that a cancel takes its time. Each
//! thread has one part: it cancels one of the contexts, stops the functions, or adds to the tree. Whoever has canceled
//! looks at once, at what a walk comes to last; everybody's answers are held against each other when all are through.
#![cfg(not(feature = "loom"))]

use super::crowd::Shared;
use crate::common::*;
use crate::oracle::clock::now;
use crate::oracle::script::Step;
use ripcord::{AfterFunc, CancelHandle, Context};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::{hint, mem, thread};

/// A function looks at so many of its crowd.
const GLANCE: usize = 32;

#[derive(Debug)]
struct Level {
    ctx: Context,
    handle: CancelHandle,
    crowd: Arc<Vec<Context>>,
}

#[derive(Debug)]
struct Registered {
    level: usize,
    tale: Arc<Tale>,
    after: AfterFunc,
    /// How often it was to be stopped, and how often the answer was that it is.
    asked: AtomicUsize,
    stopped: AtomicUsize,
}

#[derive(Debug, Clone, Copy)]
enum Part {
    Cancel(usize, How),
    Stop { last_first: bool },
    Add(usize),
}

#[derive(Debug, Clone, Copy)]
enum How {
    Plain,
    Cause,
    Guard,
    Deadline,
}

/// What was added while it went on.
#[derive(Debug, Default)]
struct Added {
    functions: Vec<Registered>,
    /// And the level above each.
    children: Vec<(usize, Context)>,
}

#[derive(Debug)]
pub(crate) struct Storm {
    levels: Vec<Level>,
    functions: Vec<Registered>,
    added: Mutex<Added>,
    parts: Vec<Part>,
    arrived: AtomicUsize,
}

impl Storm {
    /// The storms that the first step of a script speaks of; none, if it is zeros.
    pub(crate) fn of(step: Option<&Step>, threads: usize, shared: &Shared) -> Vec<Storm> {
        let step = step.copied().unwrap_or_default();
        let mut random = Random::new(u64::from_le_bytes(step));
        (0..step[5] % 4).map(|_| Storm::new(&mut random, threads, shared)).collect()
    }

    fn new(random: &mut Random, threads: usize, shared: &Shared) -> Storm {
        let (elsewhere, _) = Context::background().with_cancel();
        let mut levels: Vec<Level> = Vec::new();
        for _ in 0..1 + random.below(3) {
            let above = levels.last().map_or_else(Context::background, |level| level.ctx.clone());
            // A merge is linked in another way.
            let merged = random.below(4) == 0;
            let (ctx, handle) = if merged { elsewhere.with_cancel_from(&above) } else { above.with_cancel() };
            let many = 16 << random.below(6);
            let crowd = (0..many).map(|_| ctx.with_cancel().0).collect();
            levels.push(Level { ctx, handle, crowd: Arc::new(crowd) });
        }
        let functions = (0..random.below(48)).map(|_| register(&levels, random.below(levels.len()), shared));
        let functions = functions.collect();
        let parts = (0..threads).map(|n| part(random, n == 0, levels.len())).collect();
        Storm { levels, functions, added: Mutex::default(), parts, arrived: AtomicUsize::new(0) }
    }

    /// The part of one thread, begun when all have come.
    pub(crate) fn play(&self, thread: usize, shared: &Shared) {
        self.arrived.fetch_add(1, SeqCst);
        let mut spins = 0_u32;
        while self.arrived.load(SeqCst) < self.parts.len() {
            spins += 1;
            if spins % 256 == 0 {
                // There may be fewer cores than threads.
                thread::yield_now();
            } else {
                hint::spin_loop();
            }
        }
        match self.parts[thread] {
            Part::Cancel(level, how) => self.cancel(level, how, shared),
            Part::Stop { last_first: false } => self.functions.iter().for_each(|function| function.stop(shared)),
            Part::Stop { last_first: true } => self.functions.iter().rev().for_each(|function| function.stop(shared)),
            Part::Add(level) => self.add(level, shared),
        }
    }

    /// G3: when it returns, everything that was there before it began has ended, whoever else is at it.
    fn cancel(&self, level: usize, how: How, shared: &Shared) {
        let handle = self.levels[level].handle.clone();
        let all = match how {
            How::Plain => {
                handle.cancel();
                true
            }
            How::Cause => {
                handle.cancel_cause("a storm");
                true
            }
            How::Guard => {
                drop(handle.drop_guard());
                true
            }
            // One that finds the context ended does not help.
            How::Deadline => handle.reset_deadline(now()),
        };
        // What a walk comes to last is asked first, before anything else is done.
        for below in self.levels[level..].iter().rev().filter(|_| all) {
            let live = below.crowd.iter().rev().filter(|child| !child.is_done()).count();
            shared.expect(live == 0 && below.ctx.is_done(), || {
                format!("{how:?} of a level returned, and {live} of {} children below live", below.crowd.len())
            });
        }
        shared.expect(self.levels[level].ctx.is_done(), || format!("{how:?} returned, and its context lives"));
    }

    fn add(&self, level: usize, shared: &Shared) {
        let mut mine = Added::default();
        for _ in 0..24 {
            let was_done = self.levels[level].ctx.is_done();
            let (child, _) = self.levels[level].ctx.with_cancel();
            shared.expect(!was_done || child.is_done(), || "a child of an ended context was born live".into());
            mine.children.push((level, child));
            let function = register(&self.levels, level, shared);
            shared
                .expect(!was_done || function.tale.has_run(), || "registered after the end, and it did not run".into());
            mine.functions.push(function);
        }
        let mut added = self.added.lock().unwrap_or_else(PoisonError::into_inner);
        added.functions.append(&mut mine.functions);
        added.children.append(&mut mine.children);
    }

    /// All threads are through.
    pub(crate) fn check(self, shared: &Shared) {
        let Added { mut functions, children } =
            mem::take(&mut *self.added.lock().unwrap_or_else(PoisonError::into_inner));
        functions.extend(self.functions);
        // Somebody canceled that level, and nobody one above it.
        let canceled = self.parts.iter().filter_map(|part| match part {
            Part::Cancel(level, _) => Some(*level),
            _ => None,
        });
        let top = canceled.min().unwrap_or(self.levels.len());
        for (n, level) in self.levels.iter().enumerate() {
            let wrong = level.crowd.iter().chain([&level.ctx]).filter(|ctx| ctx.is_done() != (n >= top)).count();
            shared.expect(wrong == 0, || format!("{wrong} contexts at level {n}, canceled from {top} on"));
        }
        for (n, child) in &children {
            shared.expect(child.is_done() == (*n >= top), || format!("a new child of {n}, canceled from {top} on"));
        }
        functions.iter().for_each(|function| function.check(function.level >= top, shared));
        // The rest goes too; nothing that a function keeps stays behind.
        self.levels[0].handle.cancel();
        functions.iter().for_each(|function| function.check(true, shared));
    }
}

fn part(random: &mut Random, first: bool, levels: usize) -> Part {
    let level = random.below(levels);
    match random.below(8) {
        2 | 3 if !first => Part::Stop { last_first: random.below(2) == 0 },
        4 if !first => Part::Add(level),
        5 => Part::Cancel(level, How::Cause),
        6 => Part::Cancel(level, How::Guard),
        7 => Part::Cancel(level, How::Deadline),
        _ => Part::Cancel(level, How::Plain),
    }
}

/// A function that looks round when it runs: A1, after the end; A2, after the end of everything below.
fn register(levels: &[Level], level: usize, shared: &Shared) -> Registered {
    let tale = Tale::new();
    let reports = tale.function();
    let (ctx, crowd) = (&levels[level].ctx, Arc::clone(&levels[level].crowd));
    let faults = Arc::clone(&shared.faults);
    let seen = crowd[0].clone();
    let after = ctx.after_func(move || {
        let live = crowd.iter().rev().take(GLANCE).chain([&seen]).filter(|child| !child.is_done()).count();
        if live > 0 {
            faults.lock().unwrap().push(format!("a function runs, and {live} contexts live beside it"));
        }
        reports();
    });
    Registered { level, tale, after, asked: AtomicUsize::new(0), stopped: AtomicUsize::new(0) }
}

impl Registered {
    fn stop(&self, shared: &Shared) {
        self.asked.fetch_add(1, SeqCst);
        if self.after.stop() {
            self.stopped.fetch_add(1, SeqCst);
            shared.expect(self.tale.is_dropped_unrun(), || format!("stopped, and yet {:?}", self.tale));
        }
    }

    /// A1: stopped by one and dropped, or called once after the end, or waiting for it, and the answers say so.
    fn check(&self, ended: bool, shared: &Shared) {
        let asked = self.asked.load(SeqCst) > 0;
        let fine = match (self.stopped.load(SeqCst), ended) {
            (0, true) => self.tale.has_run(),
            (0, false) => self.tale.is_waiting() && !asked,
            (1, _) => self.tale.is_dropped_unrun() && asked,
            _ => false,
        };
        shared.expect(fine, || format!("ended: {ended}, {self:?}"));
    }
}
