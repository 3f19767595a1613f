//! An allocator that lets a thread be caught in the middle of something: it does not return before it is told to.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{
    AtomicBool, AtomicI64, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};
use std::thread;
use std::time::Duration;

/// Steps that those who may be caught still have; negative: nobody is caught.
static TO_GO: AtomicI64 = AtomicI64::new(-1);
/// Whoever is caught waits for this.
static RELEASED: AtomicBool = AtomicBool::new(false);
/// Whoever is caught waits for a change of this, too.
static ROUND: AtomicUsize = AtomicUsize::new(0);
static CAUGHT: AtomicUsize = AtomicUsize::new(0);
/// Whom the trap is for: the timer's threads, known by their names, or those that have offered themselves.
static FOR_TIMER: AtomicBool = AtomicBool::new(true);

thread_local! {
    static OFFERED: Cell<bool> = const { Cell::new(false) };
}

/// Catches a thread of the timer's at its `n`th step from now on: each time that it takes memory, or gives it back.
pub(crate) fn set_for_timer(n: i64) {
    set(true, n);
}

/// Catches the calling thread at its `n`th step from now on.
pub(crate) fn set_for_me(n: i64) {
    OFFERED.set(true);
    set(false, n);
}

fn set(timer: bool, n: i64) {
    RELEASED.store(false, SeqCst);
    FOR_TIMER.store(timer, SeqCst);
    TO_GO.store(n, SeqCst);
}

/// Lets whoever is caught go on to its next step.
pub(crate) fn step_on() {
    TO_GO.store(0, SeqCst);
    ROUND.fetch_add(1, SeqCst);
}

/// Lets everybody go on. The calling thread is not offered any more: what it frees as it ends is no step of the next one's.
pub(crate) fn release() {
    OFFERED.set(false);
    TO_GO.store(-1, SeqCst);
    RELEASED.store(true, SeqCst);
}

/// Whether somebody is caught.
pub(crate) fn is_sprung() -> bool {
    CAUGHT.load(SeqCst) > 0
}

/// The allocator, to be made the global one.
#[derive(Debug)]
pub(crate) struct Trap;

impl Trap {
    fn is_for_me() -> bool {
        if FOR_TIMER.load(Relaxed) { Trap::is_on_timer() } else { OFFERED.get() }
    }

    #[cfg(target_os = "linux")]
    fn is_on_timer() -> bool {
        use std::ffi::c_int;
        unsafe extern "C" {
            fn prctl(option: c_int, ...) -> c_int;
        }
        const PR_GET_NAME: c_int = 16;
        let mut name = [0_u8; 16];
        // SAFETY: it writes so many bytes.
        let named = unsafe { prctl(PR_GET_NAME, name.as_mut_ptr()) } == 0;
        named && name.starts_with(b"ripcord-timer")
    }

    #[cfg(not(target_os = "linux"))]
    fn is_on_timer() -> bool {
        panic!("threads tell their names on Linux")
    }

    fn step() {
        if TO_GO.load(Relaxed) < 0 || !Trap::is_for_me() || TO_GO.fetch_sub(1, SeqCst) != 0 {
            return;
        }
        let round = ROUND.load(SeqCst);
        CAUGHT.fetch_add(1, SeqCst);
        // If nobody releases it, it ends with the process.
        while !RELEASED.load(SeqCst) && ROUND.load(SeqCst) == round {
            thread::sleep(Duration::from_micros(100));
        }
        CAUGHT.fetch_sub(1, SeqCst);
    }
}

// SAFETY: the system's, but for the waiting.
unsafe impl GlobalAlloc for Trap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Trap::step();
        // SAFETY: forwarded.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        Trap::step();
        // SAFETY: forwarded.
        unsafe { System.dealloc(ptr, layout) };
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Trap::step();
        // SAFETY: forwarded.
        unsafe { System.realloc(ptr, layout, size) }
    }
}
