//! The primitives users get: `std`'s.

use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::LazyLock;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
pub(crate) use std::sync::{Mutex, MutexGuard};
pub(crate) use std::thread;
pub(crate) use std::thread_local;

/// A small number for the calling thread, handed out in order of first use: spreads threads over shards.
#[inline]
pub(crate) fn thread_index() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static INDEX: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    INDEX.with(|index| {
        if index.get() == usize::MAX {
            // ORDERING: none. A ticket; nothing is published with it.
            index.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        index.get()
    })
}

/// `std`'s cell behind loom's face, so that the models can see who reads and who writes.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    /// Lends the contents for reading; the caller proves that nobody writes meanwhile.
    #[inline(always)]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    /// Lends the contents for writing; the caller proves that nobody else looks meanwhile.
    #[inline(always)]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// Says "this object is alive" to the model; nothing in real builds.
#[derive(Debug)]
pub(crate) struct Canary;

impl Canary {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Canary
    }

    /// Panics in the model when the object has been given back.
    #[inline(always)]
    pub(crate) fn touch(&self) {}

    /// The object is about to be given back.
    #[inline(always)]
    pub(crate) fn kill(&self) {}
}

/// A `SeqCst` fence, for where what came before is a load or a read-modify-write, and what comes after is a load. No x86 lets a
/// load pass those, so there it is for the compiler alone, as in crossbeam-epoch. Miri, whose machine is the language's own,
/// would let it pass.
#[inline(always)]
pub(crate) fn full_fence() {
    // ORDERING: none of its own, both: the caller names its edge.
    #[cfg(all(any(target_arch = "x86", target_arch = "x86_64"), not(miri)))]
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
    #[cfg(not(all(any(target_arch = "x86", target_arch = "x86_64"), not(miri))))]
    fence(Ordering::SeqCst);
}

/// A first guess for a compare-and-swap that puts any guess right: what the word holds.
#[inline(always)]
pub(crate) fn guess<T>(word: &AtomicPtr<T>, order: Ordering) -> *mut T {
    // ORDERING: none of its own: the caller names its edges.
    word.load(order)
}

/// A number that says where to begin with a search that finds everything wherever it begins.
#[derive(Debug)]
pub(crate) struct Bookmark(AtomicU32);

impl Bookmark {
    pub(crate) fn new() -> Bookmark {
        Bookmark(AtomicU32::new(0))
    }

    #[inline]
    pub(crate) fn get(&self) -> usize {
        // ORDERING: none. Any number will do that was ever put in.
        self.0.load(Ordering::Relaxed) as usize
    }

    #[inline]
    pub(crate) fn put(&self, number: usize) {
        // ORDERING: none, as for `get`.
        self.0.store(number as u32, Ordering::Relaxed);
    }
}

/// Asks the processor to fetch a line that will be looked at soon. Any address will do.
#[inline(always)]
pub(crate) fn prefetch(address: *mut ()) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing: it may name any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// For somebody who goes along a chain and has come from one link to another: asks for one further on. Links that were made one after
/// the other mostly lie at even distances; where they do not, two lines are fetched for nothing.
#[inline(always)]
pub(crate) fn expect_beyond<T>(from: NonNull<T>, to: NonNull<T>) {
    const LINKS: usize = 16;
    let step = to.addr().get().wrapping_sub(from.addr().get());
    let beyond = to.cast::<()>().as_ptr().map_addr(|a| a.wrapping_add(step.wrapping_mul(LINKS)));
    prefetch(beyond);
    prefetch(beyond.map_addr(|a| a.wrapping_add(64)));
}

/// How many ways things are split that threads would fight for: twice the cores, a power of two from 4 to 64.
#[inline]
pub(crate) fn shard_count() -> usize {
    static COUNT: LazyLock<usize> = LazyLock::new(|| {
        let cores = thread::available_parallelism().map_or(4, usize::from);
        (2 * cores).next_power_of_two().clamp(4, 64)
    });
    *COUNT
}

/// Whether it is time to tidy up: whoever asks knows.
#[inline(always)]
pub(crate) fn tidies(untidy: impl FnOnce() -> bool) -> bool {
    untidy()
}
