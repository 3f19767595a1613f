//! Groups: several pieces of work that succeed together, or end with the first that fails.
//!
//! Go's `errgroup`, on the public face of [`Context`] alone: the threads, the tasks and whoever waits for them are told
//! by contexts.
//!
//! ```
//! use ripcord::{Cause, Context, Group};
//! use std::sync::atomic::{AtomicUsize, Ordering};
//! use std::sync::Arc;
//!
//! let group = Group::new(&Context::background()).limit(2);
//! let sum = Arc::new(AtomicUsize::new(0));
//! for part in 1..=10 {
//!     let sum = Arc::clone(&sum);
//!     // Blocks while two are running.
//!     group.spawn(move |_ctx| {
//!         sum.fetch_add(part, Ordering::Relaxed);
//!         Ok::<(), Cause>(())
//!     })?;
//! }
//! group.wait()?;
//! assert_eq!(sum.load(Ordering::Relaxed), 55);
//! # Ok::<(), Cause>(())
//! ```
//!
//! # What counts as an error
//!
//! Only what happens to members; the first one ends the group and is its result. A member fails when
//!
//! * it returns an error,
//! * it panics,
//! * it is cut short: a future that the group's end dropped, or work that was asked for after the end. It fails with the
//!   cause of that end, so that work which was not done never looks done;
//! * the operating system has no thread for it.
//!
//! So when the parent ends, the result is the parent's cause if that kept any member from its work, or if members
//! returned it; if all finished nevertheless, the result is `Ok`. Dropping an unfinished [`Task`] is leaving, no error.

mod error;
mod join;
mod shared;
mod task;

pub use error::{Panicked, SpawnError};
pub use join::Join;
pub use task::Task;

use crate::cause::Cause;
use crate::context::Context;
use shared::{Member, Owner, Shared};
use std::fmt;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Several pieces of work under one context: the first error cancels the rest, with itself as the cause.
///
/// Members are threads of their own ([`spawn`](Group::spawn)), the calling thread ([`run`](Group::run)) and futures on
/// any executor ([`task`](Group::task)), mixed as you like, at most [`limit`](Group::limit) at a time.
/// [`wait`](Group::wait) blocks until all have left, [`join`](Group::join) is its future.
///
/// Clones are handles of the same group; members may hold one to bring in more. A group is used once: when everybody has
/// left and was waited for, its context ends and nobody comes in any more. **Dropping the last handle without waiting
/// cancels the group's context.** Threads go on until they notice; nothing waits for them then, and their panics are
/// only printed. Members do not hold the group by themselves.
///
/// ```
/// use ripcord::{Cause, Context, Group};
///
/// let group = Group::new(&Context::background());
/// // It would work for ever,
/// group.spawn(|ctx| {
///     ctx.wait();
///     Ok::<(), Cause>(())
/// })?;
/// // but the other one fails.
/// group.spawn(|_ctx| Err("disk full"))?;
///
/// assert_eq!(group.wait().unwrap_err().to_string(), "disk full");
/// assert_eq!(group.context().cause().unwrap().to_string(), "disk full");
/// # Ok::<(), Cause>(())
/// ```
#[derive(Clone)]
pub struct Group {
    owner: Arc<Owner>,
}

impl UnwindSafe for Group {}
impl RefUnwindSafe for Group {}
impl UnwindSafe for Join {}
impl RefUnwindSafe for Join {}
impl<F: UnwindSafe> UnwindSafe for Task<F> {}
impl<F: RefUnwindSafe> RefUnwindSafe for Task<F> {}

impl Group {
    /// An empty group without a limit, whose context is a child of `parent`.
    #[must_use]
    pub fn new(parent: &Context) -> Group {
        Group { owner: Arc::new(Owner(Arc::new(Shared::new(parent)))) }
    }

    /// At most `n` members run at a time, whatever they are; the others wait their turn, first come, first served.
    ///
    /// The limit is the group's, clones included. Changed later, it holds for who starts from then on.
    ///
    /// A member that needs another one to start (that blocks in [`spawn`](Group::spawn), or awaits a
    /// [`task`](Group::task)) may wait for itself: members use [`try_spawn`](Group::try_spawn).
    ///
    /// # Panics
    ///
    /// If `n` is zero: nobody could ever run.
    #[must_use]
    pub fn limit(self, n: usize) -> Group {
        assert!(n > 0, "a group with a limit of zero could never run anything");
        self.shared().set_limit(n);
        self
    }

    /// The context of all members. It ends with the first error, with the parent, when everybody was waited for, and
    /// when the last handle is dropped.
    #[must_use]
    pub fn context(&self) -> &Context {
        self.shared().ctx()
    }

    /// Runs `f` on a new thread. While the limit is reached, blocks until a member leaves or the group ends.
    ///
    /// `f` should return soon after the context that it is given has ended; nothing forces it to. Everything it captured
    /// has been dropped when it leaves the group.
    ///
    /// # Errors
    ///
    /// [`Ended`](SpawnError::Ended) and [`Thread`](SpawnError::Thread). `f` is dropped unrun, and the group has been told
    /// (see [what counts as an error](self#what-counts-as-an-error)): a caller may break its loop and
    /// [`wait`](Group::wait).
    pub fn spawn<F, E>(&self, f: F) -> Result<(), SpawnError>
    where
        F: FnOnce(&Context) -> Result<(), E> + Send + 'static,
        E: Into<Cause>,
    {
        self.start(f, true)
    }

    /// [`spawn`](Group::spawn) that does not block.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Group::spawn), and [`Full`](SpawnError::Full) while the limit is reached, which the group is not told.
    ///
    /// ```
    /// use ripcord::group::SpawnError;
    /// use ripcord::{Cause, Context, Group};
    ///
    /// let group = Group::new(&Context::background()).limit(1);
    /// let (tell, told) = std::sync::mpsc::channel::<()>();
    /// group.spawn(move |_ctx| told.recv().map_err(Cause::new))?;
    ///
    /// let full = group.try_spawn(|_ctx| Ok::<(), Cause>(())).unwrap_err();
    /// assert!(matches!(full, SpawnError::Full));
    /// tell.send(()).unwrap();
    /// group.wait()
    /// # .map_err(Into::<Box<dyn std::error::Error>>::into)?; Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_spawn<F, E>(&self, f: F) -> Result<(), SpawnError>
    where
        F: FnOnce(&Context) -> Result<(), E> + Send + 'static,
        E: Into<Cause>,
    {
        self.start(f, false)
    }

    fn start<F, E>(&self, f: F, block: bool) -> Result<(), SpawnError>
    where
        F: FnOnce(&Context) -> Result<(), E> + Send + 'static,
        E: Into<Cause>,
    {
        let member = self.enter(block)?;
        // A thread that cannot be started drops its member, and then somebody must be in still to say why.
        let witness = self.shared().enter();
        let body = move || {
            let ended = catch_unwind(AssertUnwindSafe(|| f(member.shared().ctx()).map_err(Into::into)));
            // The group has been told; nobody else is here to listen.
            let _ = member.conclude(ended);
        };
        let started = thread::Builder::new().name("ripcord-group".to_owned()).spawn(body);
        let result = started.map(drop).map_err(|error| {
            let cause = Cause::new(error);
            self.shared().fail(cause.clone());
            SpawnError::Thread(cause)
        });
        drop(witness);
        result
    }

    /// Runs `f` here, on this thread, as a member. While the limit is reached, blocks until a member leaves or the group
    /// ends. For threads of your own, scoped ones too, whose results are wanted.
    ///
    /// # Errors
    ///
    /// What the group was told: the error of `f`, or the cause of the group's end, if that came before `f` could run.
    ///
    /// # Panics
    ///
    /// If `f` does: the group ends with [`Panicked`] as its cause, and the panic goes on from here, not from
    /// [`wait`](Group::wait).
    ///
    /// ```
    /// use ripcord::{Cause, Context, Group};
    ///
    /// let group = Group::new(&Context::background());
    /// let words = ["one", "two", "three"];
    /// let lengths = std::thread::scope(|scope| {
    ///     let threads = words.map(|word| scope.spawn(|| group.run(|_ctx| Ok::<_, Cause>(word.len()))));
    ///     threads.map(|thread| thread.join().unwrap())
    /// });
    /// group.wait()?;
    /// assert_eq!(lengths.map(Result::unwrap), [3, 3, 5]);
    /// # Ok::<(), Cause>(())
    /// ```
    pub fn run<F, T, E>(&self, f: F) -> Result<T, Cause>
    where
        F: FnOnce(&Context) -> Result<T, E>,
        E: Into<Cause>,
    {
        let member = self.enter(true)?;
        match catch_unwind(AssertUnwindSafe(|| f(self.context()).map_err(Into::into))) {
            Ok(result) => member.conclude(Ok(result)),
            Err(payload) => {
                self.shared().fail(Cause::new(Panicked::of(&*payload)));
                drop(member);
                resume_unwind(payload)
            }
        }
    }

    /// Makes a future a member: the result is a future for an executor of your choice.
    ///
    /// It waits its turn, then polls `future` while the group's context is live. An ended group never polls it again: it
    /// is dropped on the next poll, to which the end wakes, and counts as failed. A panic of `future` is caught, ends the
    /// group, and goes on in who waits.
    ///
    /// It is a member from now on: [`wait`](Group::wait) waits for it until it is ready or dropped, so it has to be
    /// polled. Dropped unfinished, it leaves without an error, and its turn goes to the next.
    ///
    /// ```
    /// # fn block_on<F: Future>(f: F) -> F::Output {
    /// #     let mut f = std::pin::pin!(f);
    /// #     let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    /// #     loop { if let std::task::Poll::Ready(x) = f.as_mut().poll(&mut cx) { return x } }
    /// # }
    /// use ripcord::{Context, Group};
    ///
    /// let group = Group::new(&Context::background());
    /// let hangs = group.task(std::future::pending::<Result<(), &str>>());
    /// let fails = group.task(async { Err::<(), _>("connection refused") });
    ///
    /// // As two tasks of an executor would do:
    /// let (fails, hangs) = block_on(async { (fails.await, hangs.await) });
    /// assert_eq!(fails.unwrap_err().to_string(), "connection refused");
    /// assert_eq!(hangs.unwrap_err().to_string(), "connection refused");
    /// assert_eq!(block_on(group.join()).unwrap_err().to_string(), "connection refused");
    /// ```
    pub fn task<F, T, E>(&self, future: F) -> Task<F>
    where
        F: Future<Output = Result<T, E>>,
        E: Into<Cause>,
    {
        Task::new(self.shared(), future)
    }

    /// Blocks until every member has left, then ends the group's context: the group's result. Called again, it gives the
    /// same.
    ///
    /// A member must not call this: it would wait for itself. Nor should an executor's thread: use
    /// [`join`](Group::join). A handle may be waiting while others bring members in; it waits for those, too.
    ///
    /// # Errors
    ///
    /// The first error of a member, as the member reported it: [`Cause::error`] tells a member's own deadline, even though
    /// the group's context was canceled with it.
    ///
    /// # Panics
    ///
    /// If a member panicked, the first such panic goes on from here, in the first that waits; others, and threads that
    /// are unwinding already, get the group's first error. So do panics of wakers and callbacks that a member's leaving
    /// ran, unless an [`on_panic`](crate::Config::on_panic) hook is installed.
    pub fn wait(&self) -> Result<(), Cause> {
        if let Some((_, left)) = self.shared().stand() {
            left.wait();
        }
        self.shared().result()
    }

    /// [`wait`](Group::wait) for so long at most: `None` if there are members still, and then the group goes on.
    ///
    /// ```
    /// use ripcord::{Cause, Context, Group};
    /// use std::time::Duration;
    ///
    /// // A server that is to stop: a grace period first, then the end for who is left.
    /// let (server, shutdown) = Context::background().with_cancel();
    /// let connections = Group::new(&server);
    /// connections.spawn(|ctx| {
    ///     ctx.wait();
    ///     Err::<(), _>(ctx.cause().unwrap())
    /// })?;
    ///
    /// let mut result = connections.wait_timeout(Duration::from_millis(5));
    /// if result.is_none() {
    ///     shutdown.cancel_cause("the grace period is over");
    ///     result = Some(connections.wait());
    /// }
    /// assert_eq!(result.unwrap().unwrap_err().to_string(), "the grace period is over");
    /// # Ok::<(), Cause>(())
    /// ```
    ///
    /// # Panics
    ///
    /// As [`wait`](Group::wait).
    pub fn wait_timeout(&self, d: Duration) -> Option<Result<(), Cause>> {
        if let Some((number, left)) = self.shared().stand() {
            if left.wait_timeout(d).is_none() && self.shared().walk_off(number) {
                return None;
            }
        }
        Some(self.shared().result())
    }

    /// [`wait`](Group::wait) as a future. It holds the group, like a handle; awaiting a group itself is the same.
    ///
    /// ```
    /// # fn block_on<F: Future>(f: F) -> F::Output {
    /// #     let mut f = std::pin::pin!(f);
    /// #     let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    /// #     loop { if let std::task::Poll::Ready(x) = f.as_mut().poll(&mut cx) { return x } }
    /// # }
    /// use ripcord::{Cause, Context, Group};
    ///
    /// let group = Group::new(&Context::background());
    /// let task = group.task(async { Ok::<_, Cause>(42) });
    /// assert_eq!(block_on(task).unwrap(), 42);
    /// assert!(block_on(async { group.await }).is_ok());
    /// ```
    pub fn join(&self) -> Join {
        Join::new(&self.owner)
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.owner.0
    }

    fn enter(&self, block: bool) -> Result<Member, SpawnError> {
        match self.shared().enter() {
            Some(member) => member.admitted(block),
            None => Err(SpawnError::Ended(self.shared().cause())),
        }
    }
}

/// Waits until every member has left, see [`Group::join`].
impl IntoFuture for Group {
    type Output = Result<(), Cause>;
    type IntoFuture = Join;

    fn into_future(self) -> Join {
        self.join()
    }
}

/// The context, and how many are in.
impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.shared(), f)
    }
}
