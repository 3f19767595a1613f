//! Loom models of the depot: slabs of two cells. Giving a slab back drops the words of its cells, and that races with whatever did
//! not come before.

use super::super::cell::Release;
use super::super::models::model;
use super::*;
use loom::sync::Arc;
use loom::thread;
use std::sync::atomic::Ordering::Relaxed;

struct Out(NonNull<Entry>);

// SAFETY: cells belong to no thread.
unsafe impl Send for Out {}

fn bring(depot: &Depot, Out(entry): Out) {
    let mut chain = Chain::new();
    // SAFETY: ours.
    unsafe { chain.push(entry) };
    // SAFETY: ours, and in no queue.
    unsafe { depot.take_back(chain) };
}

/// The two cells of a new slab.
fn two(depot: &Depot) -> (Out, Out) {
    let (one, mut rest) = depot.fetch();
    let other = rest.pop().expect("a slab has two");
    assert!(rest.is_empty());
    (Out(one), Out(other))
}

/// Whoever came while another had the lock has left his cells on the way.
fn all_are_home(depot: &Depot) {
    // SAFETY: nothing is given.
    unsafe { depot.take_back(Chain::new()) };
    assert_eq!(depot.slabs.load(Relaxed), 0);
    assert!(depot.list.lock().0.is_none());
}

#[test]
fn both_come_home() {
    model("slab: home x home", None, || {
        let depot = Arc::new(Depot::new());
        let (one, other) = two(&depot);
        let theirs = depot.clone();
        let bringing = thread::spawn(move || bring(&theirs, other));
        bring(&depot, one);
        bringing.join().unwrap();
        all_are_home(&depot);
    });
}

#[test]
fn one_comes_home_as_one_goes_out() {
    model("slab: home x out", None, || {
        let depot = Arc::new(Depot::new());
        let (one, other) = two(&depot);
        bring(&depot, one);
        assert_eq!(depot.slabs.load(Relaxed), 1, "a slab goes with the last of its cells, and not before");
        let theirs = depot.clone();
        let bringing = thread::spawn(move || bring(&theirs, other));
        let (entry, mut rest) = depot.fetch();
        // SAFETY: ours.
        unsafe { entry.as_ref() }.dress(7, std::ptr::null_mut());
        bringing.join().unwrap();
        bring(&depot, Out(entry));
        if let Some(entry) = rest.pop() {
            bring(&depot, Out(entry));
        }
        all_are_home(&depot);
    });
}

/// A slab goes back after the last touch of an owner whose cell the queue side found free by a relaxed look.
#[test]
fn dead_and_home() {
    model("slab: let go x home", None, || {
        let depot = Depot::new();
        let (one, other) = two(&depot);
        bring(&depot, other);
        // SAFETY: ours so far.
        unsafe { one.0.as_ref() }.dress(7, std::ptr::null_mut());
        let owner = Out(one.0);
        // SAFETY: the owner's side, once.
        let leaving = thread::spawn(move || unsafe { Entry::release({ owner }.0) });
        // SAFETY: the queue side keeps the memory.
        let armed = unsafe { one.0.as_ref() }.armed().is_some();
        let leaving = if armed {
            assert_eq!(leaving.join().unwrap(), Release::Queued);
            None
        } else {
            Some(leaving)
        };
        bring(&depot, one);
        all_are_home(&depot);
        if let Some(leaving) = leaving {
            assert_eq!(leaving.join().unwrap(), Release::Queued);
        }
    });
}
