//! Scripts as bytes: eight for each step, so that random numbers, a fuzzer and a shrinker can all write them.
//!
//! A choice among `n` takes the next byte of its step, and 0 when the step has no more. So every string of bytes is a
//! script, and to leave a step out changes nothing about how the others are read.
#![cfg(not(feature = "loom"))]

pub(crate) const STEP: usize = 8;
pub(crate) type Step = [u8; STEP];

/// The steps of a string of bytes; the last one is filled up with zeros.
pub(crate) fn steps_of(bytes: &[u8]) -> Vec<Step> {
    let step = |chunk: &[u8]| std::array::from_fn(|n| chunk.get(n).copied().unwrap_or(0));
    bytes.chunks(STEP).map(step).collect()
}

/// Who hears what the steps do.
#[derive(Debug)]
pub(crate) enum Told {
    Nobody,
    Kept(Vec<String>),
    /// At once, in case the step does not return.
    Printed,
}

#[derive(Debug)]
pub(crate) struct Script {
    step: Step,
    taken: usize,
    pub(crate) told: Told,
}

impl Script {
    pub(crate) fn new(told: Told) -> Script {
        Script { step: [0; STEP], taken: STEP, told }
    }

    pub(crate) fn begin(&mut self, step: Step) {
        (self.step, self.taken) = (step, 0);
    }

    /// A choice among so many, at most 256.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        let byte = self.step.get(self.taken).copied().unwrap_or(0);
        self.taken += 1;
        usize::from(byte) % n
    }

    pub(crate) fn tell(&mut self, text: impl FnOnce() -> String) {
        match &mut self.told {
            Told::Nobody => {}
            Told::Kept(lines) => lines.push(text()),
            Told::Printed => println!("  {}", text()),
        }
    }
}
