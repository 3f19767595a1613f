//! Spans and look-ups against what one finds by going from binding to binding.

use super::*;

struct Key<const N: usize>(usize);

/// What is done with a type that is chosen while the test runs.
struct Type {
    key: fn() -> TypeId,
    bind: fn(usize, *const Binding) -> NonNull<Binding>,
    find: unsafe fn(*const Binding) -> Option<usize>,
}

impl Type {
    const fn number<const N: usize>() -> Type {
        Type {
            key: TypeId::of::<Key<N>>,
            bind: |place, next| Binding::bind(Key::<N>(place), next, ptr::null_mut()),
            // SAFETY: forwarded.
            find: |head| unsafe { Binding::find::<Key<N>>(head) }.map(|key| key.0),
        }
    }

    fn mark(&self) -> Mark {
        Mark::of((self.key)())
    }
}

macro_rules! types {
    ($($sixteens:literal)*) => { [$(types!(@ $sixteens; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)),*] };
    (@ $sixteens:literal; $($ones:literal)*) => { [$(Type::number::<{ 16 * $sixteens + $ones }>()),*] };
}

static TYPES: [[Type; 16]; 8] = types!(0 1 2 3 4 5 6 7);

/// The bindings from the first, each of the type of this number; they own each other, and this the last.
struct Chain(Vec<(usize, *const Binding)>);

impl Chain {
    fn of(types: impl IntoIterator<Item = usize>) -> Chain {
        let mut chain = Chain(Vec::new());
        for (place, number) in types.into_iter().enumerate() {
            let bound = (TYPES.as_flattened()[number].bind)(place, chain.top());
            chain.0.push((number, bound.as_ptr()));
        }
        chain
    }

    fn top(&self) -> *const Binding {
        self.0.last().map_or(ptr::null(), |(_, top)| *top)
    }

    fn at(&self, place: usize) -> &Binding {
        // SAFETY: kept by the top.
        unsafe { &*self.0[place].1 }
    }

    /// The place of the first that is not in the span from here, counted from the bottom, 1 for the lowest binding.
    fn behind(&self, place: usize) -> usize {
        let end = self.at(place).span.end;
        self.0[..place].iter().rposition(|(_, at)| ptr::eq(*at, end)).map_or(0, |place| place + 1)
    }

    fn mark(&self, place: usize) -> Mark {
        TYPES.as_flattened()[self.0[place].0].mark()
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        let mut shield = Shield::new();
        // SAFETY: the top is ours.
        unsafe { Binding::release(self.top(), &mut shield) };
        shield.finish();
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % n as u64).unwrap()
    }

    fn chain(&mut self, length: usize, types: usize) -> Chain {
        Chain::of((0..length).map(|_| self.below(types)).collect::<Vec<_>>())
    }
}

#[test]
fn spans_are_as_long_as_the_rule_says() {
    let chain = Chain::of((0..11).map(|n| n % 3));
    let lengths: Vec<_> = (0..11).rev().map(|place| chain.at(place).span.len).collect();
    assert_eq!(lengths, [1, 3, 1, 1, 7, 3, 1, 1, 3, 1, 1]);
    let ends: Vec<_> = (0..11).rev().map(|place| 11 - chain.behind(place)).collect();
    assert_eq!(ends, [1, 4, 3, 4, 11, 8, 7, 8, 11, 10, 11], "the picture in `value/mod.rs`, 11 where it has none");
}

#[test]
fn a_span_ends_behind_its_last_and_lacks_what_none_in_it_has() {
    let chain = Random(1).chain(300, 128);
    for place in 0..300 {
        let (binding, behind) = (chain.at(place), chain.behind(place));
        assert_eq!(binding.span.len, place + 1 - behind);
        let lacking = |from: usize| {
            (from..=place).fold(Lacks::EVERYTHING, |lacks, place| lacks.both(Lacks::all_but(chain.mark(place))))
        };
        assert_eq!(binding.span.lacks, lacking(behind));
        assert_eq!(binding.lacks, lacking(0));
    }
}

/// By one who knows where it is.
#[test]
fn any_binding_is_a_few_steps_away_from_any_above_it() {
    const LONG: usize = 1023;
    let chain = Chain::of((0..LONG).map(|_| 0));
    let behind: Vec<_> = (0..LONG).map(|place| chain.behind(place)).collect();
    for from in 0..LONG {
        for to in 0..=from {
            let (mut at, mut steps) = (from, 0);
            while at != to {
                at = if behind[at] > to { behind[at] - 1 } else { at - 1 };
                steps += 1;
            }
            assert!(steps <= 3 * (from + 2).ilog2() - 2, "{steps} steps from {from} to {to}");
        }
    }
}

/// Chains so long that a word cannot tell their types apart: it must be asked in vain both of chains and of spans.
#[test]
fn a_look_up_finds_what_going_from_one_to_the_next_finds() {
    let (mut random, mut vain_chains, mut vain_spans) = (Random(2), 0, 0);
    for (length, types) in [(0, 1), (1, 2), (2, 2), (7, 3), (40, 4), (60, 12), (100, 64), (200, 100), (250, 128)] {
        let chain = random.chain(length, types);
        for (number, kind) in TYPES.as_flattened().iter().enumerate() {
            // SAFETY: null is nothing bound.
            assert_eq!(unsafe { (kind.find)(ptr::null()) }, None);
            let mut nearest = None;
            for place in 0..length {
                if chain.0[place].0 == number {
                    nearest = Some(place);
                }
                // SAFETY: kept by the top.
                assert_eq!(unsafe { (kind.find)(chain.0[place].1) }, nearest, "type {number} from {place} of {length}");
                let binding = chain.at(place);
                vain_chains += usize::from(nearest.is_none() && !binding.lacks.surely(kind.mark()));
                let inside = nearest.is_some_and(|nearest| nearest >= chain.behind(place));
                assert!(!inside || !binding.span.lacks.surely(kind.mark()));
                vain_spans += usize::from(!inside && !binding.span.lacks.surely(kind.mark()));
            }
        }
    }
    assert!(vain_chains > 1000 && vain_spans > 1000, "{vain_chains} chains and {vain_spans} spans asked in vain");
}
