//! Virtual time, for tests of what has deadlines: no sleeping, and no luck needed.
//!
//! [`pause`] stops the clock that every deadline of the process is measured by, [`advance`] moves it on and fires what
//! comes due on the way, [`resume`] lets it run again.
//!
//! ```standalone_crate
//! use ripcord::{Context, Error, time};
//! use std::time::Duration;
//!
//! time::pause();
//! let (ctx, _handle) = Context::background().with_timeout(Duration::from_secs(3600));
//! time::advance(Duration::from_secs(3599));
//! assert_eq!(ctx.remaining(), Some(Duration::from_secs(1)));
//! time::advance(Duration::from_secs(1));
//! assert_eq!(ctx.err(), Some(Error::DeadlineExceeded));
//! time::resume();
//! ```
//!
//! # What to know
//!
//! * There is one clock for the process, and `cargo test` runs the tests of one file as threads of one process: give
//!   tests that stop it a lock, or a file each.
//! * `Instant::now()` does not stop. Where a deadline is to be given as an instant, start from [`now`]:
//!   `ctx.with_deadline(time::now() + d)`.
//! * Everything of this crate goes by this clock: timeouts, `remaining`, resets, `wait_timeout`, `run`, Display. Other
//!   crates' timers do not.
//! * While the clock stands, the timer's own thread fires nothing: deadlines fire in `advance`, on the thread that calls
//!   it. The [window](crate::Config::timer_window) does not apply there: a deadline fires at its very nanosecond.
//! * What the timer's thread was already telling when the clock was stopped, or another thread's `advance` is telling,
//!   may go on while `advance` returns. The contexts themselves have ended by then.
//!
//! This module exists with feature `test-util` only; without it the clock costs what the system's costs.

use crate::clock;
use crate::node;
use crate::shield::Shield;
use std::time::{Duration, Instant};

/// Stops the clock of the process where it is. A clock that stands goes on standing: calls do not nest.
///
/// ```standalone_crate
/// use ripcord::{Context, time};
/// use std::time::Duration;
///
/// time::pause();
/// let (ctx, _handle) = Context::background().with_timeout(Duration::from_millis(1));
/// std::thread::sleep(Duration::from_millis(5));
/// assert!(!ctx.is_done());
/// ```
pub fn pause() {
    clock::stop();
}

/// Moves the clock on by `by`, and fires every deadline that comes due: one after the other in the order of their times,
/// each at its own time, all before this returns.
///
/// A callback sees the clock at its deadline, and what it arms fires too if it is due on the way. Callbacks and wakers
/// run on this thread, which holds no lock, so they may call everything here. Calls from several threads add up. A clock
/// that runs is moved ahead in one step, and goes on running from there.
///
/// It saturates 219 years after the first look at the clock: no deadline is left then.
///
/// Time: that of one pass of the timer for each different deadline on the way, and what is called there.
///
/// # Panics
///
/// If a callback or a waker did, and no [`on_panic`](crate::Config::on_panic) hook is installed: the first panic goes on from
/// here, when the clock is where it should be and everybody has been told. So an assertion in a callback fails its test.
///
/// ```standalone_crate
/// use ripcord::{Context, time};
/// use std::sync::mpsc;
/// use std::time::Duration;
///
/// time::pause();
/// let start = time::now();
/// let (tell, told) = mpsc::channel();
/// for secs in [30, 10, 20] {
///     let (ctx, _handle) = Context::background().with_timeout(Duration::from_secs(secs));
///     let tell = tell.clone();
///     ctx.after_func(move || tell.send((time::now() - start).as_secs()).unwrap());
/// }
/// time::advance(Duration::from_secs(25));
/// assert_eq!(told.try_iter().collect::<Vec<_>>(), [10, 20]);
/// ```
pub fn advance(by: Duration) {
    let goal = clock::aim(by);
    let timers = node::timers();
    let mut shield = Shield::new();
    timers.turn_behind(&mut shield, clock::now());
    loop {
        // Looked up after telling: what that armed may be next.
        let next = timers.earliest();
        if next > goal {
            break;
        }
        // Where somebody has moved the clock further, or started it, this is later than `next`: never earlier.
        timers.turn_behind(&mut shield, clock::reach(next));
    }
    timers.turn_behind(&mut shield, clock::reach(goal));
    shield.finish();
}

/// Lets the clock run on, at the system's pace, from where it stands; if an `advance` is under way, from where that will
/// end. A running clock goes on running.
///
/// Time does not run backward: a clock that was moved ahead stays ahead of `Instant::now()`, and one that stood stays
/// behind. Deadlines that were given as instants keep their distance from [`now`], not from `Instant::now()`.
///
/// ```standalone_crate
/// use ripcord::{Context, Error, time};
/// use std::time::Duration;
///
/// time::pause();
/// let (ctx, _handle) = Context::background().with_timeout(Duration::from_millis(10));
/// time::advance(Duration::from_millis(9));
/// time::resume();
/// assert_eq!(ctx.wait(), Error::DeadlineExceeded);
/// ```
pub fn resume() {
    clock::start();
    node::timers().nudge();
}

/// What time it is by the clock that deadlines are measured by.
///
/// ```standalone_crate
/// use ripcord::time;
/// use std::time::Duration;
///
/// time::pause();
/// let before = time::now();
/// time::advance(Duration::from_secs(60));
/// assert_eq!(time::now() - before, Duration::from_secs(60));
/// ```
#[must_use]
pub fn now() -> Instant {
    clock::instant_of(clock::now()).expect("the clock stops before the end of time")
}
