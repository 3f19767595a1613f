//! The tree as it should be: indices into vectors, no atomics, no sharing, nothing clever.
//!
//! A vertex is a context; a parent always has a smaller index than its children. Vertices are never removed: who still
//! holds what is counted in `held`, and `retention` works out what that keeps alive.
#![cfg(not(feature = "loom"))]

use ripcord::Error;
use std::time::{Duration, Instant};

pub(crate) type Id = usize;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) error: Error,
    /// What the cause displays.
    pub(crate) text: String,
}

impl End {
    pub(crate) fn plain(error: Error) -> End {
        End { error, text: error.to_string() }
    }
}

/// An instant that is known to lie between two others; the same one twice if it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct When {
    pub(crate) from: Instant,
    pub(crate) to: Instant,
}

impl When {
    pub(crate) fn exactly(at: Instant) -> When {
        When { from: at, to: at }
    }
    fn earlier(self, other: When) -> When {
        When { from: self.from.min(other.from), to: self.to.min(other.to) }
    }
    pub(crate) fn may_be(&self, at: Instant) -> bool {
        self.from <= at && at <= self.to
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Background, todo, or what `without_cancel` gives: never ends.
    Base,
    /// Ends with its parent; binds a value.
    Value { key: usize, number: u32 },
    /// Has an end of its own.
    Node,
}

#[derive(Debug)]
pub(crate) struct Vertex {
    pub(crate) kind: Kind,
    /// What `Display` adds for this one; empty: a cancel or a deadline, as it stands.
    pub(crate) label: String,
    pub(crate) parent: Option<Id>,
    pub(crate) other: Option<Id>,
    /// The context at or above this one whose end it shares; none if it never ends.
    pub(crate) node: Option<Id>,
    pub(crate) end: Option<End>,
    pub(crate) deadline: Option<When>,
    pub(crate) deadline_cause: Option<String>,
    /// Contexts, cancel handles, guards and futures of it, in the script's hands and in functions and values.
    pub(crate) held: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Waiting,
    Run,
    Dropped,
}

#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) on: Id,
    pub(crate) call: Call,
    /// The script holds its `AfterFunc`.
    pub(crate) held: bool,
    /// It keeps a handle, by which it cancels this context when it runs.
    pub(crate) cancels: Option<Id>,
}

/// A value that keeps a handle, by which it cancels a context when it is dropped.
#[derive(Debug)]
pub(crate) struct Grudge {
    pub(crate) binding: Id,
    pub(crate) cancels: Id,
}

/// What is run beside a context: it gives a number when it is told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    None,
    Pending { polled: bool },
    Ready(u32),
}

/// A future of a context's end, and how often each of its wakers must have been woken.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) on: Id,
    pub(crate) wakes: Vec<usize>,
    /// Polled pending with the last of the wakers, and neither woken nor dropped since.
    pub(crate) armed: bool,
    pub(crate) work: Work,
}

#[derive(Debug)]
pub(crate) struct Foreign {
    pub(crate) on: Id,
    pub(crate) finished: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) all: Vec<Vertex>,
    pub(crate) functions: Vec<Function>,
    pub(crate) waiters: Vec<Waiter>,
    pub(crate) foreigns: Vec<Foreign>,
    pub(crate) grudges: Vec<Grudge>,
}

impl Model {
    fn add(&mut self, kind: Kind, label: &str, parent: Option<Id>) -> Id {
        let node = match kind {
            Kind::Base => None,
            Kind::Node => Some(self.all.len()),
            Kind::Value { .. } => self.node_of(parent.expect("a value has a parent")),
        };
        self.all.push(Vertex {
            kind,
            label: label.to_owned(),
            parent,
            other: None,
            node,
            end: None,
            deadline: None,
            deadline_cause: None,
            held: 0,
        });
        self.all.len() - 1
    }

    pub(crate) fn root(&mut self, label: &str) -> Id {
        self.add(Kind::Base, label, None)
    }

    /// Keeps the name its parent goes by at this moment, or the last part of a very long one.
    pub(crate) fn without_cancel(&mut self, parent: Id) -> Id {
        const KEPT: usize = 32;
        let parts = self.parts(parent);
        let name = if parts.len() > KEPT {
            format!("context..{}.WithoutCancel", parts[parts.len() - KEPT..].concat())
        } else {
            format!("{}.WithoutCancel", parts.concat())
        };
        self.add(Kind::Base, &name, Some(parent))
    }

    pub(crate) fn value(&mut self, parent: Id, key: usize, number: u32, type_name: &str) -> Id {
        self.add(Kind::Value { key, number }, &format!(".WithValue({type_name})"), Some(parent))
    }

    /// A context with an end of its own: born ended if a parent has ended, the first one first.
    pub(crate) fn node(&mut self, parent: Id, other: Option<Id>, label: &str) -> Id {
        let end = self.end_of(parent).or_else(|| self.end_of(other?)).cloned();
        let id = self.add(Kind::Node, label, Some(parent));
        self.all[id].other = other;
        self.all[id].end = end;
        id
    }

    pub(crate) fn with_deadline(&mut self, parent: Id, at: Option<When>, past: bool, cause: Option<String>) -> Id {
        let id = self.node(parent, None, "");
        self.all[id].deadline_cause = cause;
        self.all[id].deadline = at;
        if past {
            self.fire(id);
        }
        id
    }

    pub(crate) fn foreign(&mut self, parent: Id) -> (Id, usize) {
        let id = self.node(parent, None, ".WithCancelOn");
        let finished = self.all[id].end.is_some();
        self.foreigns.push(Foreign { on: id, finished });
        (id, self.foreigns.len() - 1)
    }

    /// The context at or above this one whose end it shares; none if it never ends.
    pub(crate) fn node_of(&self, id: Id) -> Option<Id> {
        self.all[id].node
    }

    /// The contexts that end this one when they end.
    pub(crate) fn above(&self, node: Id) -> impl Iterator<Item = Id> + '_ {
        let vertex = &self.all[node];
        let first = vertex.parent.and_then(|id| self.node_of(id));
        first.into_iter().chain(vertex.other.and_then(|id| self.node_of(id)))
    }

    pub(crate) fn end_of(&self, id: Id) -> Option<&End> {
        self.all[self.node_of(id)?].end.as_ref()
    }

    pub(crate) fn lookup(&self, id: Id, wanted: usize) -> Option<u32> {
        let mut next = Some(id);
        while let Some(id) = next {
            match self.all[id].kind {
                Kind::Value { key, number } if key == wanted => return Some(number),
                _ => next = self.all[id].parent,
            }
        }
        None
    }

    /// For each context the earliest of its own and its ancestors' deadlines.
    pub(crate) fn deadlines(&self) -> Vec<Option<When>> {
        let mut all: Vec<Option<When>> = Vec::with_capacity(self.all.len());
        for vertex in &self.all {
            let inherited = |above: Option<Id>| above.and_then(|above| all[above]);
            all.push(match vertex.kind {
                Kind::Base => None,
                Kind::Value { .. } => inherited(vertex.parent),
                Kind::Node => {
                    let above = inherited(vertex.parent).into_iter().chain(inherited(vertex.other));
                    above.chain(vertex.deadline).reduce(When::earlier)
                }
            });
        }
        all
    }

    /// What it and its ancestors are called, from a base down.
    fn parts(&self, id: Id) -> Vec<&str> {
        let mut parts = Vec::new();
        let mut next = Some(id);
        while let Some(id) = next {
            let vertex = &self.all[id];
            parts.push(match vertex.label.as_str() {
                "" if vertex.deadline.is_some() => ".WithDeadline",
                "" => ".WithCancel",
                label => label,
            });
            next = vertex.parent.filter(|_| vertex.kind != Kind::Base);
        }
        parts.reverse();
        parts
    }

    pub(crate) fn display(&self, id: Id) -> String {
        self.parts(id).concat()
    }

    /// Ends this context and all below it that are live; true if it was live itself. Then functions run, and may end
    /// others: all of them without a cause of their own, so the order does not matter.
    pub(crate) fn end(&mut self, id: Id, end: End) -> bool {
        if self.all[id].end.is_some() {
            return false;
        }
        let mut next = vec![(id, end)];
        while let Some((id, end)) = next.pop() {
            if self.all[id].end.is_none() {
                for target in self.mark(id, end) {
                    self.all[target].held -= 1;
                    next.push((target, End::plain(Error::Canceled)));
                }
            }
        }
        true
    }

    /// Ends one subtree; what the functions registered there are going to cancel.
    fn mark(&mut self, id: Id, end: End) -> Vec<Id> {
        let mut ended = vec![false; self.all.len()];
        ended[id] = true;
        for below in id + 1..self.all.len() {
            let vertex = &self.all[below];
            if vertex.kind == Kind::Node && vertex.end.is_none() && self.above(below).any(|above| ended[above]) {
                ended[below] = true;
                self.all[below].end = Some(end.clone());
            }
        }
        self.all[id].end = Some(end);
        let has_ended = |model: &Model, on: Id| model.node_of(on).is_some_and(|node| ended[node]);
        let mut cancels = Vec::new();
        for n in 0..self.functions.len() {
            if self.functions[n].call == Call::Waiting && has_ended(self, self.functions[n].on) {
                self.functions[n].call = Call::Run;
                cancels.extend(self.functions[n].cancels.take());
            }
        }
        for n in 0..self.waiters.len() {
            if self.waiters[n].armed && has_ended(self, self.waiters[n].on) {
                self.waiters[n].armed = false;
                *self.waiters[n].wakes.last_mut().unwrap() += 1;
            }
        }
        cancels
    }

    /// The deadlines that are to come, in order, and whose they are. Only for a clock that stands: they are exact.
    pub(crate) fn pending(&self) -> Vec<(Instant, Id)> {
        let live = self.all.iter().enumerate().filter(|(_, vertex)| vertex.end.is_none());
        let mut all: Vec<_> = live.filter_map(|(id, vertex)| Some((vertex.deadline?.from, id))).collect();
        all.sort_unstable();
        all
    }

    /// This time, or the next that is no context's deadline.
    pub(crate) fn at_nobodys(&self, mut at: Instant) -> Instant {
        while self.all.iter().any(|vertex| vertex.deadline.is_some_and(|when| when.from == at)) {
            at += Duration::from_nanos(1);
        }
        at
    }

    /// Its own deadline has come.
    pub(crate) fn fire(&mut self, id: Id) -> bool {
        let error = Error::DeadlineExceeded;
        let text = self.all[id].deadline_cause.clone().unwrap_or_else(|| error.to_string());
        self.end(id, End { error, text })
    }

    /// Moves the deadline; false, and nothing changed, once the context has ended.
    pub(crate) fn reset(&mut self, id: Id, at: Option<When>, past: bool) -> bool {
        if self.all[id].end.is_some() {
            return false;
        }
        self.all[id].deadline = at;
        if past {
            self.fire(id);
        }
        true
    }

    /// The future is ready: the context ends, unless it has.
    pub(crate) fn complete(&mut self, foreign: usize, end: End) {
        if !std::mem::replace(&mut self.foreigns[foreign].finished, true) {
            self.end(self.foreigns[foreign].on, end);
        }
    }

    /// A function, which may keep a handle to cancel a context by.
    pub(crate) fn after_func(&mut self, on: Id, cancels: Option<Id>) -> usize {
        let ended = self.end_of(on).is_some();
        let call = if ended { Call::Run } else { Call::Waiting };
        self.functions.push(Function { on, call, held: true, cancels: cancels.filter(|_| !ended) });
        match cancels {
            Some(target) if ended => drop(self.end(target, End::plain(Error::Canceled))),
            Some(target) => self.all[target].held += 1,
            None => {}
        }
        self.functions.len() - 1
    }

    /// A function goes unrun, with what it keeps.
    pub(crate) fn drop_function(&mut self, function: usize) {
        self.functions[function].call = Call::Dropped;
        if let Some(target) = self.functions[function].cancels.take() {
            self.all[target].held -= 1;
        }
    }

    pub(crate) fn stop(&mut self, function: usize) -> bool {
        let prevented = self.functions[function].call == Call::Waiting;
        if prevented {
            self.drop_function(function);
        }
        prevented
    }

    /// A value is dropped, and may end a context by that.
    pub(crate) fn drop_value(&mut self, binding: Id) {
        if let Some(n) = self.grudges.iter().position(|grudge| grudge.binding == binding) {
            let target = self.grudges.swap_remove(n).cancels;
            self.all[target].held -= 1;
            self.end(target, End::plain(Error::Canceled));
        }
    }

    pub(crate) fn wait(&mut self, on: Id, work: Work) -> usize {
        self.all[on].held += 1;
        self.waiters.push(Waiter { on, wakes: Vec::new(), armed: false, work });
        self.waiters.len() - 1
    }

    /// A poll, with a new waker or the last one again: the end, or the number, or neither.
    pub(crate) fn poll(&mut self, waiter: usize, new_waker: bool) -> Option<Result<u32, Error>> {
        let end = self.end_of(self.waiters[waiter].on).map(|end| end.error);
        let waiter = &mut self.waiters[waiter];
        if new_waker || waiter.wakes.is_empty() {
            waiter.wakes.push(0);
        }
        if let Some(error) = end {
            return Some(Err(error));
        }
        if let Work::Ready(number) = waiter.work {
            return Some(Ok(number));
        }
        waiter.armed = true;
        if let Work::Pending { polled } = &mut waiter.work {
            *polled = true;
        }
        None
    }

    /// What is run beside a context is ready.
    pub(crate) fn finish_work(&mut self, waiter: usize, number: u32) {
        let waiter = &mut self.waiters[waiter];
        if waiter.work == (Work::Pending { polled: true }) {
            *waiter.wakes.last_mut().unwrap() += 1;
        }
        waiter.work = Work::Ready(number);
    }

    pub(crate) fn drop_waiter(&mut self, waiter: usize) {
        self.waiters[waiter].armed = false;
        self.all[self.waiters[waiter].on].held -= 1;
    }
}
