//! Do the models have teeth? Breaks the source in one place at a time, and expects a model to fail.
//!
//! Two kinds of mutants: every ordering of the source weakened by one step and every fence removed, which [`scan`] finds
//! by itself; and steps of the protocols left out, which [`mutants`] lists. All of them are put into one copy of the
//! source, asleep, and that is built once ([`graft`]); the environment wakes one for each run.
//!
//! `cargo test --features loom --test teeth` tries them all; `RIPCORD_TEETH=<word>` those whose id, reason or model contains
//! the word. `RIPCORD_TEETH=list` only says what there is.
//!
//! Each weakening has its row in [`orderings`], with the models of which one must fail, or in the table of
//! `docs/ORDERINGS.md` that says why none does. One that is in neither fails the test, before anything is built.
#![cfg(not(feature = "shuttle"))]

#[path = "teeth/copy.rs"]
mod copy;
#[path = "teeth/graft.rs"]
mod graft;
#[path = "teeth/labels.rs"]
mod labels;
#[path = "left_out.rs"]
mod left_out;
#[path = "teeth/mutants.rs"]
mod mutants;
#[path = "teeth/orderings.rs"]
mod orderings;
#[path = "teeth/scan.rs"]
mod scan;

use copy::{Copy, Verdict};
use left_out::LEFT_OUT;
use mutants::MUTANTS;
use orderings::{KILLED, TOGETHER};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Past the capture of the test frame: the table is the point.
fn report(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A mutant to try.
struct Trial {
    /// More than one where each covers for the others.
    numbers: Vec<usize>,
    name: String,
    models: &'static [&'static str],
}

/// The weakenings that are explained in the table of the page; a name that ends with `*` stands for all that begin so.
fn explained() -> Vec<String> {
    let page = fs::read_to_string(root().join("docs/ORDERINGS.md")).unwrap();
    let (_, table) = page.split_once("\n# Not killed, and why").expect("the page has its last part");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| row.split_once('`').expect("a name between two ticks").0.to_owned()).collect()
}

fn explains(row: &str, id: &str) -> bool {
    row.strip_suffix('*').map_or(row == id, |prefix| id.starts_with(prefix))
}

fn trials() -> Vec<Trial> {
    let weakenings = scan::all(root());
    let mut trials = Vec::new();
    for (number, weakening) in weakenings.iter().enumerate() {
        if let Some((_, models)) = KILLED.iter().find(|(id, ..)| *id == weakening.id) {
            trials.push(Trial { numbers: vec![number], name: weakening.id.clone(), models });
        }
    }
    for (ids, models) in TOGETHER {
        let number = |id: &&str| {
            let found = weakenings.iter().position(|weakening| weakening.id == **id);
            found.unwrap_or_else(|| panic!("{id}: in orderings.rs, not in the source"))
        };
        trials.push(Trial { numbers: ids.iter().map(number).collect(), name: ids.join(" + "), models });
    }
    for (at, mutant) in MUTANTS.iter().enumerate() {
        let name = format!("{} ({})", mutant.why, mutant.file);
        trials.push(Trial { numbers: vec![weakenings.len() + at], name, models: mutant.models });
    }
    trials
}

#[test]
fn every_mutant_is_killed() {
    let which = std::env::var("RIPCORD_TEETH").unwrap_or_default();
    let weakenings = scan::all(root());
    if which == "list" {
        weakenings.iter().enumerate().for_each(|(number, weakening)| report(&format!("{number:>4} {}", weakening.id)));
    }
    let chosen: Vec<Trial> = trials()
        .into_iter()
        .filter(|trial| match which.as_str() {
            "list" => true,
            word => trial.name.contains(word) || trial.models.iter().any(|model| model.contains(word)),
        })
        .collect();
    assert!(!chosen.is_empty(), "no mutant bears this name");
    let start = Instant::now();
    let mut copy = Copy::new();
    graft::graft(&copy.root, &weakenings, MUTANTS).unwrap();
    if let Err(errors) = copy.build() {
        panic!("the copy with its mutants asleep does not compile:\n{errors}");
    }
    report(&format!("built in {:.0} s", start.elapsed().as_secs_f32()));
    if which == "list" {
        return;
    }
    let failed = Mutex::new(Vec::new());
    let killers = Mutex::new(BTreeSet::new());
    in_parallel(&chosen, |trial| {
        let begin = Instant::now();
        let mut told = String::new();
        let killer = trial.models.iter().find(|model| {
            let verdict = copy.run(model, &trial.numbers);
            told.push_str(&format!(" {model}: {verdict:?};"));
            verdict == Verdict::Failed
        });
        let took = begin.elapsed().as_secs_f32();
        match killer {
            Some(model) => {
                report(&format!("killed {took:>6.1} s  {model:<44} {}", trial.name));
                killers.lock().unwrap().insert(*model);
            }
            None => {
                report(&format!("ALIVE  {took:>6.1} s  {:<44} {}", told, trial.name));
                failed.lock().unwrap().push(trial.name.clone());
            }
        }
    });
    let killed = chosen.len() - failed.lock().unwrap().len();
    // With all asleep the same models pass: so it was the mutants that failed them.
    let killers: Vec<&str> = killers.into_inner().unwrap().into_iter().collect();
    in_parallel(&killers, |model| {
        if copy.run(model, &[]) != Verdict::Passed {
            report(&format!("{model} fails with all mutants asleep"));
            failed.lock().unwrap().push((*model).to_owned());
        }
    });
    let failed = failed.into_inner().unwrap();
    let took = start.elapsed().as_secs_f32();
    report(&format!(
        "{killed} of {} mutants killed in {took:.0} s; there are {} weakenings, {} of them explained, {} groups of those, \
         and {} broken steps",
        chosen.len(),
        weakenings.len(),
        weakenings.len() - KILLED.len(),
        TOGETHER.len(),
        MUTANTS.len(),
    ));
    assert!(failed.is_empty(), "not killed: {failed:#?}");
}

/// Two at a time: models take one processor each.
fn in_parallel<T: Sync>(items: &[T], each: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Relaxed)) {
                    each(item);
                }
            });
        }
    });
}

/// A new ordering needs an entry: models that fail without it, or a row that says why none does.
#[test]
fn every_ordering_is_killed_or_explained() {
    let weakenings = scan::all(root());
    assert!(weakenings.len() > 100, "the scan finds nothing: {}", weakenings.len());
    let ids: Vec<&str> = weakenings.iter().map(|weakening| weakening.id.as_str()).collect();
    let explained = explained();
    let mut faults = Vec::new();
    for id in &ids {
        let killed = KILLED.iter().filter(|(known, ..)| known == id).count();
        let argued = explained.iter().filter(|row| explains(row, id)).count();
        if killed + argued != 1 {
            faults.push(format!("{id}: {killed} rows in orderings.rs, {argued} in docs/ORDERINGS.md, not one of both"));
        }
    }
    for (id, ..) in KILLED {
        if !ids.contains(id) {
            faults.push(format!("{id}: in orderings.rs, not in the source"));
        }
    }
    for row in &explained {
        if !ids.iter().any(|id| explains(row, id)) {
            faults.push(format!("{row}: in docs/ORDERINGS.md, not in the source"));
        }
    }
    let unique: BTreeSet<_> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len(), "two weakenings with one name");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The list is up to date.
#[test]
fn every_mutant_has_its_place() {
    let sources = scan::sources(root());
    for mutant in MUTANTS {
        let source = sources.get(mutant.file).unwrap_or_else(|| panic!("no file {}", mutant.file));
        assert!(graft::place(source, mutant).is_some(), "{}: {:?} is not there once", mutant.file, mutant.old);
        assert_ne!(mutant.old, mutant.new, "{}", mutant.why);
    }
}

/// What `cargo loom` says it leaves out is what is compiled out.
#[test]
fn what_is_left_out_is_named() {
    let mut out = BTreeSet::new();
    for module in modules() {
        let text = fs::read_to_string(root().join(format!("loom-tests/{module}.rs"))).unwrap();
        for row in text.split("#[cfg(not(crossbeam_loom))]\n#[test]\nfn ").skip(1) {
            out.insert(format!("{module}::{}", row.split('(').next().unwrap()));
        }
    }
    assert_eq!(out, LEFT_OUT.iter().map(|row| (*row).to_owned()).collect());
}

/// The modules of `loom-tests/main.rs`.
fn modules() -> Vec<String> {
    let main = fs::read_to_string(root().join("loom-tests/main.rs")).unwrap();
    main.lines().filter_map(|line| Some(line.strip_prefix("mod ")?.strip_suffix(';')?.to_owned())).collect()
}

/// The models by their names: those of `loom-tests`, and the timer's.
fn models() -> BTreeSet<String> {
    let mut models = BTreeSet::new();
    let mut add = |module: &str, text: &str| {
        let mut test = false;
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("fn ").filter(|_| test) {
                models.insert(format!("{module}::{}", name.split('(').next().unwrap()));
            }
            test = line == "#[test]" || test && line.starts_with('#');
        }
    };
    for module in modules() {
        let text = fs::read_to_string(root().join(format!("loom-tests/{module}.rs"))).unwrap();
        add(&module, &text);
    }
    add("timer::models", &fs::read_to_string(root().join("src/timer/models.rs")).unwrap());
    add("timer::slab_modeled::models", &fs::read_to_string(root().join("src/timer/slab/models.rs")).unwrap());
    models
}

/// Names are right, and every file of models is on the lists: one that no mutant fails may see nothing.
#[test]
fn every_model_has_a_mutant() {
    let models = models();
    let named: BTreeSet<&str> = trials().iter().flat_map(|trial| trial.models.iter().copied()).collect();
    for name in &named {
        assert!(models.contains(*name), "there is no model {name}");
    }
    let mut files: BTreeMap<&str, bool> = BTreeMap::new();
    for model in &models {
        let file = model.rsplit_once("::").unwrap().0;
        *files.entry(file).or_default() |= named.contains(model.as_str());
    }
    assert!(files.len() > 15, "the models are not where they were");
    for (file, bitten) in files {
        assert!(bitten, "no mutant for {file}");
    }
}
