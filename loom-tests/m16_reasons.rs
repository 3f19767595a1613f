//! M16: reasons race. Kind and cause are one word: one of the racers wins, and everybody says the same for ever.

use crate::support::{ALL, both, explore, root, said};

#[test]
fn two_causes() {
    explore("M16 two causes", ALL, || {
        let (ctx, one) = root();
        let other = one.clone();
        let theirs = ctx.clone();
        let (told, seen) = both(
            move || {
                one.cancel_cause("one");
                said(&theirs)
            },
            || {
                other.cancel_cause("other");
                said(&ctx)
            },
        );
        assert!(matches!(seen.as_deref(), Some("one" | "other")), "{seen:?}");
        assert_eq!(told, seen, "it changed");
    });
}

#[test]
fn own_cause_and_inherited() {
    explore("M16 own cause and inherited", ALL, || {
        let (parent, above) = root();
        let (child, own) = parent.with_cancel();
        both(
            move || above.cancel_cause("above"),
            || {
                own.cancel_cause("own");
                let seen = said(&child);
                assert!(matches!(seen.as_deref(), Some("above" | "own")), "{seen:?}");
                assert_eq!(said(&child), seen, "it changed");
            },
        );
        assert_eq!(said(&parent).as_deref(), Some("above"));
    });
}
