//! A fixed amount of one row's work, for an instruction counter: `gates <row> <times>`. Run by `ci/gates` under callgrind
//! with N and 2N; the difference is the work alone.
//!
//! Rows: P1 a child, created and dropped; P3 the same with a 30 s timeout; P6 a parent of 100 built,
//! canceled and dropped, P6b the same without the cancel, so that the difference is the cancel; P7 a `done()` polled once
//! and dropped; P9 a deadline with no parent, armed and released; P11 a deadline moved 10 ms further; P13 a chain of 100 built,
//! canceled and dropped from the top, P13b the same without the cancel; P14 a value found at
//! depth 10, where four other types and cancelable nodes take turns above it, P14-1 at depth
//! 1, P14-100 and P14-1000 deeper; P14-many one of eight types among 49, 14 to 98 deep, P14-none a type that is bound nowhere,
//! from there; V2 a value bound on top of five others, and dropped, V2-child the same with a child of it.
//!
//! T1, T3, T4, T7 do P1, P3, a look and P7 on four threads at one context with 200 live children: `ci/lines` counts which
//! of their memory accesses go to lines that another thread uses too. Run as a bench without arguments it does each row a
//! few times.

#[path = "support/motley.rs"]
mod motley;

use motley::{FEW, MOTLEY, Other, has_other, with_other};
use ripcord::{CancelHandle, Context, Error};
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Barrier;
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

struct Key(u64);
struct Absent;

fn p1(times: u64) {
    let (parent, _handle) = Context::background().with_cancel();
    for _ in 0..times {
        drop(black_box(parent.with_cancel()));
    }
}

fn p3(times: u64) {
    let (parent, _handle) = Context::background().with_cancel();
    for _ in 0..times {
        drop(black_box(parent.with_timeout(Duration::from_secs(30))));
    }
}

fn tree(times: u64, end: fn(&CancelHandle), expected: Option<Error>) {
    for _ in 0..times {
        let (parent, handle) = Context::background().with_cancel();
        let children: Vec<_> = (0..100).map(|_| parent.with_cancel()).collect();
        end(&handle);
        assert_eq!(children[99].0.err(), expected);
    }
}

fn p6(times: u64) {
    tree(times, CancelHandle::cancel, Some(Error::Canceled));
}

fn p6b(times: u64) {
    tree(times, |_| (), None);
}

fn p7(times: u64) {
    let (ctx, _handle) = Context::background().with_cancel();
    let mut task = std::task::Context::from_waker(Waker::noop());
    for _ in 0..times {
        let mut done = pin!(ctx.done());
        assert_eq!(black_box(done.as_mut().poll(&mut task)), Poll::Pending);
    }
}

fn p9(times: u64) {
    for _ in 0..times {
        drop(black_box(Context::background().with_timeout(Duration::from_secs(300))));
    }
}

fn p11(times: u64) {
    let mut at = Instant::now() + Duration::from_secs(3600);
    let (_ctx, handle) = Context::background().with_deadline(at);
    for _ in 0..times {
        at += Duration::from_millis(10);
        assert!(black_box(&handle).reset_deadline(at));
    }
}

fn chain(times: u64, end: fn(&CancelHandle), expected: Option<Error>) {
    for _ in 0..times {
        let mut levels = vec![Context::background().with_cancel()];
        for above in 0..99 {
            let next = levels[above].0.with_cancel();
            levels.push(next);
        }
        end(&levels[0].1);
        assert_eq!(levels[99].0.err(), expected);
    }
}

fn p13(times: u64) {
    chain(times, CancelHandle::cancel, Some(Error::Canceled));
}

fn p13b(times: u64) {
    chain(times, |_| (), None);
}

/// The key, and above it up to this depth cancelable nodes and values of so many other types in turn.
fn values(depth: usize, types: usize) -> Context {
    let mut leaf = Context::background().with_cancel().0.with_value(Key(1));
    for level in 1..depth {
        leaf = if level % 2 == 0 { with_other!(leaf, (level / 2 - 1) % types) } else { leaf.with_cancel().0 };
    }
    leaf
}

fn found(leaf: &Context, times: u64) {
    let mut sum = 0;
    for _ in 0..times {
        sum += black_box(leaf).value::<Key>().map_or(0, |key| key.0);
    }
    assert_eq!(sum, times);
}

fn p14(times: u64) {
    found(&values(10, FEW), times);
}

fn p14_1(times: u64) {
    found(&values(1, FEW), times);
}

fn p14_100(times: u64) {
    found(&values(100, FEW), times);
}

fn p14_1000(times: u64) {
    found(&values(1000, FEW), times);
}

fn p14_many(times: u64) {
    let leaf = values(100, MOTLEY);
    for time in 0..times {
        assert!(has_other!(black_box(&leaf), time));
    }
}

fn p14_none(times: u64) {
    let leaf = values(100, MOTLEY);
    for _ in 0..times {
        assert!(black_box(&leaf).value::<Absent>().is_none());
    }
}

fn v2(times: u64) {
    let parent = values(10, FEW);
    for _ in 0..times {
        drop(black_box(parent.with_value(Key(2))));
    }
}

fn v2_child(times: u64) {
    let parent = values(10, FEW);
    for _ in 0..times {
        drop(black_box(parent.with_value(Key(2)).with_cancel()));
    }
}

/// So many times on each of four threads, all alive from the first to the last.
fn on_four(times: u64, work: impl Fn(&Context) + Sync) {
    let (parent, _handle) = Context::background().with_cancel();
    // Enough from enough threads for it to give every thread a place of its own. Where threads collide it does so sooner, but
    // under valgrind they take turns.
    let _siblings: Vec<_> = (0..4).flat_map(|_| siblings(&parent)).collect();
    let together = Barrier::new(4);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                // What a thread does once.
                (0..20).for_each(|_| work(&parent));
                together.wait();
                (0..times).for_each(|_| work(&parent));
                together.wait();
            });
        }
    });
}

/// Fifty children, from a thread of its own.
fn siblings(parent: &Context) -> Vec<(Context, CancelHandle)> {
    let make = || (0..50).map(|_| parent.with_cancel()).collect();
    thread::scope(|scope| scope.spawn(make).join().expect("it only makes children"))
}

fn t1(times: u64) {
    on_four(times, |parent| drop(black_box(parent.with_cancel())));
}

fn t3(times: u64) {
    on_four(times, |parent| drop(black_box(parent.with_timeout(Duration::from_secs(30)))));
}

fn t4(times: u64) {
    on_four(times, |parent| assert!(!black_box(parent).is_done()));
}

fn t7(times: u64) {
    on_four(times, |parent| {
        let mut done = pin!(parent.done());
        let mut task = std::task::Context::from_waker(Waker::noop());
        assert_eq!(black_box(done.as_mut().poll(&mut task)), Poll::Pending);
    });
}

/// Does a row's work so many times.
type Work = fn(u64);

fn main() {
    #[rustfmt::skip]
    let rows: [(&str, Work); 21] = [
        ("P1", p1), ("P3", p3), ("P6", p6), ("P6b", p6b), ("P7", p7), ("P9", p9), ("P11", p11), ("P13", p13), ("P13b", p13b),
        ("P14", p14), ("P14-1", p14_1), ("P14-100", p14_100),
        ("P14-1000", p14_1000), ("P14-many", p14_many), ("P14-none", p14_none), ("V2", v2), ("V2-child", v2_child),
        ("T1", t1), ("T3", t3), ("T4", t4), ("T7", t7),
    ];
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if let [row, times] = arguments.as_slice() {
        let (_, work) = rows.iter().find(|(name, _)| name == row).expect("one of the rows");
        work(times.parse().expect("how many times"));
    } else {
        for (_, work) in rows {
            work(10);
        }
    }
}
