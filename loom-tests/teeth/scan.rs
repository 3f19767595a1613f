//! Finds every ordering and every fence of the source, and says how each can be weakened by one step.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// One way to weaken one token of one file.
#[derive(Clone, Debug)]
pub(crate) struct Weakening {
    /// `file function edge#n From>To`: the n-th token of the function that is not Relaxed.
    pub(crate) id: String,
    /// Below `src`.
    pub(crate) file: String,
    /// Where the token is, in bytes.
    pub(crate) at: std::ops::Range<usize>,
    /// The weaker ordering; none: the fence is removed.
    pub(crate) to: Option<&'static str>,
}

/// What stands in for something in the models, or is only run by tests: its orderings are not the crate's.
const NOT_SHIPPED: [&str; 4] = ["timer/models.rs", "timer/driver_model.rs", "timer/runner_model.rs", "sync/model.rs"];

/// Every `.rs` file below `src`, by its path below it. Tests and models are left out.
pub(crate) fn sources(root: &Path) -> BTreeMap<String, String> {
    let mut found = Vec::new();
    files(&root.join("src"), &mut found);
    let mut sources = BTreeMap::new();
    for path in found {
        let name = path.strip_prefix(root.join("src")).unwrap().to_str().unwrap().replace('\\', "/");
        let test = name.ends_with("tests.rs") || name.contains("/tests/");
        if name.ends_with(".rs") && !test && !NOT_SHIPPED.contains(&name.as_str()) {
            sources.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
    sources
}

/// Every file below `dir`.
pub(crate) fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// The text with comments blanked out, byte for byte. Good enough for sources whose strings hold no slashes.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        match line.find("//") {
            Some(at) => {
                out.push_str(&line[..at]);
                out.extend(line[at..].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
            }
            None => out.push_str(line),
        }
    }
    assert_eq!(out.len(), text.len());
    out
}

/// The name behind the last `fn ` before `at`, and where it stands.
fn function(code: &str, at: usize) -> (&str, usize) {
    let mut from = at;
    loop {
        let Some(found) = code[..from].rfind("fn ") else { return ("-", 0) };
        let name = &code[found + 3..];
        let len = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(0);
        let starts = code[..found].chars().next_back().is_none_or(char::is_whitespace);
        if len > 0 && starts {
            return (&name[..len], found);
        }
        from = found;
    }
}

/// The edge that the last label between the function's beginning and the token names.
fn edge(text: &str, from: usize, at: usize) -> &str {
    let Some(found) = text[from..at].rfind("// ORDERING: ") else { return "-" };
    let label = &text[from + found + "// ORDERING: ".len()..];
    label.split([' ', ',', '.', ':']).next().unwrap_or("-")
}

/// The call that the token is an argument of.
fn method(code: &str, at: usize) -> &str {
    let calls = ["load(", "store(", "swap(", "compare_exchange(", "compare_exchange_weak(", "fetch_", "set_bits("];
    let last = calls.iter().filter_map(|call| code[..at].rfind(call).map(|found| (found, *call))).max();
    last.map_or("", |(_, call)| call)
}

/// One step down. Anything can be weakened but what is Relaxed.
fn weaker(from: &str, method: &str) -> &'static [&'static str] {
    match (from, method) {
        ("AcqRel", _) => &["Acquire", "Release"],
        ("Acquire" | "Release", _) => &["Relaxed"],
        ("SeqCst", "load(") => &["Acquire"],
        ("SeqCst", "store(") => &["Release"],
        ("SeqCst", _) => &["AcqRel"],
        _ => &[],
    }
}

/// Every weakening of a file, in the order of the text.
pub(crate) fn weakenings(file: &str, text: &str) -> Vec<Weakening> {
    const TOKEN: &str = "Ordering::";
    const FENCE: &str = "fence(Ordering::SeqCst);";
    let code = without_comments(text);
    let mut found = Vec::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut from = 0;
    while let Some(next) = code[from..].find(TOKEN) {
        let at = from + next;
        from = at + TOKEN.len();
        let name = &code[from..];
        let name = &name[..name.find(|c: char| !c.is_alphabetic()).unwrap_or(0)];
        if !matches!(name, "Acquire" | "Release" | "AcqRel" | "SeqCst") {
            continue;
        }
        let (function, start) = function(&code, at);
        let count = counts.entry(function).or_default();
        *count += 1;
        let place = format!("{file} {function} {}#{count}", edge(text, start, at));
        let fence = at.saturating_sub("fence(".len());
        if code.get(fence..).is_some_and(|code| code.starts_with(FENCE)) {
            let at = fence..fence + FENCE.len();
            found.push(Weakening { id: format!("{place} fence"), file: file.to_owned(), at, to: None });
            continue;
        }
        let range = at..from + name.len();
        let steps = weaker(name, method(&code, at));
        assert!(!steps.is_empty(), "{place}: cannot weaken {name}");
        for to in steps {
            let id = format!("{place} {name}>{to}");
            found.push(Weakening { id, file: file.to_owned(), at: range.clone(), to: Some(to) });
        }
    }
    found
}

/// Every weakening of the source.
pub(crate) fn all(root: &Path) -> Vec<Weakening> {
    sources(root).iter().flat_map(|(file, text)| weakenings(file, text)).collect()
}

#[test]
fn the_scan_finds_what_it_should() {
    let source = "
        fn one(&self) {
            // ORDERING: seat (writer). Not Ordering::SeqCst.
            self.0.compare_exchange(a, b, Ordering::AcqRel, Ordering::Acquire);
            fence(Ordering::SeqCst);
            self.0.store(c, Ordering::Relaxed);
        }
        fn other() { x.load(Ordering::SeqCst); y.swap(z, Ordering::SeqCst) }";
    let ids: Vec<_> = weakenings("a.rs", source).into_iter().map(|found| found.id).collect();
    assert_eq!(
        ids,
        [
            "a.rs one seat#1 AcqRel>Acquire",
            "a.rs one seat#1 AcqRel>Release",
            "a.rs one seat#2 Acquire>Relaxed",
            "a.rs one seat#3 fence",
            "a.rs other -#1 SeqCst>Acquire",
            "a.rs other -#2 SeqCst>AcqRel",
        ]
    );
}
