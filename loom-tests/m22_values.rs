//! M22: values that several contexts see. The last that can see a value drops it, and sees all that others did with it;
//! what a value's context keeps of the tree goes with the last context that is it.

use crate::support::{ALL, Note, both, explore, preemptions, root, three};
use ripcord::Context;

/// A value that is written when it is dropped: whoever read it must have come before.
struct Written(Note);

impl Drop for Written {
    fn drop(&mut self) {
        self.0.write(9);
    }
}

fn read(ctx: &Context) -> u32 {
    ctx.value::<Written>().expect("it was bound").0.read()
}

/// Another type, so another key.
struct Other(#[allow(dead_code, reason = "held for its drop")] Written);

#[test]
fn two_holders() {
    explore("M22 two holders of a value", ALL, || {
        let note = Note::blank();
        let ctx = Context::background().with_value(Written(note.clone()));
        let theirs = ctx.clone();
        both(
            move || {
                assert_eq!(read(&theirs), 0);
                drop(theirs);
            },
            move || {
                assert_eq!(read(&ctx), 0);
                drop(ctx);
            },
        );
        assert_eq!(note.read(), 9, "dropped");
    });
}

#[test]
fn two_branches_of_a_chain() {
    explore("M22 two values on top of a third", ALL, || {
        let (below, note) = (Note::blank(), Note::blank());
        let ctx = Context::background().with_value(Written(below.clone()));
        let left = ctx.with_value(Other(Written(note.clone())));
        let right = ctx.with_value(7_u32);
        drop(ctx);
        both(
            move || {
                assert_eq!(read(&left), 0);
                drop(left);
            },
            move || {
                assert_eq!((read(&right), right.value::<u32>()), (0, Some(&7)));
                drop(right);
            },
        );
        assert_eq!((below.read(), note.read()), (9, 9), "both dropped");
    });
}

#[test]
fn tree_below_a_value() {
    explore("M22 a value keeps the tree below it", preemptions(2, Some(3)), || {
        let note = Note::blank();
        let (ctx, handle) = root();
        let value = ctx.with_value(Written(note.clone()));
        let child = value.with_cancel();
        drop(ctx);
        three(
            move || drop(value),
            move || {
                assert_eq!(read(&child.0), 0);
                drop(child);
            },
            move || {
                handle.cancel();
                drop(handle);
            },
        );
        assert_eq!(note.read(), 9, "dropped");
    });
}

#[test]
fn values_without_their_tree() {
    explore("M22 values without their tree", ALL, || {
        let note = Note::blank();
        let bare = Context::background().with_value(Written(note.clone())).without_cancel();
        let child = bare.with_cancel();
        both(
            move || {
                assert_eq!(read(&bare), 0);
                drop(bare);
            },
            move || {
                assert_eq!(read(&child.0), 0);
                drop(child);
            },
        );
        assert_eq!(note.read(), 9, "dropped");
    });
}
