//! Do the models have teeth? Breaks a copy of the source in one place at a time, and expects a model to fail.
//!
//! `cargo test --features loom --test teeth` applies a sample, one for each protocol; with `RIPCORD_TEETH=all` every mutant
//! of the list, and with any other word those whose model or reason contains it. A mutant that does not compile, or that
//! its model lets pass, fails the test: then a model is missing, or the list is out of date.

#[path = "teeth/mutants.rs"]
mod mutants;

use mutants::{MUTANTS, Mutant};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A model that runs longer than this on a broken source has not noticed.
const LIMIT: Duration = Duration::from_secs(180);

/// What became of a mutant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Killed,
    Alive,
    Slow,
    /// The text to replace was not found exactly once, or the result does not compile.
    Broken,
}

/// The copy that is broken and mended again.
struct Copy {
    root: PathBuf,
    target: PathBuf,
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// The manifest without what the models do not need: other targets, and what only those depend on.
fn lean(manifest: &str) -> String {
    let mut kept = String::new();
    let mut section = String::new();
    let mut keep = true;
    let mut flush = |section: &mut String, keep: bool| {
        if keep {
            kept.push_str(section);
        }
        section.clear();
    };
    for line in manifest.lines() {
        if line.starts_with('[') {
            flush(&mut section, keep);
            keep = !matches!(line, "[dev-dependencies]" | "[[bench]]" | "[[example]]") && !line.starts_with("[dev-dep");
        }
        if line == "name = \"teeth\"" {
            keep = false;
        }
        section.push_str(line);
        section.push('\n');
    }
    flush(&mut section, keep);
    // A workspace of its own, wherever the copy lies.
    kept + "\n[workspace]\n"
}

impl Copy {
    fn new() -> Copy {
        let ours = Path::new(env!("CARGO_MANIFEST_DIR"));
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("teeth");
        let copy = Copy { root: place.join("copy"), target: place.join("target") };
        if copy.root.exists() {
            fs::remove_dir_all(&copy.root).unwrap();
        }
        copy_tree(&ours.join("src"), &copy.root.join("src"));
        copy_tree(&ours.join("loom-tests"), &copy.root.join("loom-tests"));
        let manifest = fs::read_to_string(ours.join("Cargo.toml")).unwrap();
        fs::write(copy.root.join("Cargo.toml"), lean(&manifest)).unwrap();
        if ours.join("Cargo.lock").exists() {
            fs::copy(ours.join("Cargo.lock"), copy.root.join("Cargo.lock")).unwrap();
        }
        // What the crate's documentation includes.
        let _ = fs::copy(ours.join("README.md"), copy.root.join("README.md"));
        if ours.join("docs").exists() {
            copy_tree(&ours.join("docs"), &copy.root.join("docs"));
        }
        copy
    }

    /// Builds the models of the copy as it is now, and says where they are.
    fn build(&self) -> Result<PathBuf, String> {
        let output = Command::new(env!("CARGO"))
            .current_dir(&self.root)
            .args(["test", "--offline", "--profile", "loom", "--features", "loom", "--test", "loom", "--no-run"])
            .env("CARGO_TARGET_DIR", &self.target)
            // Nothing reads it, and it takes as long as the code.
            .env("CARGO_PROFILE_LOOM_DEBUG", "0")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let built = said.lines().rev().find_map(|line| line.trim().strip_prefix("Executable")?.split_once('('));
        match built {
            Some((_, path)) if output.status.success() => Ok(self.root.join(path.trim_end_matches(')'))),
            _ => Err(said),
        }
    }

    /// Runs one model. `None`: it did not come to an end.
    fn passes(&self, models: &Path, model: &str) -> Option<bool> {
        let mut run = Command::new(models)
            .current_dir(&self.root)
            .args([model, "--exact"])
            .env("RUST_BACKTRACE", "0")
            .env_remove("RIPCORD_LOOM")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        loop {
            if let Some(status) = run.try_wait().unwrap() {
                return Some(status.success());
            }
            if start.elapsed() > LIMIT {
                run.kill().unwrap();
                run.wait().unwrap();
                return None;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn try_out(&self, mutant: &Mutant) -> Fate {
        let path = self.root.join(mutant.file);
        let sound = fs::read_to_string(&path).unwrap();
        if sound.matches(mutant.old).count() != 1 {
            report(&format!("{}: {:?} is not there exactly once", mutant.file, mutant.old));
            return Fate::Broken;
        }
        fs::write(&path, sound.replacen(mutant.old, mutant.new, 1)).unwrap();
        let fate = match self.build() {
            Err(errors) => {
                report(&errors);
                Fate::Broken
            }
            Ok(models) => match self.passes(&models, mutant.model) {
                Some(true) => Fate::Alive,
                Some(false) => Fate::Killed,
                None => Fate::Slow,
            },
        };
        fs::write(&path, sound).unwrap();
        fate
    }
}

/// Past the capture of the test frame: the table is the point.
fn report(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[test]
fn every_mutant_is_killed() {
    let which = std::env::var("RIPCORD_TEETH").unwrap_or_default();
    let chosen: Vec<&Mutant> = MUTANTS
        .iter()
        .filter(|mutant| match which.as_str() {
            "" => mutant.sample,
            "all" => true,
            word => mutant.model.contains(word) || mutant.why.contains(word),
        })
        .collect();
    assert!(!chosen.is_empty(), "no mutant bears this name");
    let copy = Copy::new();
    if let Err(errors) = copy.build() {
        panic!("the sound copy does not compile:\n{errors}");
    }
    let start = Instant::now();
    let mut failed = Vec::new();
    for mutant in &chosen {
        let begin = Instant::now();
        let fate = copy.try_out(mutant);
        let word = match fate {
            Fate::Killed => "killed",
            Fate::Alive => "ALIVE",
            Fate::Slow => "TOO SLOW",
            Fate::Broken => "BROKEN",
        };
        let took = begin.elapsed().as_secs_f32();
        report(&format!("{word:<8} {took:>6.1} s  {:<52} {}", mutant.model, mutant.why));
        if fate != Fate::Killed {
            failed.push(mutant.why);
        }
    }
    let killed = chosen.len() - failed.len();
    let took = start.elapsed().as_secs_f32();
    report(&format!("{killed} of {} mutants killed in {took:.0} s; {} on the list", chosen.len(), MUTANTS.len()));
    assert!(failed.is_empty(), "not killed: {failed:#?}");
}

/// The list is up to date, also where the sample does not look.
#[test]
fn every_mutant_has_its_place() {
    for mutant in MUTANTS {
        let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(mutant.file)).unwrap();
        assert_eq!(source.matches(mutant.old).count(), 1, "{}: {:?}", mutant.file, mutant.old);
        assert_ne!(mutant.old, mutant.new, "{}", mutant.why);
    }
}

/// Every model is on the list: a model that no mutant fails may see nothing.
#[test]
fn every_model_has_a_mutant() {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("loom-tests");
    let listed = fs::read_to_string(ours.join("main.rs")).unwrap();
    let models: Vec<&str> = listed.lines().filter_map(|line| line.strip_prefix("mod m")?.strip_suffix(';')).collect();
    assert!(models.len() > 5, "the list of models is not where it was");
    for model in models {
        let prefix = format!("m{model}::");
        assert!(MUTANTS.iter().any(|mutant| mutant.model.starts_with(&prefix)), "no mutant for m{model}");
    }
}

/// Every file below `dir`.
fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// The edges that the tables of the two pages name.
fn edges() -> BTreeSet<String> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let mut edges = BTreeSet::new();
    for page in ["ORDERINGS.md", "orderings-timer.md"] {
        let page = fs::read_to_string(docs.join(page)).unwrap();
        for row in page.lines().filter_map(|line| line.strip_prefix("| ")) {
            let name = row.split([' ', '|']).next().unwrap();
            if name != "edge" {
                edges.insert(name.to_owned());
            }
        }
    }
    edges
}

/// Labels in the source and rows of the tables name the same edges.
#[test]
fn every_label_is_an_edge_and_every_edge_is_labeled() {
    let mut sources = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut sources);
    let edges = edges();
    assert!(edges.len() > 20, "the tables are not where they were: {edges:?}");
    let mut labeled = BTreeSet::new();
    for path in sources {
        let source = fs::read_to_string(&path).unwrap();
        for (number, line) in source.lines().enumerate() {
            let Some((_, label)) = line.split_once("// ORDERING: ") else { continue };
            let first = label.split([' ', ',', '.', ':']).next().unwrap();
            let place = format!("{}:{}", path.display(), number + 1);
            if !matches!(first, "Relaxed" | "none") {
                assert!(edges.contains(first), "{place}: {first} is no edge of docs/ORDERINGS.md");
            }
            labeled.extend(
                edges.iter().filter(|edge| label.split([' ', ',', '.']).any(|word| word == edge.as_str())).cloned(),
            );
        }
    }
    assert_eq!(edges, labeled, "left: the tables; right: the labels");
}
