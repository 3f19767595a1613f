//! Labels in the source and rows of the tables name the same edges.

use super::{root, scan};
use std::collections::BTreeSet;
use std::fs;

/// The edges that the tables of the two pages name.
fn edges() -> BTreeSet<String> {
    let mut edges = BTreeSet::new();
    for page in ["ORDERINGS.md", "orderings-timer.md"] {
        let page = fs::read_to_string(root().join("docs").join(page)).unwrap();
        for row in page.lines().filter_map(|line| line.strip_prefix("| ")).filter(|row| !row.starts_with('`')) {
            let name = row.split([' ', '|']).next().unwrap();
            if !matches!(name, "edge" | "weakening") {
                edges.insert(name.to_owned());
            }
        }
    }
    edges
}

#[test]
fn every_label_is_an_edge_and_every_edge_is_labeled() {
    let mut sources = Vec::new();
    scan::files(&root().join("src"), &mut sources);
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

/// A row that promises a model has one.
#[test]
fn every_edge_has_its_model() {
    for page in ["ORDERINGS.md", "orderings-timer.md"] {
        let page = fs::read_to_string(root().join("docs").join(page)).unwrap();
        assert!(!page.contains("no model yet"), "an edge without a model");
    }
}
