//! A registration as its owner sees it: idle, armed, fired.
//!
//! | before      | step                        | after | otherwise                            |
//! |-------------|-----------------------------|-------|--------------------------------------|
//! | idle        | the owner arms it           | armed | the owner's mistake                  |
//! | armed       | the function runs           | fired | idle or another round: *late*; fired: *twice* |
//! | armed       | `stop()` said true          | idle  | fired: it ran all the same           |
//! | fired       | the owner has seen it       | idle  |                                      |
//!
//! Each arming is a round of its own, so a function that runs after its owner was told that it never would is found even
//! if the owner has armed the next one.

use crate::common::eventually;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

const IDLE: usize = 0;
const ARMED: usize = 1;
const FIRED: usize = 2;

#[derive(Debug, Default)]
pub(crate) struct Handler {
    /// The round and the state.
    word: AtomicUsize,
    /// Functions of this handler that somebody holds.
    held: AtomicUsize,
    faults: Mutex<Vec<String>>,
}

/// What a registered function holds; says when it is gone.
struct Held(Arc<Handler>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, SeqCst);
    }
}

impl Handler {
    pub(crate) fn new() -> Arc<Handler> {
        Arc::default()
    }

    fn fault(&self, text: String) {
        // A panic would be lost on some threads.
        self.faults.lock().unwrap().push(text);
    }

    /// The owner arms it: the function to register.
    pub(crate) fn arm(self: &Arc<Self>) -> impl FnOnce() + Send + Sync + use<> {
        let word = self.word.load(SeqCst);
        assert_eq!(word % 4, IDLE, "its owner arms it once at a time");
        let round = word / 4 + 1;
        self.word.store(round * 4 + ARMED, SeqCst);
        self.held.fetch_add(1, SeqCst);
        let held = Held(self.clone());
        move || held.0.fire(round)
    }

    fn fire(&self, round: usize) {
        if let Err(word) = self.word.compare_exchange(round * 4 + ARMED, round * 4 + FIRED, SeqCst, SeqCst) {
            let how = if word == round * 4 + FIRED { "twice" } else { "late" };
            self.fault(format!("round {round} fired {how}: round {} is in state {}", word / 4, word % 4));
        }
    }

    /// `stop()` has returned `prevented`; then it is idle again.
    pub(crate) fn stopped(&self, prevented: bool) {
        if prevented {
            let word = self.word.load(SeqCst);
            if word % 4 != ARMED {
                self.fault(format!("stop() prevented round {}, which is in state {}", word / 4, word % 4));
            }
            if self.held.load(SeqCst) != 0 {
                self.fault(format!("stop() prevented round {}, and somebody holds its function", word / 4));
            }
            self.word.store(word / 4 * 4 + IDLE, SeqCst);
        } else {
            self.fires();
        }
    }

    /// It is to fire by itself; then it is idle again.
    pub(crate) fn fires(&self) {
        eventually("a function that nobody stopped", || self.word.load(SeqCst) % 4 == FIRED);
        eventually("the drop of a function that has run", || self.held.load(SeqCst) == 0);
        self.word.store(self.word.load(SeqCst) / 4 * 4 + IDLE, SeqCst);
    }

    /// It is to go without a run, because nobody is left who could end its context; then it is idle again.
    pub(crate) fn goes_unrun(&self) {
        eventually("the drop of a function that nobody can call", || self.held.load(SeqCst) == 0);
        let word = self.word.load(SeqCst);
        if word % 4 != ARMED {
            self.fault(format!("round {} ran, and nobody had ended it", word / 4));
        }
        self.word.store(word / 4 * 4 + IDLE, SeqCst);
    }

    /// How often it was armed.
    pub(crate) fn rounds(&self) -> usize {
        self.word.load(SeqCst) / 4
    }

    /// Nothing is armed, held, late or double.
    #[track_caller]
    pub(crate) fn assert_clean(&self) {
        assert_eq!(self.word.load(SeqCst) % 4, IDLE, "{self:?}");
        assert_eq!(self.held.load(SeqCst), 0, "{self:?}");
        let faults = self.faults.lock().unwrap();
        assert!(faults.is_empty(), "{faults:#?}");
    }
}

#[test]
fn a_handler_sees_late_and_twice() {
    let handler = Handler::new();
    let function = handler.arm();
    handler.fire(1);
    function();
    handler.fires();
    let next = handler.arm();
    handler.fire(1);
    drop(next);
    handler.stopped(true);
    handler.fire(2);
    let faults = handler.faults.lock().unwrap().join("\n");
    assert_eq!(faults.matches("fired twice").count(), 1, "{faults}");
    assert_eq!(faults.matches("fired late").count(), 2, "{faults}");
}
