//! Real threads on one tree, against the rules that hold in every order (`tests/oracle/threads`).
//!
//! An input is a script, not a schedule: it is run a few times, and what it covers differs a little from run to run.

use crate::oracle::script::steps_of;
use crate::oracle::threads::run;
use crate::{Outcome, Target};

pub const TARGET: Target = Target { name: "threads", run: run_bytes };

/// Longer scripts show nothing that shorter ones do not.
const MOST: usize = 128;

const TIMES: usize = 3;

fn run_bytes(data: &[u8], show: bool) -> Outcome {
    let mut steps = steps_of(data);
    steps.truncate(MOST);
    (0..TIMES).try_for_each(|_| run(&steps, show).outcome)
}
