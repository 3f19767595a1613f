//! Sets of types that answer "surely not in it" or "perhaps" by one test of a word.

use std::any::TypeId;
use std::hash::{Hash, Hasher};

/// What is looked at of a type: three bits of 64, or fewer where they fall together. A constant wherever the type is known.
#[derive(Copy, Clone, Debug)]
pub(super) struct Mark(u64);

/// The bits that no type of a set has in its mark. A type with one of them is not in the set; one with none of them may be.
///
/// The set is kept by what it lacks, because then a look is a single test, which needs to hold nothing else but the mark.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Lacks(u64);

impl Mark {
    #[inline]
    pub(super) fn of(key: TypeId) -> Mark {
        struct Fold(u64);
        impl Hasher for Fold {
            fn finish(&self) -> u64 {
                self.0
            }
            fn write(&mut self, bytes: &[u8]) {
                for byte in bytes {
                    self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
                }
            }
            fn write_u64(&mut self, word: u64) {
                self.0 ^= word;
            }
        }
        let mut fold = Fold(0);
        key.hash(&mut fold);
        let hash = fold.finish();
        Mark(1 << (hash >> 58) | 1 << (hash >> 52 & 63) | 1 << (hash >> 46 & 63))
    }
}

impl Lacks {
    pub(super) const EVERYTHING: Lacks = Lacks(u64::MAX);

    /// Of the set of this one type.
    #[inline]
    pub(super) fn all_but(mark: Mark) -> Lacks {
        Lacks(!mark.0)
    }

    /// Of the union.
    #[inline]
    pub(super) fn both(self, other: Lacks) -> Lacks {
        Lacks(self.0 & other.0)
    }

    /// Never true of a type that is in the set. Of one that is not, false by chance: one in a hundred where the set has five
    /// types, one in nine with fourteen, one in three with twenty-five.
    #[inline]
    pub(super) fn surely(self, mark: Mark) -> bool {
        self.0 & mark.0 != 0
    }
}
