//! A server that goes down in stages, on one budget: what is idle at once, what is at work when it is done, what takes too
//! long when it is told to, and what does not listen not at all.
//!
//! ```text
//! cargo run --example shutdown
//! ```

use ripcord::shutdown::{Overdue, Shutdown, Stage};
use ripcord::{Cause, Context, Error};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

/// A worker that answers jobs; between two jobs it is idle. Returns how many it has done, and why it stopped.
fn worker(shutdown: &Shutdown, jobs: u32, each: Duration) -> (u32, Option<Cause>) {
    let mut done = 0;
    while done < jobs {
        // The parent of a job is the work: a drain does not touch it.
        let (job, _handle) = shutdown.until(Stage::Cancel).with_timeout_cause(60_000 * MS, "the job takes too long");
        if job.wait_timeout(each).is_some() {
            return (done, job.cause());
        }
        done += 1;
        // Idle: nothing is lost by going.
        if shutdown.until(Stage::Drain).is_done() {
            break;
        }
    }
    (done, None)
}

fn main() {
    // The parent stands for what the program's signals end (see the feature `tokio` for a ready-made one).
    let (signals, signal) = Context::background().with_cancel();
    // 400 ms in all: 320 to finish, 80 to end when told.
    let shutdown = Shutdown::new(&signals, 400 * MS).shares(0, 8, 2);

    let start = |name, jobs, each| {
        let (guard, shutdown) = (shutdown.guard(name), shutdown.clone());
        thread::spawn(move || {
            let _guard = guard;
            worker(&shutdown, jobs, each)
        })
    };
    let quick = start("quick worker", u32::MAX, 20 * MS);
    let slow = start("slow worker", 1, 60_000 * MS);
    // It has a context of its own, and never looks at it. Only the end of the process stops it.
    let (release, released) = mpsc::channel::<()>();
    let deaf = shutdown.guard("deaf worker");
    let deaf = thread::spawn(move || {
        let _ = released.recv();
        drop(deaf);
    });

    thread::sleep(50 * MS);
    println!("{}\n", shutdown.report());
    signal.cancel_cause("SIGTERM");
    let report = shutdown.wait();
    println!("{report}\n");

    let (jobs, why) = quick.join().expect("no panic");
    println!("the quick worker finished the last of its {jobs} jobs");
    assert!(jobs > 0 && why.is_none());
    let (jobs, why) = slow.join().expect("no panic");
    let why = why.expect("it was canceled");
    println!("the slow worker was stopped: {why}");
    assert_eq!((jobs, why.error()), (0, Error::Canceled));
    assert_eq!(why.downcast_ref::<Overdue>().expect("time led to the cancel").reason().to_string(), "SIGTERM");
    assert_eq!(report.running_at(Stage::Drain), Some(3));
    assert!(report.left.iter().any(|running| running.name == "deaf worker" && running.count == 1));
    drop(release);
    deaf.join().expect("no panic");
}
