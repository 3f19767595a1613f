//! Threads and crossbeam channels: workers that select between jobs and the end, and drain what was accepted.
//!
//! ```text
//! cargo run --example channels --features crossbeam-channel
//! ```

use crossbeam_channel::{Receiver, bounded, select};
use ripcord::Context;
use std::thread;
use std::time::Duration;

/// Works until the end, then on what is in the box already. How many jobs it did before and after.
fn work(ctx: &Context, jobs: &Receiver<u32>) -> (u32, u32) {
    let mut before = 0;
    loop {
        select! {
            recv(jobs) -> job => match job {
                Ok(job) => {
                    thread::sleep(Duration::from_micros(u64::from(job)));
                    before += 1;
                }
                Err(_) => return (before, 0),
            },
            recv(ctx.done_channel()) -> _ => break,
        }
    }
    (before, u32::try_from(jobs.try_iter().count()).expect("a small box"))
}

fn main() {
    let (ctx, handle) = Context::background().with_timeout(Duration::from_secs(5));
    let (send, jobs) = bounded(64);

    let workers: Vec<_> = (0..3)
        .map(|_| {
            let (ctx, jobs) = (ctx.clone(), jobs.clone());
            thread::spawn(move || work(&ctx, &jobs))
        })
        .collect();
    drop(jobs);

    let mut sent = 0;
    while sent < 500 {
        // The sender stops for the same end.
        select! {
            send(send, 50) -> result => {
                result.expect("the workers are there");
                sent += 1;
            }
            recv(ctx.done_channel()) -> _ => break,
        }
    }
    handle.cancel_cause("enough");

    let done: Vec<_> = workers.into_iter().map(|worker| worker.join().expect("workers do not panic")).collect();
    let (before, after) = done.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    println!(
        "sent {sent}; {before} done before the end, {after} taken out after it ({})",
        ctx.cause().expect("it ended")
    );
    // A job may be left in the box by those who looked before it was put there.
    assert!(before + after <= sent && before > 0);
}
