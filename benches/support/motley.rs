//! Values of many types.

/// A type apart for every number.
pub(crate) struct Other<const N: usize>;

/// Types that are bound again and again.
pub(crate) const FEW: usize = 4;

/// As many as there are: at depth 100, each is bound at most once.
pub(crate) const MOTLEY: usize = 64;

/// `leaf.with_value(Other::<number>)`, for a number that is not known before it runs. Wants [`Other`] in scope.
macro_rules! with_other {
    ($leaf:expr, $number:expr) => {
        with_other!($leaf, $number;
            0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
            32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63)
    };
    ($leaf:expr, $number:expr; $($known:literal)*) => {
        match $number {
            $($known => $leaf.with_value(Other::<$known>),)*
            _ => unreachable!("so many types there are not"),
        }
    };
}

/// Whether one of eight types is bound, a different one each time: what a filter says of a single one is chance.
macro_rules! has_other {
    ($leaf:expr, $time:expr) => {
        match $time % 8 {
            0 => $leaf.value::<Other<0>>().is_some(),
            1 => $leaf.value::<Other<12>>().is_some(),
            2 => $leaf.value::<Other<24>>().is_some(),
            3 => $leaf.value::<Other<36>>().is_some(),
            4 => $leaf.value::<Other<6>>().is_some(),
            5 => $leaf.value::<Other<18>>().is_some(),
            6 => $leaf.value::<Other<30>>().is_some(),
            _ => $leaf.value::<Other<42>>().is_some(),
        }
    };
}

pub(crate) use {has_other, with_other};
