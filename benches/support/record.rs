//! The machine by name, and files below `docs/records`.

use super::cores;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

pub(crate) fn cpu() -> String {
    let info = read("/proc/cpuinfo");
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or("unknown", |at| at.1).to_string()
}

/// Processor, cores, memory, system.
pub(crate) fn hardware() -> String {
    let memory = read("/proc/meminfo");
    let memory = memory.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1_048_576;
    let kernel = read("/proc/sys/kernel/osrelease");
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    format!("{}, {} cores, {memory} GiB, {os} {} {arch}", cpu(), cores(), kernel.trim())
}

/// Load averages of 1, 5 and 15 minutes.
pub(crate) fn load() -> String {
    read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// Year, month and day, by the calendar of Greenwich.
fn today() -> String {
    let days = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / 86_400) as i64;
    // Counted from the 1st of March of the year 0: leap days come last then.
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year}-{month:02}-{day:02}")
}

/// The processor's name as part of a file's.
fn slug() -> String {
    let name = cpu().to_lowercase().replace("(r)", "").replace("(tm)", "").replace("cpu", "");
    let words: Vec<&str> = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty() && *word != "processor")
        .collect();
    format!("{}-{}-cores", words.join("-"), cores())
}

/// `docs/records/<date>-<cpu><label>`, without an ending.
pub(crate) fn stem(label: &str) -> String {
    format!("{}/docs/records/{}-{}{label}", env!("CARGO_MANIFEST_DIR"), today(), slug())
}

pub(crate) fn save(path: &str, text: &str) {
    let path = Path::new(path);
    let saved = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, text));
    match saved {
        Ok(()) => println!("written: {}", path.display()),
        Err(error) => println!("not written: {}: {error}", path.display()),
    }
}
