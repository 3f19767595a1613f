//! The real thing beside the model, and the comparison of the two.
#![cfg(not(feature = "loom"))]

use super::model::{Call, End, Id, Model};
use super::retention::{Fate, Retention};
use crate::common::*;
use ripcord::{AfterFunc, CancelHandle, Cause, Context, DoneOwned, Error};
use std::fmt::{Debug, Display, Write};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

/// A value of one of a few types.
#[derive(Debug)]
pub(crate) struct Key<const N: usize>(pub(crate) u32, #[expect(dead_code)] pub(crate) Probe);

pub(crate) const KEYS: usize = 4;

#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) done: DoneOwned,
    pub(crate) number: usize,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) model: Model,
    pub(crate) start: Instant,
    pub(crate) contexts: Vec<(Context, Id)>,
    pub(crate) handles: Vec<(CancelHandle, Id)>,
    pub(crate) waiting: Vec<Waiting>,
    /// The wakers of every waiter there was.
    pub(crate) wakers: Vec<Vec<(Arc<Wakes>, std::task::Waker)>>,
    pub(crate) stoppers: Vec<(AfterFunc, usize)>,
    pub(crate) functions: Vec<Arc<Tale>>,
    pub(crate) foreigns: Vec<Arc<Foreign<Cause>>>,
    /// The bindings whose drop has not been seen.
    pub(crate) bindings: Vec<(Id, Arc<Tale>)>,
    pub(crate) step: usize,
    /// Room for the text of a cause.
    text: String,
}

/// What differs, in words.
pub(crate) type Outcome = Result<(), String>;

fn same<T: PartialEq + Debug>(what: &str, about: impl Display, real: &T, model: &T) -> Outcome {
    if real == model { Ok(()) } else { Err(format!("{what} of {about}: is {real:?}, must be {model:?}")) }
}

/// The text with the clock taken out of every deadline.
fn without_clock(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(".WithDeadline(") {
        out.push_str(before);
        out.push_str(".WithDeadline");
        // In the name of a detached context the clock is left out already.
        rest = after.strip_prefix("..)").or_else(|| Some(after.split_once("])")?.1)).unwrap_or_default();
    }
    out + rest
}

impl World {
    pub(crate) fn new() -> World {
        let mut world = World {
            model: Model::default(),
            start: Instant::now(),
            contexts: Vec::new(),
            handles: Vec::new(),
            waiting: Vec::new(),
            wakers: Vec::new(),
            stoppers: Vec::new(),
            functions: Vec::new(),
            foreigns: Vec::new(),
            bindings: Vec::new(),
            step: 0,
            text: String::new(),
        };
        for (ctx, label) in [(Context::background(), "context.Background"), (Context::todo(), "context.TODO")] {
            let id = world.model.root(label);
            world.keep(ctx, id);
        }
        world
    }

    /// An hour away and more, told apart by seconds.
    pub(crate) fn far(&self, seconds: usize) -> Instant {
        self.start + Duration::from_secs(3600 + seconds as u64)
    }

    pub(crate) fn keep(&mut self, ctx: Context, id: Id) {
        self.model.all[id].held += 1;
        self.contexts.push((ctx, id));
    }

    pub(crate) fn keep_handle(&mut self, handle: CancelHandle, id: Id) {
        self.model.all[id].held += 1;
        self.handles.push((handle, id));
    }

    /// Compares everything that can be seen.
    pub(crate) fn compare(&mut self) -> Outcome {
        let deadlines = self.model.deadlines();
        for n in 0..self.contexts.len() {
            let deadline = deadlines[self.contexts[n].1];
            self.compare_context(n, deadline)?;
            if n == self.step % self.contexts.len() {
                self.compare_thoroughly(n, deadline)?;
            }
        }
        for (handle, id) in &self.handles {
            let end = self.model.end_of(*id);
            same("err by the handle", id, &handle.context().err(), &end.map(|end| end.error))?;
        }
        self.compare_wakes()?;
        self.compare_retention()?;
        self.step += 1;
        Ok(())
    }

    fn compare_context(&mut self, n: usize, deadline: Option<Instant>) -> Outcome {
        let mut text = std::mem::take(&mut self.text);
        let (ctx, id) = &self.contexts[n];
        let end = self.model.end_of(*id);
        same("is_done", id, &ctx.is_done(), &end.is_some())?;
        same("err", id, &ctx.err(), &end.map(|end| end.error))?;
        let cause = ctx.cause();
        same("kind of the cause", id, &cause.as_ref().map(Cause::error), &end.map(|end| end.error))?;
        text.clear();
        if let Some(cause) = &cause {
            write!(text, "{cause}").map_err(|error| error.to_string())?;
        }
        same("cause", id, &text.as_str(), &end.map_or("", |end| end.text.as_str()))?;
        same("deadline", id, &ctx.deadline(), &deadline)?;
        let found = [
            ctx.value::<Key<0>>().map(|key| key.0),
            ctx.value::<Key<1>>().map(|key| key.0),
            ctx.value::<Key<2>>().map(|key| key.0),
            ctx.value::<Key<3>>().map(|key| key.0),
        ];
        let bound: [Option<u32>; KEYS] = std::array::from_fn(|key| self.model.lookup(*id, key));
        same("values", id, &found, &bound)?;
        self.text = text;
        Ok(())
    }

    /// What takes longer to compare, of one context in each step.
    fn compare_thoroughly(&self, n: usize, deadline: Option<Instant>) -> Outcome {
        let (ctx, id) = &self.contexts[n];
        let error = self.model.end_of(*id).map(|end| end.error);
        same("display", id, &without_clock(&ctx.to_string()), &self.model.display(*id))?;
        same("done", id, &poll(&mut ctx.done()), &error.map_or(Poll::Pending, Poll::Ready))?;
        let remains = deadline.map(|at| at > Instant::now());
        same("remaining", id, &ctx.remaining().map(|left| left > Duration::ZERO), &remains)?;
        let (twin, twin_id) = &self.contexts[self.step / 3 % self.contexts.len()];
        same("equality", id, &(ctx == twin), &(id == twin_id))?;
        if self.step % 16 == 0 {
            same("wait_timeout", id, &ctx.wait_timeout(Duration::ZERO), &error)?;
        }
        Ok(())
    }

    fn compare_wakes(&self) -> Outcome {
        for (number, wakers) in self.wakers.iter().enumerate() {
            for (n, (wakes, _)) in wakers.iter().enumerate() {
                let about = format_args!("waiter {number}, waker {n}");
                same("wakes", about, &wakes.count(), &self.model.waiters[number].wakes[n])?;
            }
        }
        Ok(())
    }

    fn compare_retention(&mut self) -> Outcome {
        let mut retention = Retention::of(&self.model);
        let mut dropped_some = false;
        for (n, tale) in self.functions.iter().enumerate() {
            let seen = match (tale.runs(), tale.drops()) {
                (0, 0) => Call::Waiting,
                (1, 1) => Call::Run,
                (0, 1) => Call::Dropped,
                odd => return Err(format!("function {n} was (run, dropped) {odd:?} times")),
            };
            let function = &self.model.functions[n];
            if function.call == Call::Waiting && seen != Call::Run {
                let fate = retention.function(&self.model, n);
                check_fate("function", n, fate, seen == Call::Dropped)?;
                dropped_some |= seen == Call::Dropped;
                self.model.functions[n].call = seen;
            } else {
                same("function", n, &seen, &function.call)?;
            }
        }
        if dropped_some {
            // A function that has just gone keeps nothing any more.
            retention = Retention::of(&self.model);
        }
        let mut gone = Ok(());
        self.bindings.retain(|(id, tale)| {
            let dropped = tale.drops() > 0;
            if gone.is_ok() {
                gone = check_fate("value", *id, retention.value(*id), dropped);
            }
            !dropped
        });
        gone?;
        for (n, foreign) in self.foreigns.iter().enumerate() {
            let dropped = foreign.dropped();
            check_fate("future", n, retention.future(&self.model, n), dropped)?;
            if dropped {
                self.model.foreigns[n].finished = true;
            }
        }
        Ok(())
    }

    /// Lets everything go: then nothing may be left. The futures come first: one that waits for ever would keep what
    /// is registered below it.
    pub(crate) fn clear(&mut self) -> Outcome {
        for n in 0..self.foreigns.len() {
            self.model.complete(n, End { error: Error::Canceled, text: String::from("the end") });
            self.foreigns[n].complete("the end".into());
        }
        self.compare()?;
        for (_, id) in self.contexts.drain(..) {
            self.model.all[id].held -= 1;
        }
        for (_, id) in self.handles.drain(..) {
            self.model.all[id].held -= 1;
        }
        for waiting in self.waiting.drain(..) {
            self.model.waiters[waiting.number].armed = false;
            self.model.all[self.model.waiters[waiting.number].on].held -= 1;
        }
        for (_, n) in self.stoppers.drain(..) {
            self.model.functions[n].held = false;
        }
        self.compare_retention()?;
        self.compare_wakes()
    }
}

fn check_fate(what: &str, n: usize, fate: Fate, gone: bool) -> Outcome {
    match (fate, gone) {
        (Fate::Stays, true) => Err(format!("{what} {n} is gone and must still be there")),
        (Fate::Goes, false) => Err(format!("{what} {n} is still there and must be gone")),
        _ => Ok(()),
    }
}
