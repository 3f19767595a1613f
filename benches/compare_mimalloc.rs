//! The comparison of `compare.rs` over mimalloc: `cargo bench --bench compare_mimalloc`.

#[path = "compare/mod.rs"]
mod comparison;
mod mutex;
mod support;

use comparison::Counting;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: Counting<MiMalloc> = Counting(MiMalloc);

fn main() {
    comparison::main("mimalloc", "-mimalloc");
}
