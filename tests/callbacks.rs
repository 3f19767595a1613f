//! The rules of functions that run after the end, and of stopping them.
#![cfg(not(feature = "loom"))]

mod common;

use common::*;
use ripcord::{CancelHandle, Context, Error};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn a1_a_function_runs_once_after_the_end_and_never_before() {
    let (ctx, handle) = Context::background().with_cancel();
    let tale = Tale::new();
    let (seen, see) = mpsc::channel();
    let (inside, function) = (ctx.clone(), tale.function());
    let after = ctx.after_func(move || {
        seen.send((inside.is_done(), oops_of(&inside))).unwrap();
        function();
    });
    assert!(tale.is_waiting());
    handle.cancel_cause(oops(1));
    assert_eq!(see.try_recv(), Ok((true, Some(1))));
    assert!(tale.has_run());
    handle.cancel();
    assert!(!after.stop());
    assert!(tale.has_run());
}

#[test]
fn a1_a_function_runs_at_once_when_the_context_has_ended() {
    let (ctx, handle) = Context::background().with_cancel();
    handle.cancel();
    let tale = Tale::new();
    let here = thread::current().id();
    let function = tale.function();
    let after = ctx.after_func(move || {
        assert_eq!(thread::current().id(), here);
        function();
    });
    assert!(tale.has_run());
    assert!(!after.stop());
}

#[test]
fn a1_a_function_of_an_ended_context_does_not_wait_for_a_fan_out_that_another_thread_is_at() {
    // It used to be left to the canceler, if that was still on its way to the slots. Seen now and then, not each time.
    for _ in 0..stress(50) {
        let (ctx, handle) = Context::background().with_cancel();
        let children: Vec<_> = (0..100).map(|_| ctx.with_cancel()).collect();
        thread::scope(|scope| {
            scope.spawn(|| handle.cancel());
            while !ctx.is_done() {
                std::hint::spin_loop();
            }
            let tale = Tale::new();
            let after = ctx.after_func(tale.function());
            assert!(tale.has_run());
            assert!(!after.stop());
        });
        assert!(children.iter().all(|(child, _)| child.is_done()));
    }
}

#[test]
fn a1_stop_is_true_exactly_when_it_prevented_the_run() {
    let (ctx, handle) = Context::background().with_cancel();
    let tale = Tale::new();
    let after = ctx.after_func(tale.function());
    assert!(after.stop());
    assert!(tale.is_dropped_unrun(), "dropped before stop returns");
    assert!(!after.stop());
    assert!(!after.stop());
    handle.cancel();
    assert!(tale.is_dropped_unrun());
    assert!(!after.stop());
}

#[test]
fn a1_stopping_one_leaves_the_others() {
    let (ctx, handle) = Context::background().with_cancel();
    let tales: Vec<_> = (0..50).map(|_| Tale::new()).collect();
    let afters: Vec<_> = tales.iter().map(|tale| ctx.after_func(tale.function())).collect();
    for after in afters.iter().step_by(3) {
        assert!(after.stop());
    }
    handle.cancel();
    for (n, tale) in tales.iter().enumerate() {
        assert!(if n % 3 == 0 { tale.is_dropped_unrun() } else { tale.has_run() }, "{n}");
    }
}

#[test]
fn a1_dropping_the_after_func_does_not_stop_the_function() {
    let (ctx, handle) = Context::background().with_cancel();
    let tale = Tale::new();
    drop(ctx.after_func(tale.function()));
    assert!(tale.is_waiting());
    handle.cancel();
    assert!(tale.has_run());
}

#[test]
fn a1_stop_works_when_every_handle_is_gone_and_after_the_end_of_everything() {
    let (ctx, handle) = Context::background().with_cancel();
    let (child, _) = ctx.with_cancel();
    let (waiting, ran) = (Tale::new(), Tale::new());
    let stop_me = child.after_func(waiting.function());
    let too_late = child.after_func(ran.function());
    drop(child);
    assert!(stop_me.stop());
    assert!(waiting.is_dropped_unrun());
    handle.cancel();
    drop((ctx, handle));
    assert!(ran.has_run());
    assert!(!too_late.stop());
    assert!(!stop_me.stop());
}

#[test]
fn a2_functions_run_on_the_thread_that_cancels() {
    let (ctx, handle) = Context::background().with_cancel();
    let (tell, told) = mpsc::channel();
    for parent in [&ctx, &ctx.with_cancel().0, &ctx.with_value(1u8)] {
        let tell = tell.clone();
        parent.after_func(move || tell.send(thread::current().id()).unwrap());
    }
    let canceler = thread::spawn(move || {
        handle.cancel();
        thread::current().id()
    })
    .join()
    .unwrap();
    assert_eq!(told.try_iter().collect::<Vec<_>>(), vec![canceler; 3]);
}

#[test]
fn a2_every_context_of_the_subtree_is_marked_before_the_first_function_runs() {
    let (root, handle) = Context::background().with_cancel();
    let mut random = Random::new(2);
    let mut all = vec![root.clone()];
    for _ in 0..300 {
        let parent = all[random.below(all.len())].clone();
        all.push(parent.with_cancel().0);
    }
    let all = Arc::new(all);
    let runs = Arc::new(AtomicUsize::new(0));
    for ctx in all.iter() {
        let (all, runs) = (all.clone(), runs.clone());
        ctx.after_func(move || {
            assert!(all.iter().all(Context::is_done));
            runs.fetch_add(1, SeqCst);
        });
    }
    handle.cancel();
    assert_eq!(runs.load(SeqCst), 301);
}

#[test]
fn a2_wakers_too_are_woken_after_the_whole_subtree_is_marked() {
    let (root, handle) = Context::background().with_cancel();
    let children: Arc<Vec<_>> = Arc::new((0..100).map(|_| root.with_cancel().0).collect());
    let (tell, told) = mpsc::channel();
    let mut waiting = Vec::new();
    for child in children.iter() {
        let (all, tell) = (children.clone(), tell.clone());
        let mut done = child.clone().into_done();
        let waker = waker_fn(move || tell.send(all.iter().all(Context::is_done)).unwrap());
        assert!(poll_with(&mut done, &waker).is_pending());
        waiting.push(done);
    }
    handle.cancel();
    assert_eq!(told.try_iter().collect::<Vec<_>>(), vec![true; 100]);
}

#[test]
fn a2_a_slow_function_delays_no_marking_and_no_other_tree() {
    within_a_minute(|| {
        let (root, handle) = Context::background().with_deadline(far());
        let (release, released) = mpsc::channel::<()>();
        let (running, is_running) = mpsc::channel();
        let children: Vec<_> = (0..50).map(|_| root.with_cancel().0).collect();
        children[0].after_func(move || {
            running.send(()).unwrap();
            released.recv().unwrap();
        });
        let canceler = thread::spawn(move || handle.cancel());
        is_running.recv().unwrap();
        assert!(children.iter().all(Context::is_done));
        let (elsewhere, its_handle) = Context::background().with_cancel();
        its_handle.cancel();
        assert_canceled(&elsewhere);
        release.send(()).unwrap();
        canceler.join().unwrap();
    });
}

#[test]
fn a2_a_slow_function_of_a_deadline_delays_other_functions_and_no_other_deadline() {
    in_time(Duration::from_millis(150), |lead| within_a_minute(move || beside_a_slow_function(lead)));
}

/// None: the others' deadline came before the slow function ran.
fn beside_a_slow_function(lead: Duration) -> Option<()> {
    let (release, released) = mpsc::channel::<()>();
    let (running, is_running) = mpsc::channel();
    let (slow, its_handle) = Context::background().with_deadline(far());
    slow.after_func(move || {
        running.send(()).unwrap();
        released.recv().unwrap();
    });
    // Armed before: from when the function runs on the timer's thread, nobody arms, resets or waits.
    let at = Instant::now() + lead;
    let (looked_at, _looked_at) = Context::background().with_deadline(at);
    let (awaited, _awaited) = Context::background().with_deadline(at);
    let (tell, told) = mpsc::channel();
    let (woken, is_woken) = mpsc::channel();
    awaited.after_func(move || tell.send(()).unwrap());
    let mut done = awaited.done();
    let waits = poll_with(&mut done, &waker_fn(move || woken.send(()).unwrap())).is_pending();
    its_handle.reset_timeout(Duration::from_millis(1));
    is_running.recv().unwrap();
    let beside = waits && Instant::now() < at;
    if beside {
        eventually("a deadline is marked beside a slow function", || looked_at.is_done());
        is_woken.recv().unwrap();
        assert!(told.try_recv().is_err(), "functions take turns");
        // And armed meanwhile.
        let (soon, _soon) = Context::background().with_timeout(Duration::from_millis(1));
        assert_eq!(soon.wait(), Error::DeadlineExceeded);
    }
    release.send(()).unwrap();
    told.recv().unwrap();
    beside.then_some(())
}

#[test]
fn g7_functions_and_wakers_of_a_deadline_may_wait_for_other_deadlines() {
    fn soon() -> (Context, CancelHandle) {
        Context::background().with_timeout(Duration::from_millis(1))
    }
    within_a_minute(|| {
        for _ in 0..20 {
            let (function, waker) = (soon(), soon());
            let (tell, told) = mpsc::channel();
            let said = tell.clone();
            // Registered in time or too late, it runs; three waits, so that nobody else's pass does for all.
            function.0.after_func(move || said.send([(); 3].map(|()| soon().0.wait())).unwrap());
            let mut done = waker.0.done();
            let waits = waker_fn(move || tell.send([(); 3].map(|()| soon().0.wait())).unwrap());
            let awaited = poll_with(&mut done, &waits).is_pending();
            for _ in 0..1 + usize::from(awaited) {
                assert_eq!(told.recv().unwrap(), [Error::DeadlineExceeded; 3]);
            }
        }
    });
}

#[test]
fn g7_a_function_may_wait_for_a_thread_that_waits_for_what_it_canceled_however_deep() {
    fn nest(depth: usize) {
        if depth == 0 {
            return;
        }
        let (ctx, handle) = Context::background().with_cancel();
        ctx.after_func(move || {
            let (awaited, its_handle) = Context::background().with_cancel();
            let registered = awaited.clone();
            let mut done = awaited.clone().into_done();
            let (woken, is_woken) = mpsc::channel();
            assert!(poll_with(&mut done, &waker_fn(move || woken.send(()).unwrap())).is_pending());
            let waiter = thread::spawn(move || registered.wait());
            its_handle.cancel();
            is_woken.try_recv().expect("woken when cancel returns");
            waiter.join().unwrap();
            nest(depth - 1);
        });
        handle.cancel();
    }
    within_a_minute(|| nest(14));
}

#[test]
fn a3_a_registered_function_keeps_its_registration_when_all_handles_are_dropped() {
    let (root, handle) = Context::background().with_cancel();
    let tales: Vec<_> = (0..6).map(|_| Tale::new()).collect();
    let other = Context::background();
    root.with_cancel().0.after_func(tales[0].function());
    root.with_deadline(far()).0.after_func(tales[1].function());
    root.with_value(1u8).with_cancel().0.with_value(2u8).after_func(tales[2].function());
    root.with_cancel().0.with_cancel().0.with_cancel().0.after_func(tales[3].function());
    root.with_cancel_from(&other).0.after_func(tales[4].function());
    other.with_cancel_from(&root).0.after_func(tales[5].function());
    assert!(tales.iter().all(|tale| tale.is_waiting()), "{tales:?}");
    drop(root);
    assert!(tales.iter().all(|tale| tale.is_waiting()), "{tales:?}");
    handle.cancel();
    assert!(tales.iter().all(|tale| tale.has_run()), "{tales:?}");
}

#[test]
fn a3_an_armed_deadline_of_its_own_or_above_keeps_a_function_too() {
    let own = Tale::new();
    let above = Tale::new();
    Context::background().with_timeout(Duration::from_millis(5)).0.after_func(own.function());
    Context::background().with_timeout(Duration::from_millis(5)).0.with_cancel().0.after_func(above.function());
    eventually("both functions", || own.has_run() && above.has_run());
}

#[test]
fn a3_a_foreign_parent_that_may_still_end_it_keeps_a_function() {
    let tale = Tale::new();
    let (foreign, future) = Foreign::<&'static str>::new();
    Context::background().with_cancel_on(future).0.with_cancel().0.after_func(tale.function());
    assert!(tale.is_waiting() && !foreign.dropped());
    foreign.complete("foreign");
    assert!(tale.has_run());
}

#[test]
fn a3_a_merged_parent_that_may_still_end_it_keeps_a_function() {
    let (waiting, unrun) = (Tale::new(), Tale::new());
    let (other, other_handle) = Context::background().with_cancel();
    let (lost, lost_handle) = Context::background().with_cancel();
    Context::background().with_cancel_from(&other).0.after_func(waiting.function());
    Context::background().with_cancel_from(&lost).0.after_func(unrun.function());
    drop((other, lost));
    assert!(waiting.is_waiting() && unrun.is_waiting());
    drop(lost_handle);
    assert!(unrun.is_dropped_unrun());
    other_handle.cancel();
    assert!(waiting.has_run());
}

#[test]
fn a3_a_function_on_a_context_that_can_no_longer_end_is_dropped_unrun() {
    let tale = Tale::new();
    let (ctx, handle) = Context::background().with_cancel();
    let after = ctx.after_func(tale.function());
    drop(ctx);
    assert!(tale.is_waiting(), "the handle could still cancel");
    drop(handle);
    assert!(tale.is_dropped_unrun());
    assert!(!after.stop());
}

#[test]
fn a3_the_last_ancestor_that_could_end_it_takes_the_function_with_it() {
    let tale = Tale::new();
    let (root, handle) = Context::background().with_cancel();
    let middle = root.with_cancel().0;
    middle.with_cancel().0.after_func(tale.function());
    drop(middle);
    assert!(tale.is_waiting());
    drop(root);
    assert!(tale.is_waiting());
    drop(handle);
    assert!(tale.is_dropped_unrun());
}

#[test]
fn a3_a_disarmed_deadline_no_longer_keeps_a_function() {
    let tale = Tale::new();
    let (ctx, handle) = Context::background().with_deadline(far());
    ctx.after_func(tale.function());
    assert!(handle.reset_timeout(Duration::MAX));
    drop((ctx, handle));
    assert!(tale.is_dropped_unrun());
}

#[test]
fn a3_a_function_on_a_context_that_never_ends_never_runs() {
    for ctx in [Context::background(), Context::todo(), Context::background().with_value(1u8), {
        Context::background().with_cancel().0.without_cancel()
    }] {
        let tale = Tale::new();
        let after = ctx.after_func(tale.function());
        after.stop();
        assert!(tale.is_dropped_unrun());
        assert!(!after.stop());
        let tale = Tale::new();
        drop(ctx.after_func(tale.function()));
        drop(ctx);
        assert!(tale.is_dropped_unrun(), "nothing leaks");
    }
}

#[test]
fn a4_a_function_that_takes_the_cancelers_lock_is_freed_by_running_elsewhere() {
    // The lock is held around cancel(): a function that wants it must go to another thread, as an executor hook does.
    within_a_minute(|| {
        let lock = Arc::new(Mutex::new(0));
        let (ctx, handle) = Context::background().with_cancel();
        let (inside, (tell, told)) = (lock.clone(), mpsc::channel());
        ctx.after_func(move || {
            tell.send(thread::spawn(move || *inside.lock().unwrap() += 1)).unwrap();
        });
        let guard = lock.lock().unwrap();
        handle.cancel();
        let elsewhere = told.try_recv().expect("run before cancel returned");
        assert_eq!(*guard, 0);
        drop(guard);
        elsewhere.join().unwrap();
        assert_eq!(*lock.lock().unwrap(), 1);
    });
}

#[test]
fn a4_a_canceler_may_hold_a_lock_that_no_function_takes() {
    let lock = Mutex::new(());
    let (ctx, handle) = Context::background().with_cancel();
    let tale = Tale::new();
    let inside = ctx.clone();
    let function = tale.function();
    ctx.after_func(move || {
        assert!(inside.with_cancel().0.is_done());
        function();
    });
    let _guard = lock.lock().unwrap();
    handle.cancel();
    assert!(tale.has_run());
}
