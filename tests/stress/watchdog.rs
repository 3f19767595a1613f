//! The watchdog itself: does it bite, and does it say whom?

use crate::common::watch::Watch;
use std::process::Command;
use std::thread;

/// Set for the process that is to hang.
const HANG: &str = "RIPCORD_STRESS_HANG";

#[test]
fn a_stuck_operation_is_named_and_ends_the_process() {
    if std::env::var_os(HANG).is_some() {
        let watch = Watch::new();
        let post = watch.post("sleeper");
        let busy = watch.post("runner");
        post.at("parked for ever");
        loop {
            busy.during("a short run", thread::yield_now);
        }
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "watchdog::a_stuck_operation_is_named_and_ends_the_process", "--test-threads=1"])
        .env(HANG, "1")
        .env("RIPCORD_PATIENCE", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "ended by the watchdog: {text}");
    let who = "watchdog::a_stuck_operation_is_named_and_ends_the_process: ";
    assert!(text.contains(&format!("{who}sleeper - stuck in `parked for ever`")), "{text}");
    assert!(text.contains(&format!("{who}runner - moving in")), "{text}");
}
