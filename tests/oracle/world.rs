//! The real thing beside the model, and the comparison of the two.
#![cfg(not(feature = "loom"))]

use super::model::{Call, Id, Model};
use super::retention::{Fate, Retention};
use crate::common::*;
use ripcord::{AfterFunc, CancelHandle, Cause, Context, DoneOwned};
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
}

/// What differs, in words.
pub(crate) type Outcome = Result<(), String>;

fn same<T: PartialEq + std::fmt::Debug>(what: &str, about: &str, real: &T, model: &T) -> Outcome {
    if real == model { Ok(()) } else { Err(format!("{what} of {about}: is {real:?}, must be {model:?}")) }
}

/// The text with the clock taken out of every deadline.
fn without_clock(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(".WithDeadline(") {
        out.push_str(before);
        out.push_str(".WithDeadline");
        rest = after.split_once("])").map_or("", |(_, tail)| tail);
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
        for n in 0..self.contexts.len() {
            self.compare_context(n, n == self.step % self.contexts.len())?;
        }
        for (handle, id) in &self.handles {
            let end = self.model.end_of(*id);
            same("err by the handle", &id.to_string(), &handle.context().err(), &end.map(|end| end.error))?;
        }
        self.compare_wakes()?;
        self.compare_retention()?;
        self.step += 1;
        Ok(())
    }

    fn compare_context(&self, n: usize, thoroughly: bool) -> Outcome {
        let (ctx, id) = &self.contexts[n];
        let about = id.to_string();
        let end = self.model.end_of(*id);
        same("is_done", &about, &ctx.is_done(), &end.is_some())?;
        same("err", &about, &ctx.err(), &end.map(|end| end.error))?;
        let cause = ctx.cause();
        same("kind of the cause", &about, &cause.as_ref().map(Cause::error), &end.map(|end| end.error))?;
        same("cause", &about, &cause.map(|cause| cause.to_string()), &end.map(|end| end.text.clone()))?;
        same("deadline", &about, &ctx.deadline(), &self.model.deadline(*id))?;
        let found = [
            ctx.value::<Key<0>>().map(|key| key.0),
            ctx.value::<Key<1>>().map(|key| key.0),
            ctx.value::<Key<2>>().map(|key| key.0),
            ctx.value::<Key<3>>().map(|key| key.0),
        ];
        let bound: [Option<u32>; KEYS] = std::array::from_fn(|key| self.model.lookup(*id, key));
        same("values", &about, &found, &bound)?;
        if thoroughly {
            same("display", &about, &without_clock(&ctx.to_string()), &self.model.display(*id))?;
            same("wait_timeout", &about, &ctx.wait_timeout(Duration::ZERO), &end.map(|end| end.error))?;
            let poll = end.map_or(Poll::Pending, |end| Poll::Ready(end.error));
            same("done", &about, &poll_once(ctx), &poll)?;
            let remains = self.model.deadline(*id).map(|at| at > Instant::now());
            same("remaining", &about, &ctx.remaining().map(|left| left > Duration::ZERO), &remains)?;
            let (twin, twin_id) = &self.contexts[self.step / 3 % self.contexts.len()];
            same("equality", &about, &(ctx == twin), &(id == twin_id))?;
        }
        Ok(())
    }

    fn compare_wakes(&self) -> Outcome {
        for (number, wakers) in self.wakers.iter().enumerate() {
            for (n, (wakes, _)) in wakers.iter().enumerate() {
                let about = format!("waiter {number}, waker {n}");
                same("wakes", &about, &wakes.count(), &self.model.waiters[number].wakes[n])?;
            }
        }
        Ok(())
    }

    fn compare_retention(&mut self) -> Outcome {
        let retention = Retention::of(&self.model);
        for (n, tale) in self.functions.iter().enumerate() {
            let seen = match (tale.runs(), tale.drops()) {
                (0, 0) => Call::Waiting,
                (1, 1) => Call::Run,
                (0, 1) => Call::Dropped,
                odd => return Err(format!("function {n} was (run, dropped) {odd:?} times")),
            };
            let function = &mut self.model.functions[n];
            if function.call == Call::Waiting && seen != Call::Run {
                let on = function.on;
                let fate = retention.function(&self.model, on);
                check_fate("function", n, fate, seen == Call::Dropped)?;
                self.model.functions[n].call = seen;
            } else {
                same("function", &n.to_string(), &seen, &function.call)?;
            }
        }
        // A function that has just gone keeps nothing any more.
        let retention = Retention::of(&self.model);
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

    /// Lets everything go: then nothing may be left.
    pub(crate) fn clear(&mut self) -> Outcome {
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
        self.stoppers.clear();
        self.compare_retention()?;
        self.compare_wakes()
    }
}

fn poll_once(ctx: &Context) -> Poll<ripcord::Error> {
    poll(&mut ctx.done())
}

fn check_fate(what: &str, n: usize, fate: Fate, gone: bool) -> Outcome {
    match (fate, gone) {
        (Fate::Stays, true) => Err(format!("{what} {n} is gone and must still be there")),
        (Fate::Goes, false) => Err(format!("{what} {n} is still there and must be gone")),
        _ => Ok(()),
    }
}
