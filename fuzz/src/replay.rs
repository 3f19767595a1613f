//! Runs every corpus and every regression on stable, without libFuzzer: `cargo run --manifest-path fuzz/Cargo.toml`.
//!
//! ```text
//! replay                       all inputs of all targets; fails if a target has none
//! replay --show TARGET FILE..  what these inputs do, step by step
//! ```

use ripcord_fuzz::{TARGETS, Target};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        [] => replay_all(),
        ["--show", name, ref files @ ..] if !files.is_empty() => show(name, files),
        _ => Err(String::from("usage: replay [--show TARGET FILE..]")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// A panic is an outcome like any other.
fn run(target: &Target, data: &[u8], show: bool) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| (target.run)(data, show))).unwrap_or_else(|_| Err("a panic, printed above".into()))
}

fn replay_all() -> Result<(), String> {
    let mut failed = Vec::new();
    for target in TARGETS {
        let start = Instant::now();
        let mut counts = [0, 0];
        for (count, folder) in counts.iter_mut().zip(["corpus", "regressions"]) {
            for file in files_of(folder, target)? {
                let data = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
                *count += 1;
                if let Err(difference) = run(target, &data, false) {
                    failed.push(format!("{} {}: {difference}", target.name, file.display()));
                }
            }
        }
        let [corpus, regressions] = counts;
        println!("{}: {corpus} inputs, {regressions} regressions, {:.1?}", target.name, start.elapsed());
        if corpus == 0 {
            failed.push(format!("{}: no corpus", target.name));
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
}

/// The files of a target, in order. No folder, no files.
fn files_of(folder: &str, target: &Target) -> Result<Vec<PathBuf>, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(target.name);
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    Ok(files)
}

fn show(name: &str, files: &[&str]) -> Result<(), String> {
    let target = TARGETS.iter().find(|target| target.name == name).ok_or_else(|| {
        let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        format!("no target {name}: there are {names:?}")
    })?;
    for file in files {
        println!("{file}:");
        let data = fs::read(file).map_err(|error| format!("{file}: {error}"))?;
        let outcome = run(target, &data, true);
        println!("  {outcome:?}");
    }
    Ok(())
}
