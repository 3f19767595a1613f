//! The timer engine, turned by hand, against a list of deadlines.
//!
//! Four bytes are a step: what to do, which alarm, and how far away. So much is compared: each pass fires exactly what is
//! due, each once, in the order of the deadlines; it never names a later time to come back than the next deadline; the
//! queue holds what is armed, and not much more.

use crate::{Outcome, Target};
use ripcord::timer_by_hand::{Engine, FOR_EVER};

pub const TARGET: Target = Target { name: "timer", run };

const STEP: usize = 4;

/// Steps, and alarms, at most.
const STEPS: usize = 256;
const ALARMS: usize = 4_096;

struct World {
    engine: Engine,
    now: u64,
    /// The deadline of every alarm while it is armed, and the key it is queued under, which is not later.
    list: Vec<Option<(u64, u64)>>,
    /// How many cells the engine was ever given.
    arms: usize,
    show: bool,
}

fn run(data: &[u8], show: bool) -> Outcome {
    let mut world = World { engine: Engine::new(), now: 1 << 40, list: Vec::new(), arms: 0, show };
    for step in data.chunks(STEP).take(STEPS) {
        let byte = |n: usize| step.get(n).copied().unwrap_or(0);
        world.step(byte(0), byte(1), u64::from(byte(2)) << (byte(3) % 40))?;
    }
    world.end()
}

impl World {
    fn tell(&self, text: impl FnOnce() -> String) {
        if self.show {
            println!("  {:>6}: {}", self.now - (1 << 40), text());
        }
    }

    fn step(&mut self, what: u8, which: u8, far: u64) -> Outcome {
        let at = (self.now + far).min(FOR_EVER - 1);
        let known = self.list.len();
        let alarm = usize::from(which) % known.max(1);
        match what % 12 {
            0 | 1 => self.arm_new(at, 1),
            2 => self.arm_new(at, usize::from(which)),
            3 | 4 if known > 0 => {
                self.tell(|| format!("arm {alarm} at +{far}"));
                self.engine.arm(alarm, at);
                self.list[alarm] = Some((at, at));
                self.arms += 1;
            }
            5 | 6 => {
                if let Some(Some((old, key))) = self.list.get(alarm).copied() {
                    let later = (old + far).min(FOR_EVER - 1);
                    self.tell(|| format!("push {alarm} back by {far}"));
                    self.engine.push_back(alarm, later);
                    self.list[alarm] = Some((later, key));
                }
            }
            7 if known > 0 => self.cancel(alarm, 1),
            8 if known > 0 => self.cancel(alarm, usize::from(which)),
            9 if known > 0 => {
                // No deadline any more, but the cell is still queued.
                self.tell(|| format!("push {alarm} back for ever"));
                if self.list[alarm].take().is_some() {
                    self.engine.push_back(alarm, FOR_EVER);
                }
            }
            what => {
                self.turn(at, what == 11)?;
                self.count()?;
            }
        }
        Ok(())
    }

    fn arm_new(&mut self, at: u64, many: usize) {
        let many = many.min(ALARMS - self.list.len());
        self.tell(|| format!("{many} new alarms from {} on, at +{}", self.list.len(), at - self.now));
        for n in 0..many as u64 {
            // Not in order, and some at once.
            let at = (at + (n * 7 % 16)).min(FOR_EVER - 1);
            let alarm = self.engine.add();
            self.engine.arm(alarm, at);
            self.list.push(Some((at, at)));
        }
        self.arms += many;
    }

    fn cancel(&mut self, from: usize, many: usize) {
        self.tell(|| format!("cancel {many} from {from} on"));
        for alarm in from..(from + many).min(self.list.len()) {
            self.engine.disarm(alarm);
            self.list[alarm] = None;
        }
    }

    fn turn(&mut self, now: u64, tidy: bool) -> Outcome {
        self.tell(|| format!("turn to +{}, tidy: {tidy}", now - self.now));
        self.now = now;
        let (next, fired) = self.engine.turn(now, tidy);
        let mut keys = vec![None; self.list.len()];
        for (alarm, armed) in self.list.iter_mut().enumerate() {
            if let Some((_, key)) = armed.take_if(|(at, _)| *at <= now) {
                keys[alarm] = Some(key);
            } else if let Some((at, key)) = armed {
                // One that was pushed back has surfaced, and is queued under its deadline now.
                if *key <= now {
                    *key = *at;
                }
            }
        }
        let mut last = 0;
        for alarm in &fired {
            match keys[*alarm].take() {
                Some(key) if key >= last => last = key,
                Some(key) => return Err(format!("alarm {alarm}, queued under {key}, came after one under {last}")),
                None => return Err(format!("alarm {alarm} was not due, or fired before")),
            }
        }
        if let Some(missed) = keys.iter().position(Option::is_some) {
            return Err(format!("alarm {missed} was due and did not fire"));
        }
        match self.list.iter().flatten().map(|(at, _)| *at).min() {
            Some(earliest) if next > earliest => Err(format!("sleeps until {next}, must wake at {earliest}")),
            _ if next <= now => Err(format!("comes back at {next}, at once")),
            _ => Ok(()),
        }
    }

    fn count(&self) -> Outcome {
        let (all, live) = self.engine.census();
        let armed = self.list.iter().flatten().count();
        if live < armed {
            return Err(format!("{live} live cells for {armed} alarms"));
        }
        if all > self.arms {
            return Err(format!("{all} cells queued, only {} were armed", self.arms));
        }
        Ok(())
    }

    /// Everything is canceled: one turn past every key leaves nothing behind.
    fn end(&mut self) -> Outcome {
        self.cancel(0, self.list.len());
        let (all, live) = self.engine.census();
        if live > 0 {
            return Err(format!("{live} live cells of {all} for nobody"));
        }
        self.turn(FOR_EVER - 1, true)?;
        match (self.engine.census(), self.engine.turn(FOR_EVER - 1, true).0) {
            ((0, 0), FOR_EVER) => Ok(()),
            left => Err(format!("left behind: {left:?}")),
        }
    }
}
