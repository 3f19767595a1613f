//! What this thread has retired, and not handed to the collector yet.
//!
//! To hand over takes a pin, and a turn of the collector takes a look at every thread that ever pinned: so both wait until there is
//! a batch. Then the collector gets two turns, each under a pin of its own: where nobody else is pinned, that gives the batch back at
//! once. So memory goes back where it was let go, while it is still in the cache; and whoever cancels, and pins for that, has
//! little to clear away for others. Where there are many threads to look at, one turn has to do for twice as much.
//!
//! A piece that waits here longer than it has to does no harm: nobody who pins from now on can reach it.

use super::reclaim::{Piece, pin, threads};
use std::cell::RefCell;
use std::mem;

/// So many pieces are handed over at once. One by one where a tool looks for touches of what was given back.
const BATCH: usize = if cfg!(any(ripcord_unpooled, fuzzing)) { 1 } else { 64 };

/// From here on there are many threads.
const MANY: usize = 32;

struct Retired(Vec<Piece>);

thread_local! {
    static RETIRED: RefCell<Retired> = const { RefCell::new(Retired(Vec::new())) };
}

/// Calls `free(ptr)` once nobody who is pinned now can still be looking. The caller need not be pinned.
///
/// # Safety
///
/// `ptr` is unreachable for guards made from now on, `free(ptr)` is sound exactly once on any thread, and it runs no user code.
#[inline]
pub(crate) unsafe fn retire(ptr: *mut (), free: unsafe fn(*mut ())) {
    let kept = RETIRED.try_with(|retired| {
        let pieces = &mut retired.borrow_mut().0;
        pieces.push(Piece(ptr, free));
        pieces.len() % BATCH != 0
    });
    match kept {
        Ok(true) => {}
        Ok(false) => hand_over(),
        // The thread ends, and has handed over.
        // SAFETY: forwarded.
        Err(_) => unsafe { pin().retire(ptr, free) },
    }
}

/// There is a batch, or another one.
#[cold]
#[inline(never)]
fn hand_over() {
    let many = threads() > MANY;
    // Out of the cell first: what is given back may retire more.
    let pieces = RETIRED.with(|retired| {
        let pieces = &mut retired.borrow_mut().0;
        let waits = many && pieces.len() < 2 * BATCH;
        if waits { Vec::new() } else { mem::replace(pieces, Vec::with_capacity(BATCH)) }
    });
    if pieces.is_empty() {
        return;
    }
    let guard = pin();
    // SAFETY: promised with each.
    unsafe { guard.retire_all(pieces) };
    guard.collect();
    drop(guard);
    if !many {
        pin().collect();
    }
}

impl Drop for Retired {
    /// The thread ends. The rest is for others.
    fn drop(&mut self) {
        if !self.0.is_empty() {
            // SAFETY: promised with each.
            unsafe { pin().retire_all(mem::take(&mut self.0)) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BATCH, retire};
    use crate::sync::reclaim::pin;
    use std::ptr;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::{Duration, Instant};

    /// Retires so many on a thread of its own, which hands over the rest with its end.
    fn retire_on_a_thread(count: usize, free: unsafe fn(*mut ())) {
        let all = move || {
            for _ in 0..count {
                // SAFETY: no memory at all.
                unsafe { retire(ptr::null_mut(), free) };
            }
        };
        thread::spawn(all).join().unwrap();
    }

    /// Gives the collector turns until so many were given back. Other tests' threads may be pinned.
    fn until(freed: &AtomicUsize, count: usize) {
        let patience = Instant::now() + Duration::from_secs(60);
        while freed.load(Ordering::Relaxed) < count {
            assert!(Instant::now() < patience, "{} of {count} were given back", freed.load(Ordering::Relaxed));
            pin().collect();
            thread::yield_now();
        }
        assert_eq!(freed.load(Ordering::Relaxed), count, "given back once each");
    }

    #[test]
    fn whole_batches_and_the_rest_are_given_back_once() {
        static FREED: AtomicUsize = AtomicUsize::new(0);
        fn free(_: *mut ()) {
            FREED.fetch_add(1, Ordering::Relaxed);
        }
        retire_on_a_thread(5 * BATCH + 7, free);
        until(&FREED, 5 * BATCH + 7);
    }

    #[test]
    fn what_is_given_back_may_retire_more() {
        static FREED: AtomicUsize = AtomicUsize::new(0);
        fn last(_: *mut ()) {
            FREED.fetch_add(1, Ordering::Relaxed);
        }
        fn first(_: *mut ()) {
            // SAFETY: no memory at all.
            unsafe { retire(ptr::null_mut(), last) };
        }
        retire_on_a_thread(2 * BATCH, first);
        // Whoever gave the first ones back has the others, and hands them over when they are a batch, or with its end.
        retire_on_a_thread(BATCH, |_| ());
        let patience = Instant::now() + Duration::from_secs(60);
        while FREED.load(Ordering::Relaxed) < 2 * BATCH {
            assert!(Instant::now() < patience, "{} were given back", FREED.load(Ordering::Relaxed));
            retire_on_a_thread(BATCH, |_| ());
        }
    }

    #[test]
    fn nothing_is_given_back_under_a_guard_of_its_time() {
        static FREED: AtomicUsize = AtomicUsize::new(0);
        fn free(_: *mut ()) {
            FREED.fetch_add(1, Ordering::Relaxed);
        }
        let guard = pin();
        retire_on_a_thread(3 * BATCH, free);
        for _ in 0..16 {
            thread::spawn(|| pin().collect()).join().unwrap();
        }
        assert_eq!(FREED.load(Ordering::Relaxed), 0);
        drop(guard);
        until(&FREED, 3 * BATCH);
    }
}
