//! Rule D8, where a `fork` meets somebody at the list of contexts, behind `inspect`.
//!
//! One test at a time, in a process of its own; the children leave by `_exit`.
#![cfg(all(not(feature = "loom"), target_os = "linux"))]

mod common;

use common::alone::alone;
use common::child::{self, Child, deadlines_work};
use common::trap::{self, Trap};
use common::*;
use ripcord::inspect::{Inspected, Snapshot, snapshot};
use ripcord::{CancelHandle, Context};
use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: Trap = Trap;

type Made = (Context, CancelHandle);

/// As many as the list has shards, or more: threads take shards by turns.
const THREADS: usize = 64;

fn make(above: &Context, name: &'static str, many: usize) -> Vec<Made> {
    let above = above.with_name(name);
    (0..many).map(|_| above.with_cancel()).collect()
}

/// Those right below the one of this name: names are told where they were given.
fn named<'a>(seen: &'a Snapshot, name: &str) -> Vec<&'a Inspected> {
    seen.contexts().iter().filter(|context| context.name.as_deref() == Some(name)).collect()
}

/// Contexts come and go on other threads all the time. The child does the same, and looks at the list, where nobody is missing.
#[test]
fn d8_forks_amid_contexts_that_come_and_go() {
    let _alone = alone();
    let (root, _root) = Context::background().with_cancel();
    let over = AtomicBool::new(false);
    let (tell, told) = mpsc::channel();
    let well = thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                tell.send(make(&root, "stays", 10)).unwrap();
                let mut held = VecDeque::new();
                while !over.load(SeqCst) {
                    held.push_back(root.with_cancel());
                    if held.len() > 50 {
                        held.pop_front();
                    }
                }
            });
        }
        let _stay: Vec<_> = told.iter().take(3).collect();
        // Nobody is starting by then.
        thread::sleep(Duration::from_millis(10));
        let well = (0..stress(100)).all(|_| {
            let child = Child::running(|| {
                let (ctx, handle) = root.with_name("of the child").with_cancel();
                let below = make(&ctx, "below", 100);
                handle.cancel();
                assert!(below.iter().all(|(ctx, _)| ctx.is_done()));
                let seen = snapshot();
                assert_eq!(named(&seen, "stays").len(), 30, "a fork waits for who is at the list");
                let own = named(&seen, "of the child")[0].id;
                let found = named(&seen, "below");
                assert!(found.len() == 100 && found.iter().all(|context| context.parent == Some(own)), "{seen}");
                drop((ctx, handle, below));
                let seen = snapshot();
                assert!(named(&seen, "of the child").is_empty() && named(&seen, "below").is_empty(), "{seen}");
                deadlines_work();
            });
            child.succeeds()
        });
        over.store(true, SeqCst);
        well
    });
    assert!(well, "a child hangs, or finds the list out of order");
}

/// A thread has its contexts made, and hands over those that stay; then it is caught at one step of what it does with the others,
/// and nobody goes on: the fork does after a while. True if it was caught; and if the child has lost those that stayed.
fn caught(step: i64, before: fn() -> (Vec<Made>, Vec<Made>), at: fn(&mut Vec<Made>)) -> (bool, bool) {
    let [through, forked] = [const { AtomicBool::new(false) }; 2];
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            let (stay, mut others) = before();
            tell.send(stay).unwrap();
            trap::set_for_me(step);
            at(&mut others);
            trap::release();
            through.store(true, SeqCst);
            eventually("the fork", || forked.load(SeqCst));
        });
        let stay = told.recv().unwrap();
        eventually("caught, or through", || trap::is_sprung() || through.load(SeqCst));
        let caught = trap::is_sprung();
        // Nobody is starting by then.
        thread::sleep(Duration::from_millis(10));
        let said = match Child::fork() {
            Some(child) => child.said(),
            None => child::end_with(|| child::exit_saying(are_lost(stay))),
        };
        trap::release();
        forked.store(true, SeqCst);
        (caught, said.unwrap_or_else(|status| panic!("at step {step}: {caught}; status {status}")))
    })
}

/// In a child: whether contexts from before are missing in the list. If they are, nothing else is, and others take their places.
fn are_lost(stay: Vec<Made>) -> bool {
    trap::release();
    let missing = stay.len() - named(&snapshot(), "stays").len();
    assert!(missing == 0 || missing == stay.len(), "{missing} are missing");
    // Every shard gets some, also the one that is new.
    let fresh: Vec<_> =
        (0..THREADS).map(|_| thread::spawn(|| make(&Context::background(), "fresh", 64)).join().unwrap()).collect();
    let below: Vec<_> = stay.iter().map(|(ctx, _)| ctx.with_name("below").with_cancel()).collect();
    let seen = snapshot();
    let ids: BTreeSet<_> = seen.contexts().iter().map(|context| context.id).collect();
    for context in named(&seen, "below") {
        let parent = context.parent.expect("a parent, listed or not");
        assert_eq!(ids.contains(&parent), missing == 0, "another context has the parent's number: {parent}");
    }
    drop((below, stay));
    let seen = snapshot();
    assert_eq!(named(&seen, "fresh").len(), THREADS * 64, "all are there, each once");
    drop(fresh);
    let seen = snapshot();
    assert!(["stays", "below", "fresh"].iter().all(|name| named(&seen, name).is_empty()), "{seen}");
    missing > 0
}

fn lost_somewhere(before: fn() -> (Vec<Made>, Vec<Made>), at: fn(&mut Vec<Made>)) {
    let _alone = alone();
    let mut lost = 0;
    for step in 0.. {
        let (caught, missing) = caught(step, before, at);
        lost += usize::from(missing);
        if !caught {
            assert!(!missing, "nobody was at the list");
            break;
        }
    }
    assert!(lost > 0, "at some step the list grows, or shrinks");
}

#[test]
fn d8_a_fork_does_not_wait_for_ever_for_who_enters_the_list() {
    // A shard has room for 64, and then for more.
    let before = || (make(&Context::background(), "stays", 64), Vec::with_capacity(2));
    lost_somewhere(before, |others| {
        let (ctx, _) = &Context::background().with_cancel();
        others.extend((0..2).map(|_| ctx.with_cancel()));
    });
}

#[test]
fn d8_a_fork_does_not_wait_for_ever_for_who_leaves_the_list() {
    // With less than a quarter of its room in use, a shard gives half of it back.
    let before = || (make(&Context::background(), "stays", 20), make(&Context::background(), "goes", 70));
    lost_somewhere(before, |others| others.truncate(0));
}
