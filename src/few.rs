//! A queue for what is mostly one or nothing.

use std::collections::VecDeque;

/// First in, first out. One costs no allocation.
pub(crate) struct Few<T> {
    first: Option<T>,
    more: VecDeque<T>,
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Few { first: None, more: VecDeque::new() }
    }
}

impl<T> Few<T> {
    #[inline]
    pub(crate) fn push(&mut self, one: T) {
        if self.is_empty() {
            self.first = Some(one);
        } else {
            self.more.push_back(one);
        }
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<T> {
        self.first.take().or_else(|| self.more.pop_front())
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none() && self.more.is_empty()
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    #[test]
    fn who_comes_when_the_first_has_gone_is_last() {
        let mut few = super::Few::default();
        (0..3).for_each(|one| few.push(one));
        let first = few.pop();
        few.push(3);
        let rest = std::iter::from_fn(|| few.pop());
        assert!(first.into_iter().chain(rest).eq(0..4));
        assert!(few.is_empty());
    }
}
