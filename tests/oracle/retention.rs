//! What the model's handles keep alive: rules A3, O1, O2 and V1, each from both sides.
//!
//! The rules leave some freedom about when exactly a thing goes that nobody can reach but that something alive still
//! leans on (an ended child's parent, a detached context's former parent). So every question has two answers: what
//! *must* still be there, and what *must* be gone.
#![cfg(not(feature = "loom"))]

use super::model::{Call, Id, Kind, Model};

#[derive(Debug, Default)]
pub(crate) struct Retention {
    /// Reached from something held, along parents, through everything.
    leaned_on: Vec<bool>,
    /// The same, and from contexts that a registered function keeps.
    kept: Vec<bool>,
    /// Seen from a context that is held: its values must live.
    seen: Vec<bool>,
    /// Contexts with an own end that may still come: held, timed or waiting for a future, they or one above them.
    can_end: Vec<bool>,
    /// The same, counting everything that is leaned on as held.
    might_end: Vec<bool>,
    /// Live contexts whose end somebody would hear of.
    heard: Vec<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Stays,
    Goes,
    Either,
}

impl Retention {
    pub(crate) fn of(model: &Model) -> Retention {
        let n = model.all.len();
        let mut it = Retention {
            leaned_on: vec![false; n],
            kept: vec![false; n],
            seen: vec![false; n],
            can_end: vec![false; n],
            might_end: vec![false; n],
            heard: vec![false; n],
        };
        for (id, vertex) in model.all.iter().enumerate() {
            let held = vertex.held > 0;
            it.leaned_on[id] = held;
            it.seen[id] = held;
        }
        it.spread_leaning(model);
        it.may_end(model);
        it.kept.clone_from(&it.leaned_on);
        for function in model.functions.iter().filter(|function| function.call == Call::Waiting) {
            it.kept[function.on] = true;
            if let Some(node) = model.node_of(function.on) {
                it.kept[node] = true;
                it.heard[node] |= it.can_end[node];
            }
        }
        it.spread_keeping(model);
        it
    }

    /// Children have larger indices than their parents: one pass from the last to the first reaches everything.
    fn spread_leaning(&mut self, model: &Model) {
        for id in (0..model.all.len()).rev() {
            let vertex = &model.all[id];
            for above in [vertex.parent, vertex.other].into_iter().flatten() {
                self.leaned_on[above] |= self.leaned_on[id];
            }
            if let Some(parent) = vertex.parent {
                self.seen[parent] |= self.seen[id];
            }
        }
    }

    fn may_end(&mut self, model: &Model) {
        for (id, vertex) in model.all.iter().enumerate() {
            if vertex.held > 0 {
                if let Some(node) = model.node_of(id) {
                    self.can_end[node] = true;
                    self.heard[node] |= model.all[node].end.is_none();
                }
            }
        }
        for foreign in model.foreigns.iter().filter(|foreign| !foreign.finished) {
            self.can_end[foreign.on] = true;
        }
        for id in 0..model.all.len() {
            if model.all[id].kind != Kind::Node {
                continue;
            }
            if model.all[id].end.is_some() {
                self.can_end[id] = false;
                self.might_end[id] = false;
                continue;
            }
            self.can_end[id] |= model.all[id].deadline.is_some() || model.above(id).any(|above| self.can_end[above]);
            self.might_end[id] =
                self.can_end[id] || self.leaned_on[id] || model.above(id).any(|above| self.might_end[above]);
        }
    }

    fn spread_keeping(&mut self, model: &Model) {
        for id in (0..model.all.len()).rev() {
            let vertex = &model.all[id];
            for above in [vertex.parent, vertex.other].into_iter().flatten() {
                self.kept[above] |= self.kept[id];
            }
            if vertex.kind == Kind::Node && vertex.end.is_none() && self.heard[id] {
                for above in [vertex.parent, vertex.other].into_iter().flatten() {
                    if let Some(node) = model.node_of(above) {
                        self.heard[node] = true;
                    }
                }
            }
        }
    }

    /// A registered function. Where no end can ever come it goes at once or with its `AfterFunc`.
    pub(crate) fn function(&self, model: &Model, n: usize) -> Fate {
        let function = &model.functions[n];
        match model.node_of(function.on) {
            None if function.held => Fate::Either,
            None => Fate::Goes,
            Some(node) if self.can_end[node] => Fate::Stays,
            Some(node) if self.might_end[node] => Fate::Either,
            Some(_) => Fate::Goes,
        }
    }

    /// A bound value.
    pub(crate) fn value(&self, binding: Id) -> Fate {
        match (self.seen[binding], self.kept[binding]) {
            (true, _) => Fate::Stays,
            (false, true) => Fate::Either,
            (false, false) => Fate::Goes,
        }
    }

    /// A foreign future.
    pub(crate) fn future(&self, model: &Model, foreign: usize) -> Fate {
        let foreign = &model.foreigns[foreign];
        if foreign.finished || model.all[foreign.on].end.is_some() {
            Fate::Goes
        } else if self.heard[foreign.on] {
            Fate::Stays
        } else if self.kept[foreign.on] {
            Fate::Either
        } else {
            Fate::Goes
        }
    }
}
