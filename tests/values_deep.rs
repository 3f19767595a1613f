//! Values far below, against a model that knows all bindings by heart: shadowing, any order of types, views from the
//! middle and from forks, contexts that cancel or are detached in between, contexts that are gone.
#![cfg(not(feature = "loom"))]

mod common;

use common::*;
use ripcord::Context;
use std::collections::BTreeMap;

/// A type apart for every number. What is bound is told by a number of its own.
struct Key<const N: usize>(u64);

struct Type {
    bind: fn(&Context, u64) -> Context,
    find: fn(&Context) -> Option<u64>,
}

impl Type {
    const fn number<const N: usize>() -> Type {
        Type { bind: |ctx, id| ctx.with_value(Key::<N>(id)), find: |ctx| ctx.value::<Key<N>>().map(|key| key.0) }
    }
}

macro_rules! types {
    ($($sixteens:literal)*) => { [$(types!(@ $sixteens; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)),*] };
    (@ $sixteens:literal; $($ones:literal)*) => { [$(Type::number::<{ 16 * $sixteens + $ones }>()),*] };
}

/// So many that no filter of a few words tells them apart.
static TYPES: [[Type; 16]; 16] = types!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);

/// A context, and what is to be seen from it.
struct View {
    ctx: Context,
    seen: BTreeMap<usize, u64>,
}

impl View {
    fn check(&self, among: usize) {
        for (number, kind) in TYPES.as_flattened()[..among].iter().enumerate() {
            assert_eq!((kind.find)(&self.ctx), self.seen.get(&number).copied(), "type {number} from {}", self.ctx);
        }
    }
}

/// `views` contexts, each derived from one of the latest or from any.
fn random_tree(random: &mut Random, views: usize, types: usize) {
    let mut all = vec![View { ctx: Context::background(), seen: BTreeMap::new() }];
    for id in 0..views as u64 {
        let parent = match random.below(16) {
            0 => random.below(all.len()),
            n => all.len() - 1 - n % 2 % all.len(),
        };
        let View { ctx, seen } = &all[parent];
        let mut seen = seen.clone();
        let ctx = match random.below(10) {
            0 => ctx.with_cancel().0,
            1 => ctx.without_cancel(),
            2 => ctx.with_deadline(far()).0,
            3 => {
                // Values come from the first parent only.
                let other = &all[random.below(all.len())].ctx;
                ctx.with_cancel_from(other).0
            }
            _ => {
                let number = random.below(types);
                seen.insert(number, id);
                (TYPES.as_flattened()[number].bind)(ctx, id)
            }
        };
        let view = View { ctx, seen };
        view.check(types.saturating_add(3).min(256));
        all.push(view);
    }
    // Whatever goes, the rest sees as before.
    random.shuffle(&mut all);
    while all.len() > 8 {
        all.truncate(all.len() * 2 / 3);
        all.iter().for_each(|view| view.check(types));
    }
}

#[test]
fn v1_a_random_tree_shows_what_a_model_of_it_shows() {
    let mut random = Random::new(14);
    for types in [1, 2, 3, 5, 8, 16, 40, 100, 253] {
        for _ in 0..stress(6) {
            random_tree(&mut random, 150, types);
        }
    }
}

/// Every type bound once, then some again and again: all of them are seen from the leaf, and none that was not bound.
#[test]
fn v1_more_types_than_a_filter_can_tell_apart_are_found_from_far_above() {
    let types = TYPES.as_flattened();
    let bound = 200;
    let mut ctx = Context::background();
    for (number, kind) in types[..bound].iter().enumerate() {
        ctx = (kind.bind)(&ctx.with_cancel().0, number as u64);
    }
    let middle = ctx.clone();
    for round in 0..3000 {
        ctx = (types[round % 7].bind)(&ctx, 1000 + round as u64);
    }
    for (number, kind) in types.iter().enumerate() {
        let id = number as u64;
        assert_eq!((kind.find)(&middle), (number < bound).then_some(id), "type {number} from the middle");
        let last = (0..3000).rev().find(|round| round % 7 == number).map(|round| 1000 + round as u64);
        assert_eq!((kind.find)(&ctx), last.or((number < bound).then_some(id)), "type {number} from the leaf");
    }
}
