//! `done_channel`: with crossbeam's own `select!`, threads and clones.
#![cfg(not(feature = "loom"))]

mod common;

use common::*;
use crossbeam_channel::{Receiver, RecvTimeoutError, Select, TryRecvError, select, unbounded};
use ripcord::{Context, Error};
use std::convert::Infallible;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

fn is_closed(channel: &Receiver<Infallible>) -> bool {
    channel.try_recv() == Err(TryRecvError::Disconnected)
}

#[test]
fn open_while_live_and_closed_by_a_cancel() {
    let (ctx, handle) = Context::background().with_cancel();
    let channel = ctx.done_channel();
    assert_eq!(channel.try_recv(), Err(TryRecvError::Empty));
    handle.cancel();
    assert!(is_closed(channel));
    assert!(is_closed(ctx.done_channel()));
    assert_canceled(&ctx);
}

#[test]
fn made_once_and_seen_by_clones_and_values() {
    let (ctx, _handle) = Context::background().with_cancel();
    let value = ctx.with_value(7);
    let first = ctx.done_channel();
    assert!(first.same_channel(ctx.clone().done_channel()));
    assert!(first.same_channel(value.done_channel()), "a value's context ends with the one below");
    let (child, _child) = ctx.with_cancel();
    assert!(!first.same_channel(child.done_channel()));
}

#[test]
fn never_closed_on_a_root() {
    for root in [Context::background(), Context::todo(), Context::background().with_cancel().0.without_cancel()] {
        assert_eq!(root.done_channel().recv_timeout(Duration::from_millis(2)), Err(RecvTimeoutError::Timeout));
    }
}

#[test]
fn closed_when_called_after_the_end() {
    let (parent, handle) = Context::background().with_cancel();
    handle.cancel();
    assert!(is_closed(parent.done_channel()));
    assert!(is_closed(parent.with_cancel().0.done_channel()), "born ended");
    assert!(is_closed(Context::background().with_timeout(Duration::ZERO).0.done_channel()));
}

#[test]
fn closed_by_an_ancestor_a_deadline_a_merge_and_a_foreign_parent() {
    let (parent, handle) = Context::background().with_cancel();
    let (side, side_handle) = Context::background().with_cancel();
    let (child, _child) = parent.with_cancel();
    let (merged, _merged) = parent.with_cancel_from(&side);
    let (late, late_handle) = parent.with_timeout(Duration::from_secs(60));
    let (foreign, future) = Foreign::new();
    let (follower, _follower) = parent.with_cancel_on(future);
    let all = [&child, &merged, &late, &follower];
    assert!(all.iter().all(|ctx| !is_closed(ctx.done_channel())));
    assert!(late_handle.reset_timeout(Duration::from_millis(5)));
    assert!(late.done_channel().recv().is_err());
    assert_eq!(late.err(), Some(Error::DeadlineExceeded));
    side_handle.cancel();
    assert!(is_closed(merged.done_channel()));
    foreign.complete("gone");
    assert!(is_closed(follower.done_channel()));
    assert!(!is_closed(child.done_channel()));
    handle.cancel();
    assert!(is_closed(child.done_channel()));
}

#[test]
fn select_wakes_a_blocked_thread() {
    within_a_minute(|| {
        let (ctx, handle) = Context::background().with_cancel();
        let (jobs, inbox) = unbounded();
        let worker = thread::spawn(move || {
            let mut seen = Vec::new();
            loop {
                select! {
                    recv(inbox) -> job => seen.push(job.unwrap()),
                    recv(ctx.done_channel()) -> end => {
                        assert!(end.is_err());
                        assert_eq!(ctx.err(), Some(Error::Canceled));
                        return seen;
                    }
                }
            }
        });
        for n in 0..10 {
            jobs.send(n).unwrap();
        }
        eventually("the jobs are taken", || jobs.is_empty());
        handle.cancel();
        assert_eq!(worker.join().unwrap(), (0..10).collect::<Vec<_>>());
    });
}

/// Many waiting threads, each on its own context of one tree and on all of them.
#[test]
fn every_selecting_thread_of_a_tree_is_woken() {
    within_a_minute(|| {
        for _ in 0..stress(50) {
            let (root, handle) = Context::background().with_cancel();
            let start = Arc::new(Barrier::new(5));
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    let (root, start) = (root.clone(), start.clone());
                    thread::spawn(move || {
                        let children: Vec<_> = (0..3).map(|_| root.with_cancel()).collect();
                        let mut select = Select::new();
                        for (child, _) in &children {
                            select.recv(child.done_channel());
                        }
                        start.wait();
                        let first = select.ready();
                        assert!(children[first].0.is_done(), "closed, so ended");
                        assert!(children.iter().all(|(child, _)| child.done_channel().recv().is_err()));
                    })
                })
                .collect();
            start.wait();
            handle.cancel();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        }
    });
}

/// G1, both ways: closed means ended, and a call that comes after the end returns a closed one.
#[test]
fn whoever_sees_it_closed_sees_the_end_and_whoever_asks_after_the_end_sees_it_closed() {
    within_a_minute(|| {
        for round in 0..stress(2_000) {
            let (ctx, handle) = Context::background().with_cancel();
            let kept = ctx.done_channel().clone();
            let watcher = {
                let ctx = ctx.clone();
                thread::spawn(move || {
                    if round % 2 == 0 {
                        while !is_closed(&kept) {
                            std::hint::spin_loop();
                        }
                        assert_canceled(&ctx);
                    } else {
                        while !ctx.is_done() {
                            std::hint::spin_loop();
                        }
                        assert!(is_closed(ctx.done_channel()));
                    }
                })
            };
            handle.cancel();
            watcher.join().unwrap();
        }
    });
}

/// First use races with the end and with other first uses.
#[test]
fn first_uses_that_race_with_the_end_are_closed() {
    within_a_minute(|| {
        for _ in 0..stress(500) {
            let (ctx, handle) = Context::background().with_cancel();
            let start = Arc::new(Barrier::new(3));
            let users: Vec<_> = (0..2)
                .map(|_| {
                    let (ctx, start) = (ctx.clone(), start.clone());
                    thread::spawn(move || {
                        start.wait();
                        assert!(ctx.done_channel().recv().is_err());
                        assert!(ctx.is_done());
                    })
                })
                .collect();
            start.wait();
            handle.cancel();
            users.into_iter().for_each(|user| user.join().unwrap());
        }
    });
}

/// The waker in the slots must not keep what it belongs to.
#[test]
fn a_dropped_context_with_a_channel_leaves_its_parent() {
    let tale = Tale::new();
    let (parent, _parent) = Context::background().with_cancel();
    for _ in 0..100 {
        let (child, handle) = parent.with_value(tale.probe()).with_cancel();
        assert!(!is_closed(child.done_channel()));
        drop((child, handle));
    }
    assert_eq!(tale.drops(), 100, "values go with their contexts");
}

#[test]
fn a_dropped_context_with_a_channel_and_a_child_stays_a_relay() {
    let (parent, handle) = Context::background().with_cancel();
    let (middle, middle_handle) = parent.with_cancel();
    let (child, _child) = middle.with_cancel();
    let clone = middle.done_channel().clone();
    drop((middle, middle_handle));
    assert!(is_closed(&clone), "nobody can ask its context any more");
    assert!(!is_closed(child.done_channel()));
    handle.cancel();
    assert!(is_closed(child.done_channel()));
}

#[test]
fn a_channel_in_an_after_func_or_a_waker_is_usable() {
    let (ctx, handle) = Context::background().with_cancel();
    let channel = ctx.done_channel().clone();
    let seen = ctx.clone();
    let (tell, told) = unbounded();
    ctx.after_func(move || tell.send((is_closed(&channel), is_closed(seen.done_channel()))).unwrap());
    handle.cancel();
    assert_eq!(told.recv(), Ok((true, true)), "wakers, and so channels, come before functions");
}
