//! Panics: functions, wakers, and the drops of values, causes and functions may panic in a script. The first panic goes
//! on from the call that ran it, when everything else is done; in what fires as time passes, from the call that lets it.
#![cfg(not(feature = "loom"))]

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;

/// The payload: which panic it is. It does not pass through the process's panic hook, where a fuzzer would end.
struct Number(usize);

/// What panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Function,
    /// The drop of what a function keeps.
    Baggage,
    Waker,
    Value,
    Cause,
}

pub(crate) const WHO: &[Who] = &[Who::Function, Who::Baggage, Who::Waker, Who::Value, Who::Cause];

/// The panics of one script.
#[derive(Debug, Default)]
pub(crate) struct Fuses {
    made: AtomicUsize,
    /// In the order in which they were raised.
    raised: Mutex<Vec<(usize, Who)>>,
    /// The script is over.
    out: AtomicBool,
    fault: Mutex<Option<String>>,
}

/// Panics when it is told to.
#[derive(Debug)]
pub(crate) struct Fuse {
    number: usize,
    who: Who,
    fuses: Arc<Fuses>,
}

impl Fuse {
    /// A panic during a panic ends the process, and is nobody's to catch: then not.
    pub(crate) fn blow(&self) {
        if !thread::panicking() && !self.fuses.out.load(SeqCst) {
            self.fuses.raised.lock().unwrap().push((self.number, self.who));
            resume_unwind(Box::new(Number(self.number)));
        }
    }
}

/// Panics when it is dropped; also an error.
#[derive(Debug)]
pub(crate) struct Bomb(pub(crate) Fuse);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.blow();
    }
}

impl fmt::Display for Bomb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bomb {}", self.0.number)
    }
}

impl std::error::Error for Bomb {}

impl Fuses {
    pub(crate) fn fuse(self: &Arc<Self>, who: Who) -> Fuse {
        Fuse { number: self.made.fetch_add(1, SeqCst), who, fuses: self.clone() }
    }

    /// How many there were.
    pub(crate) fn count(&self) -> BTreeMap<Who, usize> {
        let mut counts = BTreeMap::new();
        for (_, who) in self.raised.lock().unwrap().iter() {
            *counts.entry(*who).or_default() += 1;
        }
        counts
    }

    /// From here on nothing panics.
    pub(crate) fn put_out(&self) {
        self.out.store(true, SeqCst);
    }

    /// What was wrong about a panic since somebody asked last.
    pub(crate) fn fault(&self) -> Result<(), String> {
        self.fault.lock().unwrap().take().map_or(Ok(()), Err)
    }

    /// A call that may run what panics. None: it panicked, as it must.
    pub(crate) fn call<R>(&self, f: impl FnOnce() -> R) -> Option<R> {
        let before = self.raised.lock().unwrap().len();
        let outcome = catch_unwind(AssertUnwindSafe(f));
        let must = self.raised.lock().unwrap().get(before).map(|first| first.0);
        let (result, is) = match outcome {
            Ok(result) => (Some(result), None),
            Err(payload) => match payload.downcast::<Number>() {
                Ok(number) => (None, Some(number.0)),
                // Not one of ours: an assertion.
                Err(payload) => resume_unwind(payload),
            },
        };
        if is != must {
            let text = format!("the panic that went on is {is:?}, must be {must:?}");
            self.fault.lock().unwrap().get_or_insert(text);
        }
        result
    }
}
