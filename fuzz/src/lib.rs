//! What is fuzzed: each target turns bytes into a script, runs it against the crate and against something much simpler,
//! and compares.
//!
//! A target is one file here (what it does), one in `fuzz_targets/` (its entry for libFuzzer), and a folder each in
//! `corpus/` and `regressions/`.

#[path = "../../tests/common/mod.rs"]
mod common;
#[path = "../../tests/oracle/mod.rs"]
mod oracle;

pub mod http;
pub mod threads;
pub mod timer;
pub mod tree;

/// What differs, in words.
pub type Outcome = Result<(), String>;

/// One way of reading bytes.
#[derive(Debug)]
pub struct Target {
    /// The name of its folders, too.
    pub name: &'static str,
    /// Runs an input; if `show`, prints what it does, before it does it.
    pub run: fn(data: &[u8], show: bool) -> Outcome,
}

/// All of them.
pub const TARGETS: &[Target] = &[tree::TARGET, threads::TARGET, timer::TARGET, http::TARGET];

impl Target {
    /// Runs an input for libFuzzer, which takes a panic for a finding.
    pub fn check(&self, data: &[u8]) {
        if let Err(difference) = (self.run)(data, false) {
            panic!("{}: {difference}", self.name);
        }
    }
}

/// The entry for libFuzzer; on stable, a program that runs the files it is given.
#[macro_export]
macro_rules! entry {
    ($target:expr) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|data: &[u8]| $target.check(data));

        #[cfg(not(fuzzing))]
        fn main() {
            for file in std::env::args_os().skip(1) {
                $target.check(&std::fs::read(file).unwrap());
            }
        }
    };
}
