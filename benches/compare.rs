//! Every row against every rival in one run and one table, over the system's allocator:
//! `cargo bench --bench compare [-- [--quick] [--full] [--no-record] [P6 ..]]`. What a row is: `compare/rows.rs`.

#[path = "compare/mod.rs"]
mod comparison;
mod mutex;
mod support;

use comparison::Counting;
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: Counting<System> = Counting(System);

fn main() {
    comparison::main("the system's", "");
}
