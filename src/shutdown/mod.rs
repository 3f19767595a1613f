//! Staged shutdown: stop accepting, drain, cancel with a cause, abort; on one budget, reported.
//!
//! # Stages
//!
//! Each stage has a context that **ends when the stage comes**, [`Shutdown::until`]. Code derives from it or waits for it:
//!
//! | until              | who lives until then                             | what it does at the end                        |
//! |--------------------|--------------------------------------------------|------------------------------------------------|
//! | [`Stage::Stop`]    | accept loops, or the health check's "yes"        | the listener is closed                         |
//! | [`Stage::Drain`]   | connections without a request, idle workers      | idle ones close at once, busy ones when done   |
//! | [`Stage::Cancel`]  | requests: the parent of each                     | ends early and says why, cleans up             |
//! | [`Stage::Abort`]   | cleaning up, last words; whoever must not be cut | is dropped                                     |
//!
//! The context of a stage is a child of the next one's. The budget runs from the beginning and is shared out by
//! [`shares`](Shutdown::shares): by default nothing passes between stop and drain, work may finish for eight tenths of it,
//! and has two tenths to end when it was told to.
//!
//! Who is at work holds a [`Guard`]. A shutdown that has begun is over when the last guard is dropped, however early, or
//! when the abort comes. Then [`wait`](Shutdown::wait) returns, and all its contexts have ended. One that begins while there is
//! no guard is over at once: so whoever accepts takes a guard before anything can begin the shutdown, a signal above all.
//!
//! ```
//! use ripcord::shutdown::{Shutdown, Stage};
//! use ripcord::{Cause, Context};
//! use std::time::Duration;
//!
//! let shutdown = Shutdown::new(&Context::background(), Duration::from_secs(30));
//!
//! // Somebody at work, under a context of its own.
//! let (request, _handle) = shutdown.until(Stage::Cancel).with_timeout(Duration::from_secs(2));
//! let guard = shutdown.guard("request");
//! let worker = std::thread::spawn(move || {
//!     let _guard = guard;
//!     request.wait();
//!     request.cause().unwrap().to_string()
//! });
//!
//! shutdown.begin("SIGTERM");
//! assert_eq!(shutdown.stage(), Some(Stage::Drain));
//! // A second signal: not waiting any longer.
//! shutdown.advance("SIGTERM, again");
//! let report = shutdown.wait();
//!
//! assert_eq!(worker.join().unwrap(), "SIGTERM, again");
//! assert_eq!(report.running_at(Stage::Drain), Some(1));
//! assert!(report.left.is_empty());
//! println!("{report}");
//! ```
//!
//! # Not here
//!
//! Signals: what tells is the program's business. A context that ends with the first signal may be the parent, and
//! [`advance`](Shutdown::advance) is what a signal means.

mod join;
mod report;
mod roll;
mod serve;
mod shared;
mod stage;

pub use join::Join;
pub use report::{Reached, Report, Running};
pub use stage::{Overdue, Stage};

use crate::cause::Cause;
use crate::context::Context;
use roll::Roll;
use shared::Shared;
use stage::Plan;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::Duration;

/// A staged shutdown on one budget: stop, drain, cancel, abort. See the [module](self).
///
/// Clones are handles of the same shutdown. Dropping them all ends nothing: contexts and guards that were given out go on.
#[derive(Clone)]
pub struct Shutdown {
    shared: Arc<Shared>,
}

impl UnwindSafe for Shutdown {}
impl RefUnwindSafe for Shutdown {}
impl UnwindSafe for Tracker {}
impl RefUnwindSafe for Tracker {}
impl UnwindSafe for Guard {}
impl RefUnwindSafe for Guard {}
impl UnwindSafe for Join {}
impl RefUnwindSafe for Join {}

impl Shutdown {
    /// A shutdown that has not begun. Its contexts see the values of `parent`, but do not end with it: **the end of
    /// `parent` begins the shutdown**, with the parent's cause as the reason, while a handle, a tracker or a guard lives. If
    /// it has ended already, the shutdown is over when this returns.
    ///
    /// A budget too long to express is one without end: then only [`advance`](Shutdown::advance) goes beyond the drain.
    #[must_use]
    pub fn new(parent: &Context, budget: Duration) -> Shutdown {
        let shared = Arc::new(Shared::new(parent, Plan { budget, shares: [0, 8, 2] }));
        shared.follow();
        Shutdown { shared }
    }

    /// How the budget is shared out: what may pass between stop and drain, between drain and cancel, and between cancel
    /// and abort, in parts of their sum. A stage whose share is 0 comes together with the next.
    ///
    /// To be set before the beginning; afterwards it holds for the stages that have not come.
    ///
    /// # Panics
    ///
    /// If all are 0.
    ///
    /// ```
    /// use ripcord::shutdown::{Shutdown, Stage};
    /// use ripcord::Context;
    /// use std::time::Duration;
    ///
    /// // A load balancer has 5 of 60 seconds to notice that the health check says no.
    /// let shutdown = Shutdown::new(&Context::background(), Duration::from_secs(60)).shares(5, 50, 5);
    /// let (healthy, listening) = (shutdown.until(Stage::Stop), shutdown.until(Stage::Drain));
    /// let _serving = shutdown.guard("listener");
    /// shutdown.begin("deploy");
    /// assert!(healthy.is_done() && !listening.is_done());
    /// ```
    #[must_use]
    pub fn shares(self, stop: u32, drain: u32, cancel: u32) -> Shutdown {
        assert!(stop.max(drain).max(cancel) > 0, "a shutdown in which no stage has a share of the budget");
        self.shared.set_shares([stop, drain, cancel]);
        self
    }

    /// The context that ends when this stage comes. Constant time.
    #[must_use]
    pub fn until(&self, stage: Stage) -> &Context {
        self.shared.until(stage)
    }

    /// Begins, with this reason; the budget runs from here. False: it had begun.
    ///
    /// If nobody holds a guard, it is over when this returns. Runs the wakers and functions of whoever is told, as
    /// [`cancel`](crate::CancelHandle::cancel) does.
    pub fn begin<E: Into<Cause>>(&self, reason: E) -> bool {
        self.shared.come_to(Stage::Stop, Some(reason.into()))
    }

    /// What a signal means: begins, or, if it has begun, goes to the next stage now, which has this cause. The stage after
    /// that comes after its own share of the budget, and never later than the budget.
    ///
    /// Returns the stage that came last, `None` if the shutdown was over.
    pub fn advance<E: Into<Cause>>(&self, cause: E) -> Option<Stage> {
        let cause = cause.into();
        loop {
            let next = match self.stage() {
                None => Stage::Stop,
                Some(stage) => stage.next()?,
            };
            if self.shared.come_to(next, Some(cause.clone())) {
                return self.stage();
            }
            if self.shared.over().is_done() {
                return None;
            }
        }
    }

    /// The stage that came last; `None` while everything is up.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        self.shared.stage()
    }

    /// What is left of the budget; `None` before the beginning, and for a budget without end.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.shared.remaining()
    }

    /// Takes guards of one name. For who takes many: it saves the search for the name.
    #[must_use]
    pub fn tracker(&self, name: &'static str) -> Tracker {
        Tracker { roll: self.shared.roll(name), shared: Arc::clone(&self.shared) }
    }

    /// Says that somebody of this name is at work, until the guard is dropped. Search for the name under a lock; a
    /// [`tracker`](Shutdown::tracker) has none.
    pub fn guard(&self, name: &'static str) -> Guard {
        self.tracker(name).guard()
    }

    /// Blocks until the shutdown is over: until it has begun, and the last guard is dropped or the abort has come.
    ///
    /// Whoever holds a guard waits for the abort.
    pub fn wait(&self) -> Report {
        self.shared.over().wait();
        self.report()
    }

    /// [`wait`](Shutdown::wait) as a future. It holds the shutdown like a handle; awaiting a shutdown is the same.
    pub fn join(&self) -> Join {
        Join::new(&self.shared)
    }

    /// How it went, or has gone so far. Walks over all guards.
    #[must_use]
    pub fn report(&self) -> Report {
        self.shared.report()
    }
}

/// Waits until it is over, see [`Shutdown::join`].
impl IntoFuture for Shutdown {
    type Output = Report;
    type IntoFuture = Join;

    fn into_future(self) -> Join {
        self.join()
    }
}

/// Takes guards of one name; made by [`Shutdown::tracker`].
#[derive(Clone)]
pub struct Tracker {
    roll: Arc<Roll>,
    shared: Arc<Shared>,
}

impl Tracker {
    /// Says that somebody is at work, until the guard is dropped. Lock-free, no allocation; constant time, except that the
    /// room for guards doubles now and then, of which nothing is given back.
    ///
    /// Taken while nobody else holds one and the shutdown has begun, it comes too late and is not waited for: who brings in
    /// others, like an accept loop, holds a guard itself.
    pub fn guard(&self) -> Guard {
        self.shared.enter();
        Guard { seat: self.roll.join(), tracker: self.clone() }
    }

    /// How many are at work, and for how long the first of them. Walks over all guards of this name.
    #[must_use]
    pub fn running(&self) -> Running {
        self.roll.running()
    }
}

/// Somebody at work: the shutdown waits until it is dropped.
///
/// **The drop of the last one ends the shutdown's contexts**, if it has begun, on the dropping thread.
#[must_use = "dropped, it says that the work is done"]
pub struct Guard {
    seat: usize,
    tracker: Tracker,
}

impl Guard {
    /// How long it has been held.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.tracker.roll.age(self.seat)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.tracker.roll.leave(self.seat);
        self.tracker.shared.leave();
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { reason, left, over, .. } = self.report();
        let mut debug = f.debug_struct("Shutdown");
        debug
            .field("stage", &self.stage())
            .field("reason", &reason)
            .field("running", &left)
            .field("over", &over)
            .finish()
    }
}

impl fmt::Debug for Tracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tracker").field(&self.running()).finish()
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("name", &self.tracker.roll.name()).field("age", &self.age()).finish()
    }
}
