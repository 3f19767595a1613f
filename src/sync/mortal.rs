//! The model's atomics and cells: the explorer's, and they know when their memory goes back.
//!
//! loom checks that accesses are ordered; it does not know that memory ends. Here dropping a word counts as a plain write
//! to it, as giving memory back does: whatever anybody did with the word must have happened before, or loom reports
//! a race, and a touch afterwards panics. So an object that is freed one release or one acquire too early fails its
//! model even if no interleaving reads anything strange.
//!
//! Every word that is made is counted, and must be dropped by the end of its run: what is left was leaked.

use super::explorer::sync::atomic as mock;
use super::explorer::{alone, cell};
use std::cell::Cell;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool as Flag, Ordering::Relaxed};

std::thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

/// How many words have been made and not dropped on this OS thread, which runs all threads of a model.
pub(super) fn live() -> isize {
    LIVE.get()
}

/// Something that ends after its run, with loom's statics: its words do not count as leaked.
pub(crate) struct Lasting<T> {
    value: T,
    words: isize,
}

impl<T> Lasting<T> {
    pub(crate) fn new(make: impl FnOnce() -> T) -> Self {
        let before = LIVE.get();
        let value = make();
        let words = LIVE.replace(before) - before;
        Lasting { value, words }
    }
}

impl<T> Deref for Lasting<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Drop for Lasting<T> {
    fn drop(&mut self) {
        LIVE.set(LIVE.get() + self.words);
    }
}

/// A new run begins: what a failed one left does not count.
pub(super) fn forget() {
    LIVE.set(0);
}

/// What loom can check to be unshared.
pub(crate) trait Word {
    /// Fails the model unless all other accesses happened before.
    fn alone(&mut self);
}

/// A word with an end.
pub(crate) struct Mortal<W: Word> {
    word: W,
    dead: Flag,
}

impl<W: Word> Mortal<W> {
    fn made(word: W) -> Self {
        LIVE.set(LIVE.get() + 1);
        Mortal { word, dead: Flag::new(false) }
    }
}

impl<W: Word> Deref for Mortal<W> {
    type Target = W;

    fn deref(&self) -> &W {
        assert!(!self.dead.load(Relaxed), "touched after it was given back");
        &self.word
    }
}

impl<W: Word> Drop for Mortal<W> {
    fn drop(&mut self) {
        LIVE.set(LIVE.get() - 1);
        if !std::thread::panicking() {
            assert!(!self.dead.swap(true, Relaxed), "given back twice");
            self.word.alone();
        }
    }
}

impl<W: Word> std::fmt::Debug for Mortal<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mortal").field("dead", &self.dead).finish_non_exhaustive()
    }
}

macro_rules! words {
    ($($name:ident of $value:ty),+ $(,)?) => {$(
        pub(crate) type $name = Mortal<mock::$name>;

        impl Word for mock::$name {
            fn alone(&mut self) {
                alone!(self);
            }
        }

        impl Mortal<mock::$name> {
            #[track_caller]
            pub(crate) fn new(value: $value) -> Self {
                Mortal::made(mock::$name::new(value))
            }
        }
    )+};
}

words!(AtomicU32 of u32, AtomicU64 of u64, AtomicUsize of usize);

pub(crate) type AtomicBool = Mortal<mock::AtomicBool>;

impl Word for mock::AtomicBool {
    /// loom has no plain access to a flag.
    fn alone(&mut self) {}
}

impl Mortal<mock::AtomicBool> {
    #[track_caller]
    pub(crate) fn new(value: bool) -> Self {
        Mortal::made(mock::AtomicBool::new(value))
    }
}

pub(crate) type AtomicPtr<T> = Mortal<mock::AtomicPtr<T>>;

impl<T> Word for mock::AtomicPtr<T> {
    fn alone(&mut self) {
        alone!(self);
    }
}

impl<T> Mortal<mock::AtomicPtr<T>> {
    #[track_caller]
    pub(crate) fn new(value: *mut T) -> Self {
        Mortal::made(mock::AtomicPtr::new(value))
    }
}

pub(crate) type UnsafeCell<T> = Mortal<cell::UnsafeCell<T>>;

impl<T> Word for cell::UnsafeCell<T> {
    fn alone(&mut self) {
        self.with_mut(|_| ());
    }
}

impl<T> Mortal<cell::UnsafeCell<T>> {
    #[track_caller]
    pub(crate) fn new(value: T) -> Self {
        Mortal::made(cell::UnsafeCell::new(value))
    }
}
