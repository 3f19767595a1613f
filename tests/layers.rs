//! The house has floors: an arrow (a `use`, or a path in code) goes down, or to the left on its own floor, or stays in
//! its own directory; there are no import cycles, and no file is longer than 450 lines.
//!
//! Reads the sources as text. Comments and strings do not count, nor do unit tests, which may look anywhere.
#![cfg(not(feature = "loom"))]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// From the ground to the roof. On one floor a room may lean on those to its left.
const FLOORS: &[(&str, &[&str])] = &[
    ("0, the doors", &["sync", "error", "trace"]),
    (
        "1, the words",
        &["config", "shield", "clock", "refs", "claim", "queue", "few", "cause", "state", "value", "base"],
    ),
    ("2, the engines", &["slots", "signal", "hook", "after", "foreign", "timer"]),
    ("3, the node", &["node"]),
    ("4, what people hold", &["context", "group", "shutdown", "budget", "inspect", "time"]),
    ("5, the bridges", &["bridge"]),
    ("the roof", &["lib", "docs"]),
];

/// The roof: what `crate::Name` means when `Name` is no module.
const ROOF: &str = "lib";

const MOST_LINES: usize = 450;

/// Floor and place of a room.
fn place(room: &str) -> Option<(usize, usize)> {
    FLOORS
        .iter()
        .enumerate()
        .find_map(|(floor, (_, rooms))| rooms.iter().position(|name| *name == room).map(|at| (floor, at)))
}

/// The source without comments, strings and character literals; lines stay where they are.
fn code_only(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut i = 0;
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let blank = |out: &mut String, from: usize, to: usize| {
        out.extend(chars[from..to.min(chars.len())].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
    };
    while i < chars.len() {
        let start = i;
        let word_before = i > 0 && (at(i - 1).is_alphanumeric() || at(i - 1) == '_');
        match (at(i), at(i + 1)) {
            ('/', '/') => {
                while i < chars.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            ('/', '*') => {
                let mut depth = 0;
                loop {
                    match (at(i), at(i + 1)) {
                        ('/', '*') => (depth, i) = (depth + 1, i + 2),
                        ('*', '/') => (depth, i) = (depth - 1, i + 2),
                        _ => i += 1,
                    }
                    if depth == 0 || i >= chars.len() {
                        break;
                    }
                }
            }
            ('r', '"' | '#') if !word_before => {
                let hashes = chars[i + 1..].iter().take_while(|c| **c == '#').count();
                i += 1 + hashes;
                if at(i) == '"' {
                    i += 1;
                    while i < chars.len() && !(at(i) == '"' && (1..=hashes).all(|n| at(i + n) == '#')) {
                        i += 1;
                    }
                    i += 1 + hashes;
                }
            }
            ('"', _) => {
                i += 1;
                while i < chars.len() && at(i) != '"' {
                    i += if at(i) == '\\' { 2 } else { 1 };
                }
                i += 1;
            }
            ('\'', '\\') => {
                i += 3;
                while i < chars.len() && at(i) != '\'' {
                    i += 1;
                }
                i += 1;
            }
            ('\'', _) if at(i + 2) == '\'' => i += 3,
            (c, _) => {
                out.push(c);
                i += 1;
                continue;
            }
        }
        blank(&mut out, start, i);
    }
    out
}

/// A word or `::` or one other sign, with its line.
fn tokens(code: &str) -> Vec<(String, usize)> {
    let mut out: Vec<(String, usize)> = Vec::new();
    for (line, text) in code.lines().enumerate() {
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let len = if word > 0 {
                word
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            out.push((rest[..len].to_owned(), line + 1));
            rest = rest[len..].trim_start();
        }
    }
    out
}

/// A path named in a file, resolved to the words after `crate::`.
#[derive(Debug, Clone)]
struct Named {
    words: Vec<String>,
    line: usize,
    /// `pub use`: a signpost to what lies elsewhere, which leans on nothing.
    signpost: bool,
}

/// The module of a file below `src`: `node/mod.rs` is `[node]`, `node/walk.rs` is `[node, walk]`, `lib.rs` is `[]`.
fn module_of(file: &str) -> Vec<String> {
    let mut words: Vec<String> = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if words.last().is_some_and(|last| last == "mod") || words == [ROOF] {
        words.pop();
    }
    words
}

fn named_in(file: &str, source: &str) -> Vec<Named> {
    let tokens = tokens(&code_only(source));
    let word = |i: usize| tokens.get(i).map_or("", |(word, _)| word.as_str());
    let children: BTreeSet<&str> =
        (0..tokens.len()).filter(|&i| word(i) == "mod" && word(i + 2) == ";").map(|i| word(i + 1)).collect();
    let mut module = module_of(file);
    let mut braces: Vec<bool> = Vec::new();
    let mut out = Vec::new();
    let mut i = 0;
    let mut signpost = false;
    while i < tokens.len() {
        match word(i) {
            "mod" if word(i + 2) == "{" => {
                module.push(word(i + 1).to_owned());
                braces.push(true);
                i += 3;
                continue;
            }
            "{" => braces.push(false),
            "}" if braces.pop() == Some(true) => drop(module.pop()),
            // `pub(in path)` says who may look in, and leans on nobody.
            "in" if i > 1 && word(i - 1) == "(" && word(i - 2) == "pub" => {
                while i < tokens.len() && word(i) != ")" {
                    i += 1;
                }
            }
            "use" => signpost = i > 0 && matches!(word(i - 1), "pub" | ")"),
            ";" => signpost = false,
            start if word(i + 1) == "::" && (i == 0 || word(i - 1) != "::") => {
                let mut base = module.clone();
                let mut next = i + 2;
                let known = match start {
                    "crate" => {
                        base.clear();
                        true
                    }
                    "self" => true,
                    "super" => {
                        base.pop();
                        while word(next) == "super" {
                            base.pop();
                            next += 2;
                        }
                        true
                    }
                    child => {
                        children.contains(child) && {
                            base.push(child.to_owned());
                            true
                        }
                    }
                };
                if known && !module.iter().any(|word| word == "tests") {
                    tree(&tokens, &mut next, base, signpost, &mut out);
                    i = next;
                    continue;
                }
            }
            _ => {}
        }
        i += 1;
    }
    out
}

/// Reads `a::b::{c, d::e}` from `next` on and leaves `next` behind it.
fn tree(tokens: &[(String, usize)], next: &mut usize, base: Vec<String>, signpost: bool, out: &mut Vec<Named>) {
    let word = |i: usize| tokens.get(i).map_or("", |(word, _)| word.as_str());
    let line = tokens.get(*next).map_or(0, |(_, line)| *line);
    let mut words = base;
    loop {
        if word(*next) == "{" {
            *next += 1;
            while !matches!(word(*next), "}" | "") {
                tree(tokens, next, words.clone(), signpost, out);
                while !matches!(word(*next), "," | "}" | "") {
                    *next += 1;
                }
                if word(*next) == "," {
                    *next += 1;
                }
            }
            *next += 1;
            return;
        }
        if word(*next).starts_with(|c: char| c.is_alphabetic() || c == '_') && word(*next) != "self" {
            words.push(word(*next).to_owned());
        }
        *next += 1;
        if word(*next) != "::" {
            out.push(Named { words, line, signpost });
            return;
        }
        *next += 1;
    }
}

/// Everything wrong with these files, given as paths below `src` and their text.
fn faults(files: &[(String, String)]) -> Vec<String> {
    let modules: BTreeMap<Vec<String>, &str> = files.iter().map(|(file, _)| (module_of(file), file.as_str())).collect();
    let file_of = |words: &[String]| (0..=words.len()).rev().find_map(|n| modules.get(&words[..n]).copied());
    let mut faults = Vec::new();
    let mut leans: Leans<'_> = BTreeMap::new();
    let room_of = |file: &str| module_of(file).first().cloned().unwrap_or_else(|| ROOF.to_owned());
    for (file, source) in files {
        let room = room_of(file);
        let Some(here) = place(&room) else {
            faults.push(format!("{file}: `{room}` stands on no floor: add it to FLOORS in tests/layers.rs"));
            continue;
        };
        if file.ends_with("tests.rs") {
            continue;
        }
        for named in named_in(file, source) {
            let path = named.words.join("::");
            let to = file_of(&named.words).unwrap_or("lib.rs");
            let to_room = room_of(to);
            if to_room != room {
                match place(&to_room) {
                    Some(there) if there < here => {}
                    Some(there) => faults.push(format!(
                        "{file}:{}: `crate::{path}` points {}: `{room}` is on floor {}, `{to_room}` on floor {}",
                        named.line,
                        if there.0 == here.0 { "to the right" } else { "upward" },
                        FLOORS[here.0].0,
                        FLOORS[there.0].0,
                    )),
                    // Reported with the file itself.
                    None => {}
                }
            }
            if to != file && !named.signpost {
                leans.entry(file).or_default().entry(to).or_insert(named.line);
            }
        }
    }
    for cycle in cycles(&leans) {
        let steps: Vec<_> = cycle.windows(2).map(|step| format!("{}:{}", step[0], leans[step[0]][step[1]])).collect();
        faults.push(format!("an import cycle: {} -> {}", steps.join(" -> "), cycle[0]));
    }
    faults
}

/// Which file leans on which others, and in which line.
type Leans<'a> = BTreeMap<&'a str, BTreeMap<&'a str, usize>>;

/// One cycle for each file from which one can come back to it, the shortest way.
fn cycles<'a>(leans: &Leans<'a>) -> Vec<Vec<&'a str>> {
    let mut found: Vec<Vec<&str>> = Vec::new();
    for &start in leans.keys() {
        let mut ways = vec![vec![start]];
        let mut seen = BTreeSet::new();
        let mut next = 0;
        'search: while next < ways.len() {
            let way = ways[next].clone();
            next += 1;
            for &to in leans.get(way[way.len() - 1]).into_iter().flat_map(BTreeMap::keys) {
                let mut longer = way.clone();
                longer.push(to);
                if to == start {
                    let members: BTreeSet<_> = longer.iter().collect();
                    if !found.iter().any(|cycle| cycle.iter().collect::<BTreeSet<_>>() == members) {
                        found.push(longer);
                    }
                    break 'search;
                }
                if seen.insert(to) {
                    ways.push(longer);
                }
            }
        }
    }
    found
}

/// Every `.rs` file below a directory of the package, as paths below it.
fn files_below(directory: &str) -> Vec<(String, String)> {
    fn collect(root: &Path, at: &Path, out: &mut Vec<(String, String)>) {
        let Ok(entries) = fs::read_dir(at) else { return };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                if path.file_name().is_some_and(|name| name != "target") {
                    collect(root, &path, out);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let below = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
                out.push((below, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let mut out = Vec::new();
    collect(&root, &root, &mut out);
    out.sort();
    out
}

#[test]
fn arrows_go_down_and_never_round() {
    let files = files_below("src");
    assert!(files.len() > 5, "the sources were not found");
    let faults = faults(&files);
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn no_file_is_too_long() {
    let mut seen = 0;
    for directory in
        ["src", "tests", "examples", "benches", "loom-tests", "shuttle-tests", "fuzz", "bridge-tests", "pingora-tests"]
    {
        for (file, text) in files_below(directory) {
            let lines = text.lines().count();
            assert!(lines <= MOST_LINES, "{directory}/{file} has {lines} lines, {MOST_LINES} are enough");
            seen += 1;
        }
    }
    assert!(seen > 20, "the files were not found");
}

fn faults_of(files: &[(&str, &str)]) -> Vec<String> {
    faults(&files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect::<Vec<_>>())
}

#[test]
fn the_check_sees_upward_sideways_and_unknown() {
    let base = [("sync/mod.rs", ""), ("node/mod.rs", ""), ("lib.rs", "pub use context::Context;"), ("context.rs", "")];
    let with = |file, text| {
        let mut files = base.to_vec();
        files.push((file, text));
        faults_of(&files)
    };
    assert_eq!(with("slots.rs", "use crate::sync::Atomic;"), [""; 0]);
    for upward in [
        "use crate::node::Node;",
        "use crate::{sync::{self, Atomic}, node::{Node}};",
        "fn f() { let x = crate::node::f(); }",
        "use super::node::Node;",
        "mod inner { use super::super::node::Node; }",
        "use crate::Context;",
        "pub use crate::context::Context;",
    ] {
        let found = with("slots.rs", upward);
        assert_eq!(found.len(), 1, "{upward}: {found:?}");
        assert!(found[0].contains("slots.rs:1") && found[0].contains("upward"), "{found:?}");
    }
    let sideways = with("config.rs", "\n\nuse crate::shield::Shield;");
    assert_eq!(sideways.len(), 1, "an arrow to a room without a file is an arrow to the roof: {sideways:?}");
    let mut files = base.to_vec();
    files.extend([("config.rs", "\n\nuse crate::shield::Shield;"), ("shield.rs", "")]);
    let sideways = faults_of(&files);
    assert!(sideways[0].contains("config.rs:3") && sideways[0].contains("to the right"), "{sideways:?}");
    let unknown = with("attic.rs", "");
    assert!(unknown[0].contains("add it to FLOORS"), "{unknown:?}");
}

#[test]
fn the_check_sees_cycles_inside_a_directory() {
    let files = [
        ("node/mod.rs", "mod walk; mod tell; pub(crate) use walk::Walk; struct Node;"),
        ("node/walk.rs", "use super::Node; use super::tell::Tell;"),
        ("node/tell.rs", "use crate::node::walk;"),
    ];
    let found = faults_of(&files);
    assert_eq!(found, ["an import cycle: node/tell.rs:1 -> node/walk.rs:1 -> node/tell.rs"]);
    let round = faults_of(&[("node/mod.rs", "mod walk; fn f() { walk::g() }"), ("node/walk.rs", "use super::f;")]);
    assert_eq!(round.len(), 1, "{round:?}");
}

#[test]
fn the_check_does_not_count_comments_strings_and_unit_tests() {
    let innocent = r##"
        //! See [`Context`](crate::context::Context).
        /* use crate::node::Node; /* nested crate::node */ crate::node::x */
        const A: &str = "crate::node::Node \" crate::node";
        const B: &str = r#"crate::node " crate::node"#;
        const C: char = '"'; const D: char = '\''; // crate::node
        fn life<'a>(x: &'a str) -> &'a str { x }
        mod tests { use crate::node::Node; use crate::Context; }
        pub(in crate::node) struct Seen;
    "##;
    assert_eq!(faults_of(&[("slots.rs", innocent), ("node/mod.rs", "")]), [""; 0]);
    let guilty = format!("{innocent}\nuse crate::node::Node;");
    assert_eq!(faults_of(&[("slots.rs", &guilty), ("node/mod.rs", "")]).len(), 1);
}
