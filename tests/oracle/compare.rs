//! The comparison of the real thing with the model, after each step.
#![cfg(not(feature = "loom"))]

use super::clock::now;
use super::model::{Call, Id, When};
use super::retention::{Fate, Retention};
use super::world::{KEYS, Key, Outcome, World};
use crate::common::*;
use ripcord::{Cause, Context, Error};
use std::fmt::{Debug, Display, Write};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::task::Poll;
use std::time::Duration;

/// Wakers of ended waiters are looked at only while there are fewer.
const WAKERS: usize = 32;

pub(crate) fn same<T: PartialEq + Debug>(what: &str, about: impl Display, real: &T, model: &T) -> Outcome {
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

fn hash(value: &impl std::hash::Hash) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(value)
}

impl World {
    /// Compares what can be seen: the ends after each step, the rest now and then, for it does not go away.
    pub(crate) fn compare(&mut self) -> Outcome {
        self.step += 1;
        if self.step % 4 == 0 { self.compare_everything() } else { self.compare_ends() }
    }

    /// Also what takes longer.
    pub(crate) fn compare_everything(&mut self) -> Outcome {
        self.compare_ends()?;
        self.compare_retention()?;
        let deadlines = self.model.deadlines();
        for n in 0..self.contexts.len() {
            self.compare_context(n, deadlines[self.contexts[n].1])?;
        }
        if !self.contexts.is_empty() {
            let n = self.step / 4 % self.contexts.len();
            self.compare_thoroughly(n, deadlines[self.contexts[n].1])?;
        }
        for (handle, id) in &self.handles {
            let end = self.model.end_of(*id);
            same("err by the handle", id, &handle.context().err(), &end.map(|end| end.error))?;
        }
        self.compare_handles()?;
        self.compare_wakes()
    }

    /// Who has ended, who has run.
    pub(crate) fn compare_ends(&mut self) -> Outcome {
        self.fuses.fault()?;
        // What went may have ended others.
        self.take_leave();
        for (n, tale) in self.functions.iter().enumerate() {
            let seen = match (tale.runs(), tale.drops()) {
                (0, 0) => Call::Waiting,
                (1, 1) => Call::Run,
                (0, 1) => Call::Dropped,
                odd => return Err(format!("function {n} was (run, dropped) {odd:?} times")),
            };
            if seen != self.model.functions[n].call {
                return same("function", n, &seen, &self.model.functions[n].call);
            }
        }
        (0..self.contexts.len()).try_for_each(|n| self.compare_end(n))
    }

    fn compare_end(&self, n: usize) -> Outcome {
        let (ctx, id) = &self.contexts[n];
        let error = self.model.end_of(*id).map(|end| end.error);
        same("is_done", id, &ctx.is_done(), &error.is_some())?;
        same("err", id, &ctx.err(), &error)?;
        same("kind of the cause", id, &ctx.cause().as_ref().map(Cause::error), &error)
    }

    fn compare_context(&mut self, n: usize, deadline: Option<When>) -> Outcome {
        let mut text = std::mem::take(&mut self.text);
        let (ctx, id) = &self.contexts[n];
        let end = self.model.end_of(*id);
        text.clear();
        if let Some(cause) = ctx.cause() {
            write!(text, "{cause}").map_err(|error| error.to_string())?;
            let number = cause.downcast_ref::<Oops>().map(|oops| format!("oops {}", oops.0));
            same("type of the cause", id, &number.is_some(), &text.starts_with("oops "))?;
        }
        same("cause", id, &text.as_str(), &end.map_or("", |end| end.text.as_str()))?;
        compare_deadline(ctx, *id, deadline)?;
        let found = [
            ctx.value::<Key<0>>().map(|key| key.0),
            ctx.value::<Key<1>>().map(|key| key.0),
            ctx.value::<Key<2>>().map(|key| key.0),
            ctx.value::<Key<3>>().map(|key| key.0),
        ];
        let bound: [Option<u32>; KEYS] = std::array::from_fn(|key| self.model.lookup(*id, key));
        same("values", id, &found, &bound)?;
        same("a value that nobody binds", id, &ctx.value::<Oops>().is_some(), &false)?;
        self.text = text;
        Ok(())
    }

    /// What takes longer to compare, of one context in each step.
    fn compare_thoroughly(&self, n: usize, deadline: Option<When>) -> Outcome {
        let (ctx, id) = &self.contexts[n];
        let end = self.model.end_of(*id);
        let error = end.map(|end| end.error);
        let name = self.model.display(*id);
        same("display", id, &without_clock(&ctx.to_string()), &name)?;
        let state = match end {
            None => String::from("live"),
            Some(end) => format!("{:?}, cause: {}", end.error, end.text),
        };
        let debug = format!("Context {{ made: {name}, state: {state} }}");
        same("debug", id, &without_clock(&format!("{ctx:?}")), &debug)?;
        same("done", id, &poll(&mut ctx.done()), &error.map_or(Poll::Pending, Poll::Ready))?;
        let before = now();
        let remains = ctx.remaining();
        same("whether anything remains", id, &remains.is_some(), &deadline.is_some())?;
        if let (Some(left), Some(deadline)) = (remains, deadline) {
            let most = deadline.to.saturating_duration_since(before);
            let least = deadline.from.saturating_duration_since(now());
            if left < least || left > most {
                return Err(format!("remaining of {id}: is {left:?}, must be {least:?} to {most:?}"));
            }
        }
        let (twin, twin_id) = &self.contexts[self.step / 3 % self.contexts.len()];
        same("equality", id, &(ctx == twin), &(id == twin_id))?;
        same("hash", id, &(hash(ctx) == hash(twin)), &(id == twin_id))
    }

    fn compare_handles(&self) -> Outcome {
        if self.handles.is_empty() {
            return Ok(());
        }
        let (handle, id) = &self.handles[self.step % self.handles.len()];
        let (twin, twin_id) = &self.handles[self.step / 3 % self.handles.len()];
        same("equality of handles", id, &(handle == twin), &(id == twin_id))?;
        same("hash of handles", id, &(hash(handle) == hash(twin)), &(id == twin_id))?;
        if let Some((ctx, ctx_id)) = self.contexts.get(self.step % self.contexts.len().max(1)) {
            same("the handle's context", id, &(handle.context() == ctx), &(id == ctx_id))?;
        }
        Ok(())
    }

    fn compare_wakes(&self) -> Outcome {
        let few = self.wakers.len().saturating_sub(WAKERS);
        for (number, wakers) in self.wakers.iter().enumerate().skip(few) {
            for (n, (wakes, _)) in wakers.iter().enumerate() {
                let about = format_args!("waiter {number}, waker {n}");
                same("wakes", about, &wakes.count(), &self.model.waiters[number].wakes[n])?;
            }
        }
        Ok(())
    }

    /// What has been dropped that may be: the model hears of it, for it may have kept, or may end, other things.
    fn take_leave(&mut self) {
        loop {
            let waits = |n: usize| self.model.functions[n].call == Call::Waiting;
            let functions: Vec<usize> =
                (0..self.functions.len()).filter(|n| waits(*n) && self.functions[*n].is_dropped_unrun()).collect();
            if functions.is_empty() && self.bindings.iter().all(|(_, tale)| tale.drops() == 0) {
                return;
            }
            let retention = Retention::of(&self.model);
            let mut went = false;
            for n in functions {
                if retention.function(&self.model, n) != Fate::Stays {
                    self.model.drop_function(n);
                    went = true;
                }
            }
            let mut gone = Vec::new();
            self.bindings.retain(|(id, tale)| {
                let goes = tale.drops() > 0 && retention.value(*id) != Fate::Stays;
                gone.extend(goes.then_some(*id));
                !goes
            });
            for id in gone {
                self.model.drop_value(id);
                went = true;
            }
            if !went {
                return;
            }
        }
    }

    /// What must have gone, and what must not.
    fn compare_retention(&mut self) -> Outcome {
        let retention = Retention::of(&self.model);
        for n in 0..self.functions.len() {
            if self.model.functions[n].call == Call::Waiting {
                check_fate("function", n, retention.function(&self.model, n), false)?;
            }
        }
        for (id, tale) in &self.bindings {
            check_fate("value", *id, retention.value(*id), tale.drops() > 0)?;
        }
        for (n, foreign) in self.foreigns.iter().enumerate() {
            let dropped = foreign.dropped();
            check_fate("future", n, retention.future(&self.model, n), dropped)?;
            if dropped {
                self.model.foreigns[n].finished = true;
            }
        }
        for (after, n) in &self.stoppers {
            let waits = self.model.functions[*n].call == Call::Waiting;
            same("function's debug", n, &format!("{after:?}").contains("true"), &waits)?;
        }
        Ok(())
    }
}

fn compare_deadline(ctx: &Context, id: Id, deadline: Option<When>) -> Outcome {
    match (ctx.deadline(), deadline) {
        (None, None) => Ok(()),
        (Some(at), Some(when)) if when.may_be(at) => Ok(()),
        (is, must) => Err(format!("deadline of {id}: is {is:?}, must be {must:?}")),
    }
}

fn check_fate(what: &str, n: usize, fate: Fate, gone: bool) -> Outcome {
    match (fate, gone) {
        (Fate::Stays, true) => Err(format!("{what} {n} is gone and must still be there")),
        (Fate::Goes, false) => Err(format!("{what} {n} is still there and must be gone")),
        _ => Ok(()),
    }
}

/// What `wait` and `wait_timeout` must say at once.
pub(crate) fn compare_waits(ctx: &Context, id: Id, error: Option<Error>) -> Outcome {
    same("wait_timeout", id, &ctx.wait_timeout(Duration::ZERO), &error)?;
    if error.is_some() {
        same("wait", id, &Some(ctx.wait()), &error)?;
        same("wait_timeout, as long as it takes", id, &ctx.wait_timeout(Duration::MAX), &error)?;
    }
    Ok(())
}
