//! Random graphs of contexts, in which merges join what is near and what is far, canceled in any order: compared with a plain graph.
#![cfg(not(feature = "loom"))]

mod common;

use common::*;
use ripcord::{AfterFunc, CancelHandle, Context, DoneOwned, Error};
use std::collections::HashSet;
use std::iter::once;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::thread;

/// What a graph is like: how far a parent is to be looked for, and how many contexts in a hundred have two.
#[derive(Copy, Clone, Debug)]
struct Shape {
    contexts: usize,
    near: usize,
    merged: usize,
}

/// The plain graph.
#[derive(Default)]
struct Model {
    below: Vec<Vec<usize>>,
    ended_by: Vec<Option<usize>>,
}

impl Model {
    fn end(&mut self, from: usize) {
        let mut next = vec![from];
        while let Some(at) = next.pop() {
            if self.ended_by[at].is_none() {
                self.ended_by[at] = Some(from);
                next.extend(&self.below[at]);
            }
        }
    }

    /// All that is below, and the one itself.
    fn reach(&self, from: usize) -> Vec<usize> {
        let (mut seen, mut next) = (HashSet::from([from]), vec![from]);
        let mut all = Vec::new();
        while let Some(at) = next.pop() {
            all.push(at);
            next.extend(self.below[at].iter().filter(|below| seen.insert(**below)));
        }
        all
    }
}

struct Graph {
    model: Model,
    made: Vec<Option<(Context, CancelHandle)>>,
}

/// Each context sits below earlier ones: a chain where `near` is 1, a bush where it is large.
fn graph(random: &mut Random, shape: Shape) -> Graph {
    let mut graph = Graph { model: Model::default(), made: Vec::new() };
    for n in 0..shape.contexts {
        let pick = |random: &mut Random| n.saturating_sub(1 + random.below(shape.near));
        let parent = pick(random);
        let other = if random.below(2) == 0 { pick(random) } else { random.below(n.max(1)) };
        let ctx = |n: usize| &graph.made[n].as_ref().expect("none has gone yet").0;
        let next = match n {
            0 => Context::background().with_cancel(),
            _ if random.below(100) < shape.merged => {
                graph.model.below[other].push(n);
                ctx(parent).with_cancel_from(ctx(other))
            }
            _ if random.below(8) == 0 => ctx(parent).with_value(n).with_cancel(),
            _ if random.below(8) == 0 => ctx(parent).with_deadline(far()),
            _ => ctx(parent).with_cancel(),
        };
        if n > 0 {
            graph.model.below[parent].push(n);
        }
        graph.model.below.push(Vec::new());
        graph.model.ended_by.push(None);
        graph.made.push(Some(next));
    }
    graph
}

/// Those who wait for a context, and how often each has been told.
struct Waits {
    wakes: Arc<Wakes>,
    tale: Arc<Tale>,
    _done: DoneOwned,
    _after: AfterFunc,
}

fn wait_at(ctx: &Context) -> Waits {
    let (wakes, waker) = Wakes::new();
    let mut done = ctx.clone().into_done();
    assert!(poll_with(&mut done, &waker).is_pending());
    let tale = Tale::new();
    let after = ctx.after_func(tale.function());
    Waits { wakes, tale, _done: done, _after: after }
}

fn assert_alike(graph: &Graph, waits: &[Option<Waits>], when: &str) {
    for (n, made) in graph.made.iter().enumerate() {
        let expected = graph.model.ended_by[n].map(|by| u32::try_from(by).unwrap());
        if let Some((ctx, _)) = made {
            assert_eq!(ctx.is_done(), expected.is_some(), "context {n} {when}");
            assert_eq!(oops_of(ctx), expected, "context {n} {when}");
        }
        if let Some(waits) = &waits[n] {
            let told = usize::from(expected.is_some());
            assert_eq!((waits.wakes.count(), waits.tale.runs()), (told, told), "who waits at {n} {when}");
        }
    }
}

const SHAPES: [Shape; 6] = [
    Shape { contexts: 40, near: 1, merged: 30 },
    Shape { contexts: 40, near: 2, merged: 100 },
    Shape { contexts: 40, near: 3, merged: 20 },
    Shape { contexts: 40, near: 8, merged: 50 },
    Shape { contexts: 60, near: 60, merged: 10 },
    Shape { contexts: 60, near: 60, merged: 100 },
];

#[test]
fn graphs_end_as_the_plain_ones_do() {
    for seed in 0..stress(1_500) as u64 {
        let random = &mut Random::new(seed);
        let mut graph = graph(random, SHAPES[seed as usize % SHAPES.len()]);
        let rare = 1 + random.below(4);
        let waits: Vec<_> = (graph.made.iter())
            .map(|made| made.as_ref().filter(|_| random.below(rare) == 0).map(|made| wait_at(&made.0)))
            .collect();
        for step in 0..30 {
            let at = random.below(graph.made.len());
            if random.below(3) > 0 {
                graph.made[at] = None;
            } else if let Some((_, handle)) = &graph.made[at] {
                handle.cancel_cause(oops(u32::try_from(at).unwrap()));
                graph.model.end(at);
            }
            assert_alike(&graph, &waits, &format!("after step {step}, seed {seed}"));
        }
    }
}

/// Every context is canceled, in orders in which each cancel that walked what is below it once more would take hours.
#[test]
fn each_edge_of_a_large_graph_is_walked_a_few_times() {
    const MANY: usize = 60_000;
    within_a_minute(|| {
        for (near, merged) in [(1, 0), (1, 50), (2, 100), (3, 10), (1_000, 30)] {
            for order in 0..4 {
                let random = &mut Random::new(near as u64);
                let mut graph = graph(random, Shape { contexts: MANY, near, merged });
                let mut all: Vec<_> = (0..MANY).collect();
                match order {
                    0 => random.shuffle(&mut all),
                    1 => all.reverse(),
                    2 => all.rotate_left(MANY / 2),
                    _ => {}
                }
                for at in all {
                    graph.made[at].as_ref().unwrap().1.cancel_cause(oops(u32::try_from(at).unwrap()));
                    graph.model.end(at);
                }
                let waits: Vec<_> = (0..MANY).map(|_| None).collect();
                assert_alike(&graph, &waits, "at the end");
            }
        }
    });
}

/// Whoever returns from a cancel has everything below ended, whoever else is on the way there, or has just been.
#[test]
fn whoever_returns_finds_all_below_ended() {
    within_a_minute(|| {
        for round in 0..stress(300) {
            let random = &mut Random::new(round as u64);
            let shape = Shape { contexts: 300, ..SHAPES[round % SHAPES.len()] };
            let graph = graph(random, shape);
            let begin = Barrier::new(3);
            let canceled = AtomicUsize::new(0);
            // Where the graph is deep, all of them are often on the way at once.
            let orders: [Vec<usize>; 3] = std::array::from_fn(|n| {
                let first = if n == 0 { 0 } else { random.below(shape.contexts / 2) };
                once(first).chain((0..10).map(|_| random.below(shape.contexts))).collect()
            });
            thread::scope(|scope| {
                for order in &orders {
                    scope.spawn(|| {
                        let order: Vec<_> = order.iter().map(|at| (*at, graph.model.reach(*at))).collect();
                        begin.wait();
                        for (at, below) in order {
                            graph.made[at].as_ref().unwrap().1.cancel();
                            let live = below.iter().find(|n| !graph.made[**n].as_ref().unwrap().0.is_done());
                            assert_eq!(live, None, "below {at}, round {round}");
                            canceled.fetch_add(1, SeqCst);
                        }
                    });
                }
            });
            assert_eq!(canceled.into_inner(), 33);
        }
    });
}

/// The walk comes to each level once down the chain and once from the far parent: it must know then that it was below.
#[test]
fn a_chain_whose_levels_all_have_one_far_parent_is_walked_twice() {
    within_a_minute(|| {
        let (far, handle) = Context::background().with_cancel();
        let mut levels = vec![far.with_cancel()];
        // They keep places free, for the far parent's walk would come to the lowest levels first.
        let mut places: Vec<_> = (0..250_000).map(|_| far.with_cancel().0).collect();
        for above in 0..places.len() {
            places.pop();
            let next = levels[above].0.with_cancel_from(&far);
            levels.push(next);
        }
        handle.cancel_cause("far");
        for (ctx, _) in &levels {
            assert_ended(ctx, Error::Canceled, "far");
        }
    });
}
