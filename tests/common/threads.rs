//! The threads of this process and whether they sleep, as `/proc` has it.
#![cfg(target_os = "linux")]

use crate::common::eventually;
use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::Duration;

/// The names of this process's threads by their id.
pub(crate) fn threads() -> BTreeMap<u32, String> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/task").unwrap().flatten() {
        let id = entry.file_name().to_str().unwrap().parse().unwrap();
        if let Ok(name) = fs::read_to_string(entry.path().join("comm")) {
            all.insert(id, name.trim().to_owned());
        }
    }
    all
}

/// How often a thread has gone to sleep of its own will.
pub(crate) fn sleeps(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/self/task/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
    line.trim().parse().unwrap()
}

/// One that only waits for a processor does not sleep.
fn sleeps_now(id: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/self/task/{id}/stat")).unwrap();
    // The name is in parentheses and may contain anything.
    stat.rsplit_once(") ").unwrap().1.starts_with('S')
}

/// Waits until a thread sleeps, and not for a moment only; how often it had gone to sleep by then.
pub(crate) fn asleep(id: u32) -> u64 {
    let mut before = 0;
    eventually("the thread to fall asleep", || {
        before = sleeps(id);
        let was_asleep = sleeps_now(id);
        thread::sleep(Duration::from_millis(10));
        was_asleep && sleeps_now(id) && sleeps(id) == before
    });
    before
}
