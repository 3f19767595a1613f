//! What one thread does, and what must hold right after it.
#![cfg(not(feature = "loom"))]

use super::crowd::{Life, Shared};
use super::fruit::Fruit;
use crate::common::*;
use crate::oracle::clock::now;
use crate::oracle::script::{Script, Step};
use ripcord::{AfterFunc, CancelHandle, Cause, Context, DoneOwned, Error};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

/// A thread keeps no more contexts than this.
const MOST: usize = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Deed {
    Child,
    Crowd,
    Soon,
    Far,
    Value,
    Detach,
    Merge,
    Foreign,
    Cancel,
    CancelCause,
    Guard,
    ResetFar,
    ResetPast,
    Clone,
    Drop,
    DropHandle,
    Give,
    Take,
    AfterFunc,
    Stop,
    Wait,
    Poll,
    DropWaiter,
    Complete,
    Run,
    Look,
}

use Deed::*;

pub(crate) const DEEDS: &[Deed] = &[
    Child,
    Child,
    Child,
    Crowd,
    Crowd,
    Crowd,
    Soon,
    Far,
    Value,
    Detach,
    Merge,
    Foreign,
    Cancel,
    CancelCause,
    Guard,
    ResetFar,
    ResetPast,
    Clone,
    Drop,
    Drop,
    DropHandle,
    Give,
    Take,
    AfterFunc,
    AfterFunc,
    Stop,
    Wait,
    Wait,
    Poll,
    DropWaiter,
    Complete,
    Run,
    Look,
];

/// A value that tells when it is dropped.
#[derive(Debug)]
pub(crate) struct Stone(#[expect(dead_code)] Probe);

#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) done: DoneOwned,
    pub(crate) life: Option<Arc<Life>>,
    pub(crate) wakes: Arc<Wakes>,
    waker: Waker,
}

#[derive(Debug)]
pub(crate) struct Worker<'a> {
    pub(crate) shared: &'a Shared,
    number: usize,
    pub(crate) script: Script,
    step: usize,
    pub(crate) fruits: Vec<Fruit>,
    pub(crate) waiters: Vec<Waiter>,
    pub(crate) stoppers: Vec<(AfterFunc, usize)>,
    pub(crate) done: BTreeMap<Deed, usize>,
}

impl<'a> Worker<'a> {
    pub(crate) fn new(shared: &'a Shared, number: usize, script: Script) -> Worker<'a> {
        Worker {
            shared,
            number,
            script,
            step: 0,
            fruits: Vec::new(),
            waiters: Vec::new(),
            stoppers: Vec::new(),
            done: BTreeMap::new(),
        }
    }

    /// Something that never ends, and the root: a handle of it.
    pub(crate) fn plant(&mut self) -> Option<(CancelHandle, Arc<Life>)> {
        let (ctx, handle) = Context::background().with_cancel();
        let life = Life::new(self.shared.number(), Vec::new(), String::new());
        self.fruits.push(Fruit {
            ctx: Context::background(),
            handle: None,
            life: None,
            rooted: false,
            crowd: Arc::default(),
        });
        self.fruits.push(Fruit {
            ctx,
            handle: Some(handle.clone()),
            life: Some(life.clone()),
            rooted: true,
            crowd: Arc::default(),
        });
        Some((handle, life))
    }

    fn tell(&mut self, text: impl FnOnce() -> String) {
        let number = self.number;
        self.script.tell(|| format!("thread {number}: {}", text()));
    }

    pub(crate) fn step(&mut self, bytes: Step) {
        self.script.begin(bytes);
        self.step += 1;
        while self.fruits.len() > MOST {
            self.fruits.swap_remove(self.step % self.fruits.len());
        }
        let deed = DEEDS[self.script.below(DEEDS.len())];
        if self.act(deed) {
            *self.done.entry(deed).or_default() += 1;
        }
    }

    /// False: there was nothing to do it to.
    fn act(&mut self, deed: Deed) -> bool {
        match deed {
            Take => return self.take(),
            Stop => return self.stop(),
            Poll | DropWaiter => return self.on_waiter(deed),
            Complete => return self.complete(),
            _ => {}
        }
        if self.fruits.is_empty() {
            return false;
        }
        let n = self.script.below(self.fruits.len());
        let fruit = self.fruits[n].clone();
        self.tell(|| format!("{deed:?} {}", fruit.name()));
        match deed {
            Child | Soon | Far | Value | Detach | Merge | Foreign => self.derive(deed, &fruit),
            Cancel | CancelCause | Guard | ResetFar | ResetPast => return self.by_handle(deed, &fruit),
            Crowd => {
                let many = 1 + self.script.below(128);
                let crowd: Vec<_> = (0..many).map(|_| fruit.ctx.with_cancel().0).collect();
                self.fruits[n].crowd = Arc::new(crowd);
            }
            Clone => self.fruits.push(fruit),
            Drop => {
                drop(fruit);
                self.fruits.swap_remove(n);
            }
            DropHandle => self.fruits[n].handle = None,
            Give => {
                drop(fruit);
                let given = self.fruits.swap_remove(n);
                self.shared.market.lock().unwrap().push(given);
            }
            AfterFunc => self.after_func(&fruit),
            Wait => {
                let (wakes, waker) = Wakes::new();
                let mut done = fruit.ctx.into_done();
                if let Poll::Ready(error) = poll_with(&mut done, &waker) {
                    self.shared.expect(done_again(&mut done) == Poll::Ready(error), || "ready, and then not".into());
                }
                self.waiters.push(Waiter { done, life: fruit.life, wakes, waker });
            }
            Run => {
                let ended = fruit.ctx.is_done();
                let mut polled = false;
                let output = block_on(fruit.ctx.run(async { polled = true }));
                self.shared
                    .expect(!ended || (output.is_err() && !polled), || "an ended context polled its work".into());
                self.shared.expect(output.is_ok() == polled, || "run polled its work and then gave an error".into());
            }
            _ => {
                let limit = Duration::from_micros(self.script.below(128) as u64);
                let seen = fruit.ctx.wait_timeout(limit);
                self.shared.expect(seen.is_none() || fruit.ctx.is_done(), || "wait_timeout made an end up".into());
                fruit.look(self.shared);
            }
        }
        true
    }

    /// A cause that nobody else gives.
    fn cause(&self) -> String {
        format!("thread {} step {}", self.number, self.step)
    }

    fn derive(&mut self, deed: Deed, parent: &Fruit) {
        let other = (deed == Merge).then(|| self.fruits[self.script.below(self.fruits.len())].clone());
        if matches!(deed, Value | Detach) {
            let fruit = if deed == Value {
                let tale = Tale::new();
                self.shared.values.lock().unwrap().push(tale.clone());
                let ctx = parent.ctx.with_value(Stone(tale.probe()));
                self.shared.expect(ctx.value::<Stone>().is_some(), || "a value is not to be seen".into());
                Fruit { ctx, handle: None, crowd: Arc::default(), ..parent.clone() }
            } else {
                Fruit {
                    ctx: parent.ctx.without_cancel(),
                    handle: None,
                    life: None,
                    rooted: false,
                    crowd: Arc::default(),
                }
            };
            self.fruits.push(fruit);
            return;
        }
        let lives = [parent.life.clone(), other.as_ref().and_then(|other| other.life.clone())];
        let text = self.cause();
        let life = Life::new(self.shared.number(), lives.into_iter().flatten().collect(), text.clone());
        let parent_ended = parent.ctx.cause();
        let other_ended = other.as_ref().and_then(|other| other.ctx.cause());
        let rooted = parent.rooted || other.as_ref().is_some_and(|other| other.rooted);
        let far = Duration::from_secs(3600);
        let (ctx, handle) = match (deed, &other) {
            (Soon, _) => {
                life.attempt(&text);
                life.soon.store(true, SeqCst);
                let after = Duration::from_micros(self.script.below(64) as u64);
                parent.ctx.with_timeout_cause(after, text)
            }
            (Far, _) if self.shared.far && rooted => parent.ctx.with_deadline_cause(now() + far, text),
            (Merge, Some(other)) => parent.ctx.with_cancel_from(&other.ctx),
            (Foreign, _) => {
                let (foreign, future) = crate::common::Foreign::new();
                self.shared.foreigns.lock().unwrap().push((foreign, life.clone()));
                parent.ctx.with_cancel_on(future)
            }
            _ => parent.ctx.with_cancel(),
        };
        let child = Fruit { ctx, handle: Some(handle), life: Some(life), rooted, crowd: Arc::default() };
        // G4: of an ended parent it is born ended, with the same cause.
        if let Some(cause) = parent_ended.or(other_ended) {
            self.shared.expect(child.look(self.shared), || format!("{} was born live", child.name()));
            let same = child.ctx.cause().is_some_and(|born| born.to_string() == cause.to_string());
            self.shared.expect(same || deed == Merge, || format!("{} was born with another cause", child.name()));
        }
        self.tell(|| format!("  that is {}", child.name()));
        self.fruits.push(child);
    }

    fn by_handle(&mut self, deed: Deed, fruit: &Fruit) -> bool {
        let (Some(handle), Some(life)) = (&fruit.handle, &fruit.life) else { return false };
        let text = self.cause();
        let was_done = fruit.ctx.is_done();
        // Whether it has ended now, and whether everything below has.
        let (ends, all) = match deed {
            CancelCause => {
                life.attempt(&text);
                handle.cancel_cause(text);
                (true, true)
            }
            ResetPast => {
                // The deadline's cause if it was given one, else the error.
                life.attempt(&life.deadline_text);
                life.attempt(&Error::DeadlineExceeded.to_string());
                let reset = handle.reset_deadline(now());
                self.shared.expect(!(reset && was_done), || format!("{} was moved after its end", fruit.name()));
                let late = fruit.ctx.err() == Some(Error::DeadlineExceeded);
                self.shared.expect(!reset || late, || format!("{} was moved to the past and is live", fruit.name()));
                // One that finds the context ended does not help: somebody else may still be at it.
                (true, reset)
            }
            ResetFar => {
                if !self.shared.far || !fruit.rooted {
                    return false;
                }
                life.moved.store(true, SeqCst);
                let reset = handle.reset_timeout(Duration::from_secs(3600));
                self.shared.expect(!(reset && was_done), || format!("{} was moved after its end", fruit.name()));
                (!reset, false)
            }
            Guard => {
                life.attempt(&Error::Canceled.to_string());
                drop(handle.clone().drop_guard());
                (true, true)
            }
            _ => {
                life.attempt(&Error::Canceled.to_string());
                handle.cancel();
                (true, true)
            }
        };
        if ends {
            self.shared.expect(fruit.look(self.shared), || format!("{} is live after {deed:?}", fruit.name()));
        }
        if ends {
            life.must.store(true, SeqCst);
        }
        if all {
            // G3: everything below that was there before has ended. The crowd first: a walk comes to its end last.
            fruit.look_at_crowd(self.shared, "after a cancel above");
            for below in &self.fruits {
                if below.life.as_ref().is_some_and(|below| below.is_below(life)) {
                    below.look_at_crowd(self.shared, "after a cancel above");
                    let ended = below.look(self.shared);
                    self.shared.expect(ended, || {
                        format!("{} is live after {deed:?} of {} above it", below.name(), fruit.name())
                    });
                }
            }
        }
        true
    }

    fn take(&mut self) -> bool {
        let taken = self.shared.market.lock().unwrap().pop();
        let some = taken.is_some();
        self.fruits.extend(taken);
        some
    }

    fn on_waiter(&mut self, deed: Deed) -> bool {
        if self.waiters.is_empty() {
            return false;
        }
        let n = self.script.below(self.waiters.len());
        if deed == DropWaiter {
            self.waiters.swap_remove(n);
            return true;
        }
        let waiter = &mut self.waiters[n];
        let woken = waiter.wakes.count() > 0;
        let ready = poll_with(&mut waiter.done, &waiter.waker).is_ready();
        self.shared.expect(!woken || ready, || "woken, but not ready".into());
        true
    }

    fn complete(&mut self) -> bool {
        let text = self.cause();
        let foreigns = self.shared.foreigns.lock().unwrap();
        if foreigns.is_empty() {
            return false;
        }
        let (foreign, life) = foreigns[self.script.below(foreigns.len())].clone();
        drop(foreigns);
        self.tell(|| format!("the future of {} gives {text}", life.number));
        life.attempt(&text);
        foreign.complete(Cause::from(text));
        life.must.store(true, SeqCst);
        thread::yield_now();
        true
    }
}

fn done_again(done: &mut DoneOwned) -> Poll<Error> {
    poll(done)
}
