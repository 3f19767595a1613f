//! M23: what a bridge hangs onto a context. Made by whoever comes first and seen whole by the others; its waker is told of
//! the end once, and gone from the slots before whoever sits there is counted.

use crate::support::{ALL, Count, Dropped, Note, Token, both, explore, preemptions, root, three, waits_beside};
use ripcord::{Context, loom_support};
use std::sync::Arc;
use std::task::{Wake, Waker};

/// What hangs there, in place of a channel.
struct Hung {
    made: Note,
    _held: Token,
}

/// Where the waker of what is attached waits.
#[derive(Copy, Clone, PartialEq)]
enum In {
    TheWord,
    /// Somebody else was in the word.
    ASlot,
}

impl In {
    /// Attaches so that it waits there.
    fn attach(self, ctx: &Context, attach: impl FnOnce() -> bool) {
        let _other = (self == In::ASlot).then(|| waits_beside(ctx));
        assert!(attach());
    }
}

/// Attaches a thing that was made with a write, unless there is one. True: `ctx` was live; then what holds was seen whole.
fn attach(ctx: &Context, wakes: &Count, dropped: &Dropped) -> bool {
    let hung = loom_support::attached(ctx, || {
        let made = Note::blank();
        made.write(7);
        (Box::new(Hung { made, _held: dropped.token() }), wakes.waker())
    });
    hung.is_some_and(|hung| {
        assert_eq!(hung.downcast_ref::<Hung>().expect("nothing else is ever attached").made.read(), 7);
        true
    })
}

#[test]
fn two_first_uses() {
    explore("M23 two first uses", ALL, || {
        let (ctx, handle) = root();
        let (wakes, dropped) = (Count::default(), Dropped::default());
        let (other, theirs, gone) = (ctx.clone(), wakes.clone(), dropped.clone());
        both(move || assert!(attach(&other, &theirs, &gone)), || assert!(attach(&ctx, &wakes, &dropped)));
        let spare = dropped.get();
        assert!(spare <= 1, "the one that hangs was dropped");
        handle.cancel();
        assert_eq!(wakes.get(), 1, "the waker of the one that hangs");
        drop((ctx, handle));
        assert_eq!(dropped.get(), spare + 1);
    });
}

#[test]
fn first_use_as_it_ends() {
    explore("M23 first use as it ends", ALL, || {
        let (ctx, handle) = root();
        let (wakes, dropped) = (Count::default(), Dropped::default());
        let mut hung = false;
        both(move || handle.cancel(), || hung = attach(&ctx, &wakes, &dropped));
        assert_eq!(wakes.get(), usize::from(hung), "what hangs is told once, what does not hang never");
        assert!(!attach(&ctx, &wakes, &dropped), "it has ended");
    });
}

#[test]
fn first_use_as_two_end_it() {
    explore("M23 first use as two end it", preemptions(2, Some(3)), || {
        let (ctx, handle) = root();
        drop(ctx.with_cancel());
        let other = handle.clone();
        let (wakes, dropped) = (Count::default(), Dropped::default());
        let mut hung = false;
        three(move || handle.cancel(), move || other.cancel(), || hung = attach(&ctx, &wakes, &dropped));
        assert_eq!(wakes.get(), usize::from(hung), "what hangs is told once, what does not hang never");
    });
}

#[test]
fn last_handle_goes_as_it_ends() {
    last_handle_goes("M23 the last handle goes as it ends", In::TheWord);
}

#[test]
fn last_handle_goes_as_it_ends_from_a_slot() {
    last_handle_goes("M23 the last handle goes as it ends, from a slot", In::ASlot);
}

fn last_handle_goes(name: &str, place: In) {
    explore(name, ALL, move || {
        let (parent, handle) = root();
        let held = parent.with_cancel();
        let (wakes, dropped) = (Count::default(), Dropped::default());
        place.attach(&held.0, || attach(&held.0, &wakes, &dropped));
        both(move || handle.cancel(), move || drop(held));
        assert!(wakes.get() <= 1);
        // The real epochs keep it for a while, if the walk has come by.
        assert!(dropped.get() == 1 || cfg!(crossbeam_loom));
    });
}

#[test]
fn relay_below_goes_on_without_it() {
    relay_goes_on("M23 a relay that had something attached", In::TheWord);
}

#[test]
fn relay_below_goes_on_without_it_from_a_slot() {
    relay_goes_on("M23 a relay that had something attached, from a slot", In::ASlot);
}

fn relay_goes_on(name: &str, place: In) {
    explore(name, preemptions(3, Some(4)), move || {
        let (parent, handle) = root();
        let held = parent.with_cancel();
        let (child, _own) = held.0.with_cancel();
        let (wakes, dropped) = (Count::default(), Dropped::default());
        place.attach(&held.0, || attach(&held.0, &wakes, &dropped));
        both(move || handle.cancel(), move || drop(held));
        assert!(child.is_done(), "the relay passes the end on");
        assert!(wakes.get() <= 1);
    });
}

#[test]
fn made_by_one_dropped_by_another() {
    explore("M23 made by one, dropped by another", preemptions(3, None), || {
        let (ctx, handle) = root();
        let (other, last) = (ctx.clone(), ctx.clone());
        let (wakes, dropped) = (Count::default(), Dropped::default());
        let (theirs, gone) = (wakes.clone(), dropped.clone());
        let held = (ctx, handle);
        three(
            move || {
                let _ = attach(&other, &theirs, &gone);
            },
            move || drop(held),
            move || drop(last),
        );
        assert_eq!((wakes.get(), dropped.get()), (0, 1));
    });
}

/// A waker whose drop counts.
struct Sender(#[expect(dead_code, reason = "it is there to be dropped")] Token);

impl Wake for Sender {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn goes_as_the_one_above_is_given_up() {
    goes_as_given_up("M23 goes as the one above is given up", In::TheWord);
}

#[test]
fn goes_as_the_one_above_is_given_up_from_a_slot() {
    goes_as_given_up("M23 goes as the one above is given up, from a slot", In::ASlot);
}

fn goes_as_given_up(name: &str, place: In) {
    explore(name, preemptions(3, None), move || {
        let (parent, handle) = root();
        let held = parent.with_cancel();
        let wakers = Dropped::default();
        let token = wakers.token();
        let made = || (Box::new(()) as _, Waker::from(Arc::new(Sender(token))));
        place.attach(&held.0, || loom_support::attached(&held.0, made).is_some());
        both(move || drop((parent, handle)), move || drop(held));
        assert_eq!(wakers.get(), 1, "its waker, and a channel that only its drop closes");
    });
}
