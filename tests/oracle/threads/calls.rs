//! Functions that run after an end, and use other contexts of the tree while they do; and stopping them.
#![cfg(not(feature = "loom"))]

use super::crowd::{Basket, Function};
use super::deeds::Worker;
use super::fruit::Fruit;
use crate::common::*;
use ripcord::Error;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

impl Worker<'_> {
    pub(crate) fn after_func(&mut self, fruit: &Fruit) {
        let was_done = fruit.ctx.is_done();
        let tale = Tale::new();
        let reports = tale.function();
        let life = fruit.life.clone();
        // Uses another context, and may cancel it.
        let other = self.fruits[self.script.below(self.fruits.len())].clone();
        let cancels = self.script.below(4) == 1;
        let basket: Basket = Arc::new(Mutex::new(Some(other)));
        self.shared.baskets.lock().unwrap().push(Arc::downgrade(&basket));
        let seen = life.clone();
        let faults = Arc::clone(&self.shared.faults);
        let function = move || {
            let expect = |holds: bool, what: &str| {
                if !holds {
                    faults.lock().unwrap().push(what.to_owned());
                }
            };
            // A1: after the end, never before.
            expect(seen.is_some_and(|life| life.may_end()), "a function runs on a live context");
            let other = basket.lock().unwrap().take();
            if let Some(other) = other {
                let ended = other.ctx.is_done();
                let (child, _handle) = other.ctx.with_cancel();
                expect(!ended || child.is_done(), "a child of an ended context was born live");
                if let (true, Some(handle), Some(life)) = (cancels, &other.handle, &other.life) {
                    life.attempt(&Error::Canceled.to_string());
                    handle.cancel();
                    life.must.store(true, SeqCst);
                    expect(child.is_done(), "a child is live after its parent's cancel");
                }
            }
            reports();
        };
        let after = fruit.ctx.after_func(function);
        let ran = tale.has_run();
        self.shared.expect(!was_done || ran, || "a function of an ended context did not run at once".into());
        let mut functions = self.shared.functions.lock().unwrap();
        functions.push(Function { tale, on: life, stopped: Arc::new(AtomicBool::new(false)) });
        if self.script.below(4) > 0 {
            self.stoppers.push((after, functions.len() - 1));
        }
    }

    pub(crate) fn stop(&mut self) -> bool {
        if self.stoppers.is_empty() {
            return false;
        }
        let (after, n) = self.stoppers.swap_remove(self.script.below(self.stoppers.len()));
        let prevented = after.stop();
        let functions = self.shared.functions.lock().unwrap();
        self.shared.expect(!prevented || functions[n].tale.is_dropped_unrun(), || "stopped, but not dropped".into());
        functions[n].stopped.store(prevented, SeqCst);
        drop(functions);
        self.shared.expect(!after.stop(), || "stopped twice".into());
        true
    }
}
