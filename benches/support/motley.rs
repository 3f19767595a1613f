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

pub(crate) use with_other;
