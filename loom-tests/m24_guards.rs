//! M24: guards leave while a shutdown begins, is pushed on, or is left by others. One word says how many there are and
//! whether it has begun; whoever makes it say "begun, and nobody" ends the shutdown, and has seen what all guards did.

use crate::support::{ALL, Note, both, explore, preemptions, three};
use ripcord::shutdown::{Guard, Shutdown, Stage};
use ripcord::{Context, Error};
use std::time::Duration;

/// A shutdown whose stages come only when somebody says so: no timer runs.
fn endless() -> Shutdown {
    Shutdown::new(&Context::background(), Duration::MAX)
}

/// Somebody at work, who writes before leaving.
fn at_work(shutdown: &Shutdown) -> (Note, impl FnOnce() + Send + 'static) {
    let (note, guard) = (Note::blank(), shutdown.guard("work"));
    let ours = note.clone();
    (note, move || leave(&ours, guard))
}

fn leave(note: &Note, guard: Guard) {
    note.write(7);
    drop(guard);
}

/// Whoever sees that it is over sees what these did.
fn is_over(shutdown: &Shutdown, work: &[Note]) -> bool {
    let over = shutdown.until(Stage::Abort).is_done();
    if over {
        work.iter().for_each(|note| assert_eq!(note.read(), 7));
    }
    over
}

#[test]
fn two_leave() {
    explore("M24 two guards leave", ALL, || {
        let shutdown = endless();
        let ((first, one), (second, other)) = (at_work(&shutdown), at_work(&shutdown));
        assert!(shutdown.begin("stop"));
        let work = [first, second];
        assert!(!is_over(&shutdown, &work));
        let (theirs, notes) = (shutdown.clone(), work.clone());
        both(
            move || {
                one();
                is_over(&theirs, &notes);
            },
            || {
                other();
                is_over(&shutdown, &work);
            },
        );
        assert!(is_over(&shutdown, &work), "nobody is left");
        assert!(shutdown.report().left.is_empty());
    });
}

/// Whoever finishes comes by a fence before it looks; a third one, who only sees that it is over, does not.
#[test]
fn two_leave_and_a_third_looks() {
    explore("M24 two guards leave, a third looks", preemptions(3, None), || {
        let shutdown = endless();
        let ((first, one), (second, other)) = (at_work(&shutdown), at_work(&shutdown));
        assert!(shutdown.begin("stop"));
        three(one, other, || {
            is_over(&shutdown, &[first, second]);
        });
    });
}

#[test]
fn one_leaves_as_another_begins_and_a_third_looks() {
    explore("M24 one leaves, one begins, a third looks", preemptions(3, None), || {
        let shutdown = endless();
        let (note, work) = at_work(&shutdown);
        let begins = shutdown.clone();
        three(
            work,
            move || {
                begins.begin("stop");
            },
            || {
                is_over(&shutdown, &[note]);
            },
        );
    });
}

#[test]
fn last_leaves_as_it_begins() {
    explore("M24 the last leaves as it begins", ALL, || {
        let shutdown = endless();
        let (note, work) = at_work(&shutdown);
        let work_done = [note];
        let begins = || {
            assert!(shutdown.begin("stop"));
            is_over(&shutdown, &work_done);
        };
        both(work, begins);
        assert!(is_over(&shutdown, &work_done), "begun, and nobody is left");
        assert_eq!(shutdown.until(Stage::Cancel).err(), Some(Error::Canceled));
    });
}
