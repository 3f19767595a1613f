//! M25: who registers takes a seat and looks for the end; who ends, or helps, looks at the seats behind the end. One of them
//! meets the other. Who meets the end stands up, unless it was met itself.

use crate::support::{ALL, Count, both, explore, preemptions, root, said, three, waits_beside};
use ripcord::{CancelHandle, Context, loom_support};
use std::task::Context as Task;

#[test]
fn at_a_used_slot() {
    explore("M25 child at a used slot", ALL, || {
        let (parent, handle) = root();
        drop(parent.with_cancel());
        let ours = parent.clone();
        let (child, ()) = both(move || ours.with_cancel().0, || handle.cancel_cause("gone"));
        assert_eq!(said(&child).as_deref(), Some("gone"), "ended at birth, or reached");
    });
}

#[test]
fn second_comer_cancels() {
    explore("M25 second comer cancels", preemptions(4, None), || {
        let (parent, handle) = root();
        let ours = parent.clone();
        let (first, ()) = both(
            move || ours.with_cancel().0,
            || {
                let (second, _own) = parent.with_cancel();
                handle.cancel();
                assert!(second.is_done(), "registered before the cancel began");
            },
        );
        assert!(first.is_done());
        drop(first);
    });
}

#[test]
fn waiter_comes_as_another_cancels() {
    explore("M25 waiter, second comer cancels", preemptions(3, None), || {
        let (ctx, handle) = root();
        let ours = ctx.clone();
        both(
            move || assert_eq!(loom::future::block_on(ours.done()), ripcord::Error::Canceled),
            || {
                let (child, _own) = ctx.with_cancel();
                handle.cancel();
                assert!(child.is_done());
            },
        );
    });
}

#[test]
fn three_come() {
    explore("M25 three come", preemptions(2, Some(3)), || {
        let (parent, handle) = root();
        let (_first, _own) = parent.with_cancel();
        let (second, third) = (parent.clone(), parent);
        let beside = loom::thread::spawn(move || second.with_cancel().0);
        let behind = loom::thread::spawn(move || third.with_cancel().0);
        handle.cancel();
        assert!(beside.join().unwrap().is_done());
        assert!(behind.join().unwrap().is_done());
    });
}

/// One ends the context, another helps, and who came in time cancels too: that finds everything done, so it must have been.
#[test]
fn who_helps_meets_who_came_in_time() {
    explore("M25 who helps meets who came in time", preemptions(2, Some(3)), || {
        let (ctx, one) = used();
        let (other, third) = (one.clone(), one.clone());
        three(
            move || one.cancel(),
            move || other.cancel(),
            || {
                let (child, _own) = ctx.with_cancel();
                third.cancel();
                assert!(child.is_done(), "returned before the end");
            },
        );
    });
}

/// The tag of one canceler keeps the other from writing: what it has read is all that it knows of who sits there.
#[test]
fn found_by_two() {
    explore("M25 found by two", preemptions(2, None), || {
        let (parent, handle) = root();
        drop(parent.with_cancel());
        let (one, other) = (handle.clone(), handle);
        let one = loom::thread::spawn(move || {
            one.cancel();
            one
        });
        let other = loom::thread::spawn(move || {
            other.cancel();
            other
        });
        // Where it has seen that the seat is free.
        loom_support::linger(0b1);
        let (child, _own) = parent.with_cancel();
        let _handles = (one.join().unwrap(), other.join().unwrap());
        assert!(child.is_done());
    });
}

/// A root whose first slot was used: that one is walked past, not stopped at.
fn used() -> (Context, CancelHandle) {
    let (ctx, handle) = root();
    drop(ctx.with_cancel());
    (ctx, handle)
}

/// A waiter in a slot, that only the second of two cancelers found, is woken by that one.
#[test]
fn a_waiter_that_comes_late_is_woken() {
    explore("M25 a waiter that comes late is woken", preemptions(2, Some(3)), || {
        let (ctx, one) = used();
        let _other = waits_beside(&ctx);
        let other = one.clone();
        three(
            move || one.cancel(),
            move || other.cancel(),
            || assert_eq!(loom::future::block_on(ctx.done()), ripcord::Error::Canceled),
        );
    });
}

/// It may have got another waker in between, or have gone.
#[test]
fn a_late_waiter_changes_its_waker() {
    explore("M25 a late waiter changes its waker", preemptions(2, Some(3)), || {
        let (ctx, one) = used();
        let _other = waits_beside(&ctx);
        let other = one.clone();
        let (old, new) = (Count::default(), Count::default());
        let (first, second) = (old.waker(), new.waker());
        let mut done = Box::pin(ctx.done());
        let mut pending = false;
        three(
            move || one.cancel(),
            move || other.cancel(),
            || {
                let mut poll = |waker| done.as_mut().poll(&mut Task::from_waker(waker)).is_pending();
                pending = poll(&first) && poll(&second);
            },
        );
        assert_eq!(new.get(), usize::from(pending), "left waiting, or told of nothing");
        assert!(old.get() + new.get() <= 1, "told twice");
    });
}

#[test]
fn a_function_that_comes_late_is_called_once() {
    explore("M25 a late function is called once", preemptions(2, Some(3)), || {
        let (ctx, one) = used();
        let other = one.clone();
        let calls = Count::default();
        let function = calls.call();
        three(move || one.cancel(), move || other.cancel(), || drop(ctx.after_func(function)));
        assert_eq!(calls.get(), 1);
    });
}

/// Whoever came late lets everything go, while a canceler from above and a helper still look.
#[test]
fn who_comes_late_is_the_last_to_go() {
    explore("M25 who comes late is the last to go", preemptions(2, Some(3)), || {
        let (top, above) = root();
        let (ctx, handle) = top.with_cancel();
        drop(ctx.with_cancel());
        let own = handle.clone();
        three(
            move || above.cancel(),
            move || own.cancel(),
            move || {
                let child = ctx.with_cancel();
                drop((ctx, handle));
                drop(child);
            },
        );
    });
}
