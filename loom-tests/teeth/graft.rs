//! A copy of the source that holds every mutant at once: each is asleep until the environment names it. So all of them
//! cost one build.

use super::mutants::Mutant;
use super::scan::{self, Weakening};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What wakes mutants: a variable with their numbers. `trace` wakes none, and says which are passed by.
pub(crate) const CHOOSE: &str = "RIPCORD_MUTANT";
/// What a run says when it has come to the mutant.
pub(crate) const REACHED: &str = "mutant reached: ";

/// The switch, as it stands in the copy.
const SWITCH: &str = r#"
pub(crate) mod teeth {
    use std::sync::atomic::Ordering;
    use std::sync::{LazyLock, Mutex};
    static CHOSEN: LazyLock<String> = LazyLock::new(|| std::env::var("RIPCORD_MUTANT").unwrap_or_default());
    static NUMBERS: LazyLock<Vec<usize>> = LazyLock::new(|| CHOSEN.split(',').filter_map(|n| n.parse().ok()).collect());
    static TRACED: LazyLock<bool> = LazyLock::new(|| *CHOSEN == "trace");
    static SAID: Mutex<Vec<usize>> = Mutex::new(Vec::new());
    fn say(number: usize) {
        let mut said = SAID.lock().unwrap();
        if !said.contains(&number) {
            said.push(number);
            let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("mutant reached: {number}\n"));
        }
    }
    pub(crate) fn broken(number: usize) -> bool {
        let chosen = NUMBERS.contains(&number);
        if *TRACED || chosen {
            say(number);
        }
        chosen
    }
    pub(crate) fn weak(first: usize, sound: Ordering, weaker: &[Ordering]) -> Ordering {
        let choice = (0..weaker.len()).filter(|at| broken(first + at)).last();
        choice.map_or(sound, |at| weaker[at])
    }
}
"#;

/// One change of a file's text: `with` replaces what is there.
struct Edit {
    at: std::ops::Range<usize>,
    with: String,
}

/// Where the marked part of a mutant's text stands in the file; none if the text is not there exactly once.
pub(crate) fn place(source: &str, mutant: &Mutant) -> Option<std::ops::Range<usize>> {
    let (before, rest) = mutant.old.split_once('«').unwrap_or(("", mutant.old));
    let (marked, after) = rest.split_once('»').unwrap_or((rest, ""));
    let whole = format!("{before}{marked}{after}");
    let found = source.find(&whole)?;
    let once = source.matches(&whole).count() == 1;
    once.then(|| found + before.len()..found + before.len() + marked.len())
}

/// The same text, asleep: around what is there, so that other mutants inside stay.
fn around(mutant: &Mutant, number: usize) -> (String, String) {
    let broken = format!("crate::sync::teeth::broken({number})");
    let whole = if mutant.new.contains("$OLD") {
        mutant.new.replace("$BROKEN", &broken)
    } else {
        format!("{{ if {broken} {{ {} }} else {{ $OLD }} }}", mutant.new)
    };
    let (before, after) = whole.split_once("$OLD").expect("the sound text has a place");
    (before.to_owned(), after.to_owned())
}

/// Puts every mutant into the sources below `root`. Numbers: the weakenings first, then the list.
pub(crate) fn graft(root: &Path, weakenings: &[Weakening], mutants: &[Mutant]) -> Result<(), String> {
    let mut edits: BTreeMap<&str, Vec<Edit>> = BTreeMap::new();
    // At one place the list's mutants are put in one after the other: the last one's text is the outermost.
    let mut ends: BTreeMap<(&str, usize, usize), Vec<String>> = BTreeMap::new();
    let sources = scan::sources(root);
    let mut number = 0;
    while let Some(first) = weakenings.get(number) {
        let same = weakenings[number..].iter().take_while(|next| next.file == first.file && next.at == first.at);
        let weaker: Vec<_> = same.map(|next| next.to).collect();
        let text = &sources[&first.file][first.at.clone()];
        let with = match weaker.as_slice() {
            [None] => format!("if !crate::sync::teeth::broken({number}) {{ {text} }}"),
            steps => {
                let steps: Vec<_> = steps.iter().flatten().map(|to| format!("Ordering::{to}")).collect();
                format!("crate::sync::teeth::weak({number}, {text}, &[{}])", steps.join(", "))
            }
        };
        edits.entry(&first.file).or_default().push(Edit { at: first.at.clone(), with });
        number += weaker.len();
    }
    for (at, mutant) in mutants.iter().enumerate() {
        let source = sources.get(mutant.file).ok_or_else(|| format!("no file {}", mutant.file))?;
        let range = place(source, mutant)
            .ok_or_else(|| format!("{}: {:?} is not there exactly once", mutant.file, mutant.old))?;
        let (before, after) = around(mutant, weakenings.len() + at);
        let texts = ends.entry((mutant.file, range.start, range.end)).or_default();
        texts.insert(0, before);
        texts.push(after);
    }
    for ((file, start, end), texts) in ends {
        let (before, after) = texts.split_at(texts.len() / 2);
        let edits = edits.entry(file).or_default();
        edits.push(Edit { at: start..start, with: before.concat() });
        edits.push(Edit { at: end..end, with: after.concat() });
    }
    for (file, mut edits) in edits {
        let mut text = sources[file].clone();
        // From the end, so that what comes before stays where it is. At one place: what ends there first.
        edits.sort_by_key(|edit| std::cmp::Reverse((edit.at.start, edit.at.end)));
        for Edit { at, with } in edits {
            text.replace_range(at, &with);
        }
        fs::write(root.join("src").join(file), text).map_err(|error| error.to_string())?;
    }
    let switch = root.join("src/sync/mod.rs");
    let door = fs::read_to_string(&switch).map_err(|error| error.to_string())?;
    fs::write(&switch, door + SWITCH).map_err(|error| error.to_string())
}

#[test]
fn grafts_nest() {
    let mutant = |old, new| Mutant { file: "a.rs", old, new, models: &[], why: "" };
    assert_eq!(place("if a && b {", &mutant("if «a && b» {", "false")), Some(3..9));
    assert_eq!(place("a a", &mutant("a", "b")), None);
    let (before, after) = around(&mutant("a", "b"), 3);
    assert_eq!(before + "a" + &after, "{ if crate::sync::teeth::broken(3) { b } else { a } }");
    let (before, after) = around(&mutant("a", "(!$BROKEN).then(|| $OLD)"), 4);
    assert_eq!(before + "a" + &after, "(!crate::sync::teeth::broken(4)).then(|| a)");
}
