//! M10: the last of several owners frees, and sees all that the others did: every last-reference path acquires.
//!
//! Dropping a word counts as a plain write to it, so a missing acquire or release is a race with the other owner's use.

use crate::support::{ALL, Dropped, Note, both, explore, preemptions, root, three};

#[test]
fn two_handles() {
    explore("M10 two handles", ALL, || {
        let (ctx, handle) = root();
        both(
            move || {
                let _ = ctx.err();
                drop(ctx);
            },
            move || {
                handle.cancel();
                drop(handle);
            },
        );
    });
}

#[test]
fn three_handles() {
    explore("M10 three handles", ALL, || {
        let (ctx, handle) = root();
        let clone = ctx.clone();
        three(move || drop(ctx), move || drop(clone), move || drop(handle));
    });
}

#[test]
fn handle_and_child() {
    explore("M10 a child lets its parent go", preemptions(4, None), || {
        let (parent, handle) = root();
        let child = parent.with_cancel();
        drop(handle);
        both(
            move || {
                assert!(!parent.is_done());
                drop(parent);
            },
            move || drop(child),
        );
    });
}

#[test]
fn ended_parent_is_counted() {
    explore("M10 a child that was born ended", ALL, || {
        let (parent, handle) = root();
        handle.cancel_cause("gone");
        drop(handle);
        let child = parent.with_cancel();
        both(
            move || drop(parent),
            move || {
                assert!(crate::support::said(&child.0).is_some());
                drop(child);
            },
        );
    });
}

#[test]
fn function_and_its_handle() {
    explore("M10 a function and its handle", ALL, || {
        let (ctx, handle) = root();
        let note = Note::blank();
        let dropped = Dropped::default();
        let (ours, token) = (note.clone(), dropped.token());
        let after = ctx.after_func(move || {
            let _held = token;
            ours.write(1);
        });
        both(move || drop(after), move || handle.cancel());
        assert_eq!((note.read(), dropped.get()), (1, 1));
        drop(ctx);
    });
}
