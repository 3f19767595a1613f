//! What the model's handles keep alive: rules A3, O1, O2 and V1, each from both sides.
//!
//! The rules leave some freedom about when exactly a thing goes that nobody can reach but that something alive still
//! leans on (an ended child's parent, a detached context's former parent). So every question has two answers: what
//! *must* still be there, and what *must* be gone.
#![cfg(not(feature = "loom"))]

use super::model::{Call, Id, Kind, Model};

#[derive(Debug, Default, Clone, Copy)]
struct Marks {
    /// Reached from something held, along parents, through everything.
    leaned_on: bool,
    /// The same, and from contexts that a registered function keeps.
    kept: bool,
    /// Seen from a context that is held: its values must live.
    seen: bool,
    /// Has an own end that may still come: it or one above it is held, timed or waiting for a future.
    can_end: bool,
    /// The same, counting everything that is leaned on as held.
    might_end: bool,
    /// Live, and somebody would hear of its end.
    heard: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Retention(Vec<Marks>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Stays,
    Goes,
    Either,
}

impl Retention {
    pub(crate) fn of(model: &Model) -> Retention {
        let mut it = Retention(vec![Marks::default(); model.all.len()]);
        it.spread_leaning(model);
        it.may_end(model);
        for function in &model.functions {
            if function.call == Call::Waiting {
                it.0[function.on].kept = true;
                if let Some(node) = model.node_of(function.on) {
                    it.0[node].kept = true;
                    it.0[node].heard |= it.0[node].can_end;
                }
            }
        }
        it.spread_keeping(model);
        it
    }

    /// Children have larger indices than their parents: one pass from the last to the first reaches everything.
    fn spread_leaning(&mut self, model: &Model) {
        for id in (0..model.all.len()).rev() {
            let vertex = &model.all[id];
            let held = vertex.held > 0;
            self.0[id].leaned_on |= held;
            self.0[id].seen |= held;
            let Marks { leaned_on, seen, .. } = self.0[id];
            if let Some(parent) = vertex.parent {
                self.0[parent].leaned_on |= leaned_on;
                self.0[parent].seen |= seen;
            }
            if let Some(other) = vertex.other {
                self.0[other].leaned_on |= leaned_on;
            }
        }
    }

    fn may_end(&mut self, model: &Model) {
        for (id, vertex) in model.all.iter().enumerate() {
            if vertex.held > 0 {
                if let Some(node) = vertex.node {
                    self.0[node].can_end = true;
                    self.0[node].heard |= model.all[node].end.is_none();
                }
            }
            self.0[id].kept = self.0[id].leaned_on;
        }
        for foreign in model.foreigns.iter().filter(|foreign| !foreign.finished) {
            self.0[foreign.on].can_end = true;
        }
        for (id, vertex) in model.all.iter().enumerate() {
            if vertex.kind != Kind::Node {
                continue;
            }
            let mut marks = self.0[id];
            if vertex.end.is_some() {
                (marks.can_end, marks.might_end) = (false, false);
            } else {
                marks.can_end |= vertex.deadline.is_some();
                marks.might_end = marks.leaned_on;
                for above in model.above(id) {
                    marks.can_end |= self.0[above].can_end;
                    marks.might_end |= self.0[above].might_end;
                }
                marks.might_end |= marks.can_end;
            }
            self.0[id] = marks;
        }
    }

    fn spread_keeping(&mut self, model: &Model) {
        for (id, vertex) in model.all.iter().enumerate().rev() {
            let Marks { kept, heard, .. } = self.0[id];
            if !kept && !heard {
                continue;
            }
            if let Some(parent) = vertex.parent {
                self.0[parent].kept |= kept;
            }
            if let Some(other) = vertex.other {
                self.0[other].kept |= kept;
            }
            if heard && vertex.kind == Kind::Node && vertex.end.is_none() {
                for above in model.above(id) {
                    self.0[above].heard = true;
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
            Some(node) if self.0[node].can_end => Fate::Stays,
            Some(node) if self.0[node].might_end => Fate::Either,
            Some(_) => Fate::Goes,
        }
    }

    /// A bound value.
    pub(crate) fn value(&self, binding: Id) -> Fate {
        match (self.0[binding].seen, self.0[binding].kept) {
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
        } else if self.0[foreign.on].heard {
            Fate::Stays
        } else if self.0[foreign.on].kept {
            Fate::Either
        } else {
            Fate::Goes
        }
    }
}
