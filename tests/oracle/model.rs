//! The tree as it should be: indices into vectors, no atomics, no sharing, nothing clever.
//!
//! A vertex is a context; a parent always has a smaller index than its children. Vertices are never removed: who still
//! holds what is counted in `held`, and `retention` works out what that keeps alive.
#![cfg(not(feature = "loom"))]

use ripcord::Error;
use std::time::Instant;

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
    pub(crate) end: Option<End>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) deadline_cause: Option<String>,
    /// Contexts, cancel handles and owned futures that the script holds.
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
}

/// An owned future of a context's end, and how often each of its wakers must have been woken.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) on: Id,
    pub(crate) wakes: Vec<usize>,
    /// Polled pending with the last of the wakers, and neither woken nor dropped since.
    pub(crate) armed: bool,
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
}

impl Model {
    fn add(&mut self, kind: Kind, label: &str, parent: Option<Id>) -> Id {
        self.all.push(Vertex {
            kind,
            label: label.to_owned(),
            parent,
            other: None,
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

    pub(crate) fn with_deadline(&mut self, parent: Id, at: Option<Instant>, past: bool, cause: Option<String>) -> Id {
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
    pub(crate) fn node_of(&self, mut id: Id) -> Option<Id> {
        loop {
            match self.all[id].kind {
                Kind::Base => return None,
                Kind::Node => return Some(id),
                Kind::Value { .. } => id = self.all[id].parent?,
            }
        }
    }

    /// The contexts that end this one when they end.
    pub(crate) fn above(&self, node: Id) -> impl Iterator<Item = Id> + '_ {
        let vertex = &self.all[node];
        [vertex.parent, vertex.other].into_iter().flatten().filter_map(|id| self.node_of(id))
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
    pub(crate) fn deadlines(&self) -> Vec<Option<Instant>> {
        let mut all: Vec<Option<Instant>> = Vec::with_capacity(self.all.len());
        for vertex in &self.all {
            let inherited = |above: Option<Id>| above.and_then(|above| all[above]);
            all.push(match vertex.kind {
                Kind::Base => None,
                Kind::Value { .. } => inherited(vertex.parent),
                Kind::Node => {
                    let above = inherited(vertex.parent).into_iter().chain(inherited(vertex.other));
                    above.chain(vertex.deadline).min()
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

    /// Ends this context and all below it that are live; true if it was live itself.
    pub(crate) fn end(&mut self, id: Id, end: End) -> bool {
        if self.all[id].end.is_some() {
            return false;
        }
        let mut ended = vec![false; self.all.len()];
        ended[id] = true;
        self.all[id].end = Some(end.clone());
        for below in id + 1..self.all.len() {
            let reached = self.all[below].kind == Kind::Node && self.above(below).any(|above| ended[above]);
            if reached && self.all[below].end.is_none() {
                ended[below] = true;
                self.all[below].end = Some(end.clone());
            }
        }
        let has_ended = |model: &Model, on: Id| model.node_of(on).is_some_and(|node| ended[node]);
        for n in 0..self.functions.len() {
            if self.functions[n].call == Call::Waiting && has_ended(self, self.functions[n].on) {
                self.functions[n].call = Call::Run;
            }
        }
        for n in 0..self.waiters.len() {
            if self.waiters[n].armed && has_ended(self, self.waiters[n].on) {
                self.waiters[n].armed = false;
                *self.waiters[n].wakes.last_mut().unwrap() += 1;
            }
        }
        true
    }

    /// Its own deadline has come.
    pub(crate) fn fire(&mut self, id: Id) -> bool {
        let error = Error::DeadlineExceeded;
        let text = self.all[id].deadline_cause.clone().unwrap_or_else(|| error.to_string());
        self.end(id, End { error, text })
    }

    /// Moves the deadline; false, and nothing changed, once the context has ended.
    pub(crate) fn reset(&mut self, id: Id, at: Option<Instant>, past: bool) -> bool {
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

    pub(crate) fn after_func(&mut self, on: Id) -> usize {
        let call = if self.end_of(on).is_some() { Call::Run } else { Call::Waiting };
        self.functions.push(Function { on, call, held: true });
        self.functions.len() - 1
    }

    pub(crate) fn stop(&mut self, function: usize) -> bool {
        let call = &mut self.functions[function].call;
        let prevented = *call == Call::Waiting;
        if prevented {
            *call = Call::Dropped;
        }
        prevented
    }

    pub(crate) fn wait(&mut self, on: Id) -> usize {
        self.waiters.push(Waiter { on, wakes: Vec::new(), armed: false });
        self.waiters.len() - 1
    }

    /// A poll, with a new waker or the last one again; the end if the future is ready.
    pub(crate) fn poll(&mut self, waiter: usize, new_waker: bool) -> Option<&End> {
        if new_waker || self.waiters[waiter].wakes.is_empty() {
            self.waiters[waiter].wakes.push(0);
        }
        let ended = self.end_of(self.waiters[waiter].on).is_some();
        self.waiters[waiter].armed = !ended;
        self.end_of(self.waiters[waiter].on)
    }
}
