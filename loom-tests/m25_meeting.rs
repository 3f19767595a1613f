//! M25: who registers takes a seat and looks for the end; who ends, or helps, looks at the seats behind the end. One of them
//! meets the other. Who meets the end stands up, unless it was met itself.

use crate::support::{ALL, both, explore, preemptions, root, said, three};
use loom::sync::Arc;
use loom::sync::atomic::AtomicBool;
use loom::sync::atomic::Ordering::{Acquire, Release};

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
        let (ctx, one) = root();
        // A slot that nobody has ever sat in is not walked past, but stopped at.
        drop(ctx.with_cancel());
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

/// One ends the context and has nobody to tell; another finds the latecomer, and takes its time: so it ends itself.
#[test]
fn who_comes_late_is_not_left_to_who_found_it() {
    explore("M25 who comes late is not left waiting", preemptions(2, Some(3)), || {
        let (ctx, one) = root();
        let other = one.clone();
        let returned = Arc::new(AtomicBool::new(false));
        let over = returned.clone();
        three(
            move || {
                one.cancel();
                over.store(true, Release);
            },
            move || other.cancel(),
            || {
                let (child, _own) = ctx.with_cancel();
                assert!(!returned.load(Acquire) || child.is_done(), "live after a cancel has returned");
            },
        );
    });
}
