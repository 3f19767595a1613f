//! The copy of the package that the mutants live in, and runs of its models.

use super::graft::{CHOOSE, REACHED};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A model that runs longer than this has not noticed.
const LIMIT: Duration = Duration::from_secs(300);

/// What loom says when a run is too long for it: no verdict on the source.
const TOO_LONG: &str = "exceeded maximum number of branches";

/// What became of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It failed.
    Failed,
    Passed,
    /// It passed, and never came to the mutant.
    PassedBy,
    Slow,
}

pub(crate) struct Copy {
    pub(crate) root: PathBuf,
    target: PathBuf,
    models: PathBuf,
    units: PathBuf,
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
    for section in manifest.split("\n[") {
        let section = if kept.is_empty() { section.to_owned() } else { format!("[{section}") };
        let head = section.lines().find(|line| line.starts_with('[')).unwrap_or_default();
        let other =
            ["[dev-dep", "[[bench", "[[example", "[workspace", "[[bin"].iter().any(|name| head.starts_with(name));
        let test = head == "[[test]]" && !section.contains("name = \"loom\"");
        if !other && !test {
            kept.push_str(&section);
            kept.push('\n');
        }
    }
    // A workspace of its own, wherever the copy lies.
    kept + "\n[workspace]\n"
}

impl Copy {
    pub(crate) fn new() -> Copy {
        let ours = Path::new(env!("CARGO_MANIFEST_DIR"));
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("teeth");
        let root = place.join("copy");
        if root.exists() {
            fs::remove_dir_all(&root).unwrap();
        }
        copy_tree(&ours.join("src"), &root.join("src"));
        copy_tree(&ours.join("loom-tests"), &root.join("loom-tests"));
        let manifest = fs::read_to_string(ours.join("Cargo.toml")).unwrap();
        fs::write(root.join("Cargo.toml"), lean(&manifest)).unwrap();
        let _ = fs::copy(ours.join("Cargo.lock"), root.join("Cargo.lock"));
        Copy { root, target: place.join("target"), models: PathBuf::new(), units: PathBuf::new() }
    }

    /// Builds the models of the copy as it is now.
    pub(crate) fn build(&mut self) -> Result<(), String> {
        let output = Command::new(env!("CARGO"))
            .current_dir(&self.root)
            .args([
                "test",
                "--offline",
                "--profile",
                "loom",
                "--features",
                "loom",
                "--lib",
                "--test",
                "loom",
                "--no-run",
            ])
            .env("CARGO_TARGET_DIR", &self.target)
            // Nothing reads it, and it takes as long as the code.
            .env("CARGO_PROFILE_LOOM_DEBUG", "0")
            // The switch is no work of art.
            .env("RUSTFLAGS", "--cap-lints allow")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let built = |what: &str| {
            let line = said.lines().find_map(|line| line.trim().strip_prefix("Executable")?.split_once(what))?.1;
            Some(self.root.join(line.split_once('(')?.1.trim_end_matches(')')))
        };
        match (built("loom-tests/main.rs"), built("src/lib.rs")) {
            (Some(models), Some(units)) if output.status.success() => {
                (self.models, self.units) = (models, units);
                Ok(())
            }
            _ => Err(said),
        }
    }

    /// Runs one model with these mutants awake.
    pub(crate) fn run(&self, model: &str, mutants: &[usize]) -> Verdict {
        let binary = if model.starts_with("timer::") { &self.units } else { &self.models };
        let chosen = mutants.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let said = self.root.join(format!("said-{chosen}-{}", model.replace(':', "_")));
        let out = fs::File::create(&said).unwrap();
        let mut run = Command::new(binary)
            .current_dir(&self.root)
            .args([model, "--exact"])
            .env("RUST_BACKTRACE", "0")
            .env(CHOOSE, &chosen)
            .env_remove("RIPCORD_LOOM")
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        let start = Instant::now();
        let status = loop {
            if let Some(status) = run.try_wait().unwrap() {
                break Some(status);
            }
            if start.elapsed() > LIMIT {
                run.kill().unwrap();
                run.wait().unwrap();
                break None;
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let text = String::from_utf8_lossy(&fs::read(&said).unwrap()).into_owned();
        let _ = fs::remove_file(&said);
        let Some(status) = status else { return Verdict::Slow };
        assert!(!text.contains("running 0 tests"), "there is no model {model}");
        if status.success() {
            let reached = mutants.iter().all(|number| text.contains(&format!("{REACHED}{number}\n")));
            return if reached { Verdict::Passed } else { Verdict::PassedBy };
        }
        if text.contains(TOO_LONG) { Verdict::Slow } else { Verdict::Failed }
    }
}

#[test]
fn the_lean_manifest_has_one_test() {
    let ours = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let lean = lean(&ours);
    assert_eq!(lean.matches("[[test]]").count(), 1);
    assert!(lean.contains("[dependencies]") && lean.contains("[profile.loom]") && !lean.contains("[dev-dependencies]"));
}
