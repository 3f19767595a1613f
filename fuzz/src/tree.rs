//! The whole public surface, one operation after the other, against the oracle of `tests/oracle`: time stands but for the
//! steps that let it pass, and what is called and dropped may panic.

use crate::oracle::run;
use crate::oracle::script::{Told, steps_of};
use crate::{Outcome, Target};

pub const TARGET: Target = Target { name: "tree", run: run_bytes };

/// Longer scripts show nothing that shorter ones do not.
const MOST: usize = 256;

fn run_bytes(data: &[u8], show: bool) -> Outcome {
    let mut steps = steps_of(data);
    steps.truncate(MOST);
    run(&steps, if show { Told::Printed } else { Told::Nobody }).outcome
}
