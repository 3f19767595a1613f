//! What the threads of a script share: what is known of every context, function and future there was.
#![cfg(not(feature = "loom"))]

use super::fruit::Fruit;
use crate::common::*;
use ripcord::{Cause, Error};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, Weak};

/// What is known of a context that can end, from outside.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) number: usize,
    /// This one's parents.
    pub(crate) above: Vec<Arc<Life>>,
    /// This one and all above it.
    line: Vec<usize>,
    /// What may have ended it, by itself, in words: said before it is tried.
    own: Mutex<Vec<String>>,
    /// Tried, and it must have worked by the time all threads are through.
    pub(crate) must: AtomicBool,
    /// Ends by itself soon, unless its deadline is moved.
    pub(crate) soon: AtomicBool,
    pub(crate) moved: AtomicBool,
    /// What its own deadline says.
    pub(crate) deadline_text: String,
    /// How it ended, once somebody has seen it.
    pub(crate) end: OnceLock<(Error, String)>,
}

impl Life {
    pub(crate) fn new(number: usize, above: Vec<Arc<Life>>, deadline_text: String) -> Arc<Life> {
        let mut line = vec![number];
        for life in &above {
            line.extend(&life.line);
        }
        line.sort_unstable();
        line.dedup();
        Arc::new(Life {
            number,
            above,
            line,
            own: Mutex::default(),
            must: AtomicBool::new(false),
            soon: AtomicBool::new(false),
            moved: AtomicBool::new(false),
            deadline_text,
            end: OnceLock::new(),
        })
    }

    pub(crate) fn is_below(&self, other: &Life) -> bool {
        self.line.binary_search(&other.number).is_ok()
    }

    /// Somebody is about to end it, and this is what it would say.
    pub(crate) fn attempt(&self, text: &str) {
        self.own.lock().unwrap().push(text.to_owned());
    }

    pub(crate) fn may_say(&self, text: &str) -> bool {
        self.own.lock().unwrap().iter().any(|own| own == text)
    }

    /// Whether anything has been tried that would end it.
    pub(crate) fn may_end(&self) -> bool {
        !self.own.lock().unwrap().is_empty() || self.above.iter().any(|above| above.may_end())
    }

    /// Whether it must end, now or soon, given that all threads are through.
    pub(crate) fn must_end(&self) -> bool {
        self.must.load(SeqCst)
            || (self.soon.load(SeqCst) && !self.moved.load(SeqCst))
            || self.above.iter().any(|above| above.must_end())
    }
}

/// A registered function.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) tale: Arc<Tale>,
    pub(crate) on: Option<Arc<Life>>,
    /// `stop` said that it prevented the run.
    pub(crate) stopped: Arc<AtomicBool>,
}

/// A future, and the context that it ends.
pub(crate) type ForeignParent = (Arc<Foreign<Cause>>, Arc<Life>);

/// Something that a function takes and uses when it runs.
pub(crate) type Basket = Arc<Mutex<Option<Fruit>>>;

#[derive(Debug)]
pub(crate) struct Shared {
    /// Deadlines may be far away: the root is canceled at the end.
    pub(crate) far: bool,
    numbers: AtomicUsize,
    pub(crate) faults: Arc<Mutex<Vec<String>>>,
    /// Contexts on their way from one thread to another.
    pub(crate) market: Mutex<Vec<Fruit>>,
    pub(crate) functions: Mutex<Vec<Function>>,
    pub(crate) values: Mutex<Vec<Arc<Tale>>>,
    pub(crate) foreigns: Mutex<Vec<ForeignParent>>,
    pub(crate) baskets: Mutex<Vec<Weak<Mutex<Option<Fruit>>>>>,
}

impl Shared {
    pub(crate) fn new(far: bool) -> Shared {
        Shared {
            far,
            numbers: AtomicUsize::new(0),
            faults: Arc::default(),
            market: Mutex::default(),
            functions: Mutex::default(),
            values: Mutex::default(),
            foreigns: Mutex::default(),
            baskets: Mutex::default(),
        }
    }

    pub(crate) fn number(&self) -> usize {
        self.numbers.fetch_add(1, SeqCst)
    }

    pub(crate) fn expect(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.faults.lock().unwrap().push(what());
        }
    }
}
