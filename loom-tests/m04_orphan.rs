//! M4: the last handle goes while entries leave. Each entry that was tagged counts the owner down, the last handle counts
//! what it tagged, and exactly one of them takes the owner apart; who finds no tag never touches the owner again.

use crate::support::{ALL, both, counted, explore, preemptions, root, three};

#[test]
fn parent_and_child() {
    explore("M4 parent and child go", preemptions(4, None), || {
        let (parent, handle) = root();
        let child = parent.with_cancel();
        both(move || drop(child), move || drop((parent, handle)));
    });
}

#[test]
fn parent_and_two_children() {
    explore("M4 parent and two children go", preemptions(2, Some(3)), || {
        let (parent, handle) = root();
        let (one, other) = (parent.with_cancel(), parent.with_cancel());
        three(move || drop(one), move || drop(other), move || drop((parent, handle)));
    });
}

#[test]
fn three_generations() {
    explore("M4 three generations go", preemptions(2, Some(3)), || {
        let (top, handle) = root();
        let middle = top.with_cancel();
        let bottom = middle.0.with_cancel();
        three(move || drop(bottom), move || drop(middle), move || drop((top, handle)));
    });
}

#[test]
fn function_is_called_as_the_context_goes() {
    explore("M4 function called as the context goes", preemptions(4, None), || {
        let (top, handle) = root();
        let (ctx, own) = top.with_cancel();
        let (_after, calls, _dropped) = counted(&ctx);
        both(move || handle.cancel(), move || drop((ctx, own)));
        assert_eq!(calls.get(), 1);
    });
}

#[test]
fn child_moves_in_while_another_leaves() {
    explore("M4 one comes, one goes, then the parent", preemptions(4, None), || {
        let (parent, handle) = root();
        let child = parent.with_cancel();
        both(
            move || drop(child),
            move || {
                let next = parent.with_cancel();
                drop((parent, handle));
                drop(next);
            },
        );
    });
}

#[test]
fn function_that_nothing_will_call() {
    explore("M4 function stopped as the context goes", ALL, || {
        let (ctx, handle) = root();
        let (after, calls, dropped) = counted(&ctx);
        both(
            move || {
                let _ = after.stop();
            },
            move || drop((ctx, handle)),
        );
        assert_eq!(calls.get(), 0, "nothing ended");
        assert_eq!(dropped.get(), 1, "dropped once: by stop, or with the last handle");
    });
}

#[test]
fn ended_parent_and_child() {
    explore("M4 ended parent and child go", ALL, || {
        let (parent, handle) = root();
        let child = parent.with_cancel();
        handle.cancel();
        both(move || drop(child), move || drop((parent, handle)));
    });
}

#[test]
fn ended_parent_and_two_children() {
    explore("M4 ended parent and two children go", preemptions(2, Some(3)), || {
        let (parent, handle) = root();
        let (one, other) = (parent.with_cancel(), parent.with_cancel());
        handle.cancel();
        three(move || drop(one), move || drop(other), move || drop((parent, handle)));
    });
}

#[test]
fn ended_chain_goes() {
    explore("M4 ended chain goes", preemptions(2, Some(3)), || {
        let (top, handle) = root();
        let middle = top.with_cancel();
        let bottom = middle.0.with_cancel();
        handle.cancel();
        three(move || drop(bottom), move || drop(middle), move || drop((top, handle)));
    });
}
