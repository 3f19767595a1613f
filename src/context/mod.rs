//! What people hold: a context is one word.
//!
//! # States
//!
//! ```text
//! node                 a context that can end: a counted handle
//! binding  | VALUE     a value's context: counted as a holder of the binding, which keeps a handle on what is below it
//! detached | DETACHED  values without the tree they were bound in
//! root     | ROOT      background or todo: counts nothing
//! ```

mod after;
#[cfg(any(feature = "crossbeam-channel", feature = "loom"))]
mod attach;
mod detach;
mod display;
mod done;
mod handle;
mod look;
mod name;
mod wait;

pub use after::AfterFunc;
#[cfg(any(feature = "crossbeam-channel", feature = "loom"))]
pub(crate) use attach::Attached;
#[cfg(feature = "inspect")]
pub(crate) use display::write_utc;
pub use done::{Done, DoneOwned, Run};
pub use handle::{CancelGuard, CancelHandle};

use crate::base::{Base, DETACHED, TAG};
use crate::cause::Cause;
use crate::clock::When;
use crate::node::{self, Node, Origin, Plan};
use crate::sync::{addr_bits, strip};
use crate::value::Binding;
use std::hash::{Hash, Hasher};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr::{self, NonNull};
use std::time::{Duration, Instant};

const VALUE: usize = 0b01;

/// A place in a tree of cancelations: it ends once, for one cause, and everything derived from it ends with it.
///
/// One word, cheap to clone, `Send + Sync + 'static`. Dropping the last handle of a live context (this, its clones and
/// its [`CancelHandle`]s) releases it at once: nothing has to be canceled for cleaning up. While contexts derived from
/// it live, it goes on passing its ancestors' end and its own deadline to them.
///
/// Two contexts are equal if they are the same: clones of one another.
///
/// ```
/// use ripcord::{Context, Error};
/// use std::time::Duration;
///
/// struct RequestId(u64);
///
/// let (server, shutdown) = Context::background().with_cancel();
/// let (request, _handle) = server.with_value(RequestId(7)).with_timeout(Duration::from_secs(2));
///
/// assert_eq!(request.value::<RequestId>().unwrap().0, 7);
/// assert!(!request.is_done());
///
/// shutdown.cancel_cause("shutting down");
/// assert_eq!(request.err(), Some(Error::Canceled));
/// assert_eq!(request.cause().unwrap().to_string(), "shutting down");
/// ```
pub struct Context {
    word: NonNull<()>,
}

// SAFETY: nodes, bindings and bases are shareable between threads.
unsafe impl Send for Context {}
// SAFETY: as for `Send`.
unsafe impl Sync for Context {}
impl UnwindSafe for Context {}
impl RefUnwindSafe for Context {}

/// What a context is, unpacked.
#[derive(Copy, Clone)]
enum Is<'a> {
    Node(&'a Node),
    Value(&'a Binding),
    Base(Base),
}

impl Context {
    /// The root of every tree: never ends, has no deadline and no values. Allocates nothing.
    #[must_use]
    pub fn background() -> Context {
        Context::of_base(Base::background())
    }

    /// The same as [`background`](Context::background), for places where it is not clear yet which context to use.
    #[must_use]
    pub fn todo() -> Context {
        Context::of_base(Base::todo())
    }

    /// A child that can be canceled.
    ///
    /// Derived from an ended context, it is born ended, with the same error and cause. Costs one allocation and one
    /// compare-and-swap, whatever the number of siblings; never blocks.
    #[must_use]
    pub fn with_cancel(&self) -> (Context, CancelHandle) {
        self.spawn_until(When::NEVER)
    }

    /// A child that ends at `at`, with [`Error::DeadlineExceeded`](crate::Error), if nothing ends it earlier.
    ///
    /// It is never ended early; late by the [window](crate::Config::timer_window) at most, and scheduling. If `at` has
    /// passed, the child has ended when this returns. A parent's earlier deadline still holds for the child.
    #[must_use]
    pub fn with_deadline(&self, at: Instant) -> (Context, CancelHandle) {
        self.spawn_until(When::at(at))
    }

    /// [`with_deadline`](Context::with_deadline), with a cause for the case that this deadline ends the child.
    ///
    /// The cause is not used when anything else ends it.
    #[must_use]
    pub fn with_deadline_cause<E: Into<Cause>>(&self, at: Instant, cause: E) -> (Context, CancelHandle) {
        self.spawn(Plan::until(When::at(at)).cause(cause.into()))
    }

    /// A child that ends so long from now, by the clock at this call. A time too long to express means never.
    ///
    /// ```
    /// use ripcord::{Context, Error};
    /// use std::time::Duration;
    ///
    /// let (ctx, _handle) = Context::background().with_timeout(Duration::from_millis(5));
    /// assert_eq!(ctx.wait(), Error::DeadlineExceeded);
    /// ```
    #[must_use]
    pub fn with_timeout(&self, after: Duration) -> (Context, CancelHandle) {
        self.spawn_until(When::after(after))
    }

    /// [`with_timeout`](Context::with_timeout), with a cause for the case that this timeout ends the child.
    ///
    /// ```
    /// use ripcord::{Context, Error};
    /// use std::time::Duration;
    ///
    /// let (ctx, _handle) = Context::background().with_timeout_cause(Duration::ZERO, "no budget left");
    /// assert_eq!(ctx.err(), Some(Error::DeadlineExceeded));
    /// assert_eq!(ctx.cause().unwrap().to_string(), "no budget left");
    /// ```
    #[must_use]
    pub fn with_timeout_cause<E: Into<Cause>>(&self, after: Duration, cause: E) -> (Context, CancelHandle) {
        self.spawn(Plan::until(When::after(after)).cause(cause.into()))
    }

    /// A context that ends with this one and carries `value` too. The type is the key: a private newtype makes a
    /// private key, and the nearest binding of a type wins.
    ///
    /// Costs one allocation; nothing is registered for cancelation. The value is dropped when no context can see it any
    /// more, on the thread that let go of the last of them.
    #[must_use]
    pub fn with_value<T: Send + Sync + 'static>(&self, value: T) -> Context {
        let below = self.values();
        let base = match self.is() {
            Is::Value(binding) => binding.base,
            Is::Node(_) | Is::Base(_) => self.word.as_ptr(),
        };
        // SAFETY: this context keeps what it can see.
        unsafe { Binding::share(below) };
        // SAFETY: this context keeps its base; the new one counts for itself.
        unsafe { Context::share_word(base) };
        let binding = Binding::bind(value, below, base);
        Context { word: binding.cast().map_addr(|a| a | VALUE) }
    }

    /// A child of this context that also ends when `other` ends, with the error and cause of whichever came first.
    ///
    /// Values come from `self`; the deadline is the earlier of both. If both have ended, `self` wins.
    ///
    /// ```
    /// use ripcord::Context;
    ///
    /// let (server, shutdown) = Context::background().with_cancel();
    /// let (client, hangup) = Context::background().with_cancel();
    /// let (request, _handle) = server.with_cancel_from(&client);
    ///
    /// hangup.cancel_cause("client gone");
    /// assert_eq!(request.cause().unwrap().to_string(), "client gone");
    /// # drop(shutdown);
    /// ```
    #[must_use]
    pub fn with_cancel_from(&self, other: &Context) -> (Context, CancelHandle) {
        self.spawn(Plan::merge(other.scope_ptr()))
    }

    /// A child that also ends when a future does: a foreign parent. Its output says why; no thread or task is spawned.
    ///
    /// The future is polled once here, and from then on by its own waker: **inside the foreign `wake()`, on the thread
    /// that calls it**. So it should only wait (for a channel, a token, another runtime's signal), not work. An output
    /// that becomes a cause of kind [`Error::DeadlineExceeded`](crate::Error) ends the child with that error; a panic in
    /// it ends the child as canceled and is reported like a callback's. When the child ends otherwise or is dropped, the
    /// future is dropped.
    ///
    /// ```
    /// use ripcord::Context;
    ///
    /// let (ctx, _handle) = Context::background().with_cancel_on(async { "the foreign side is gone" });
    /// assert_eq!(ctx.cause().unwrap().to_string(), "the foreign side is gone");
    /// ```
    #[must_use]
    pub fn with_cancel_on<F>(&self, f: F) -> (Context, CancelHandle)
    where
        F: Future + Send + 'static,
        F::Output: Into<Cause>,
    {
        let (plan, task) = Plan::foreign(f);
        let (ctx, handle) = self.spawn(plan);
        if let Some(node) = ctx.scope_ptr() {
            // SAFETY: the task is the node's, and `ctx` is a handle.
            unsafe { task.start(node) };
        }
        (ctx, handle)
    }

    /// A child with no more than a deadline.
    #[inline]
    fn spawn_until(&self, when: When) -> (Context, CancelHandle) {
        if matches!(self.is(), Is::Node(_)) && !when.past {
            // SAFETY: this context is a handle.
            if let Some(node) = unsafe { node::spawn_below(Context::target(self.word.as_ptr()), when.tick) } {
                return Context::pair(node);
            }
        }
        self.spawn_elsewhere(when)
    }

    #[inline(never)]
    fn spawn_elsewhere(&self, when: When) -> (Context, CancelHandle) {
        match self.is() {
            Is::Base(base) if !when.past && !base.counts() => Context::pair(node::spawn_root(base, when.tick)),
            Is::Value(_) if !when.past => self.spawn_below_value(when),
            _ => self.spawn(Plan::until(when)),
        }
    }

    #[inline(never)]
    fn spawn_below_value(&self, when: When) -> (Context, CancelHandle) {
        let node = self.scope_ptr().and_then(|above| {
            // SAFETY: this context keeps what it sees, and has a share of its values.
            unsafe { node::spawn_below_value(above, self.values(), when.tick) }
        });
        node.map_or_else(|| self.spawn(Plan::until(when)), Context::pair)
    }

    fn spawn(&self, plan: Plan) -> (Context, CancelHandle) {
        // SAFETY: this context keeps what its origin names; a merge's other parent is kept by the caller's borrow.
        Context::pair(unsafe { node::spawn(self.origin(), plan) })
    }

    /// A new node comes with two handles: one for each.
    #[inline]
    fn pair(node: NonNull<Node>) -> (Context, CancelHandle) {
        // SAFETY: made just now, and its handles are ours.
        unsafe { node::enlist(node) };
        (Context { word: node.cast() }, CancelHandle::new(Context { word: node.cast() }))
    }

    #[inline]
    fn origin(&self) -> Origin {
        match self.is() {
            Is::Node(node) => Origin::Node(Context::target(self.word.as_ptr()), node.values()),
            Is::Value(binding) => match Context::is_word(&binding.base) {
                Is::Node(_) => Origin::Node(Context::target(binding.base), self.values()),
                Is::Base(base) => Origin::Base(base, self.values()),
                Is::Value(_) => unreachable!("a binding's base is never a binding"),
            },
            // SAFETY: this context counts for its base.
            Is::Base(base) => Origin::Base(base, unsafe { base.values() }),
        }
    }

    /// The nearest context that can end.
    #[inline(always)]
    fn scope(&self) -> Option<&Node> {
        match self.is() {
            Is::Node(node) => Some(node),
            Is::Value(binding) => match Context::is_word(&binding.base) {
                Is::Node(node) => Some(node),
                _ => None,
            },
            Is::Base(_) => None,
        }
    }

    /// The same, as a pointer to the whole allocation: what will free it may be derived from it.
    fn scope_ptr(&self) -> Option<NonNull<Node>> {
        match self.is() {
            Is::Node(_) => Some(Context::target(self.word.as_ptr())),
            Is::Value(binding) => match Context::is_word(&binding.base) {
                Is::Node(_) => Some(Context::target(binding.base)),
                _ => None,
            },
            Is::Base(_) => None,
        }
    }

    /// What a word points to.
    #[inline(always)]
    fn target<T>(word: *mut ()) -> NonNull<T> {
        // SAFETY: words are tagged pointers, never null.
        unsafe { NonNull::new_unchecked(strip(word, TAG).cast()) }
    }

    /// The nearest binding that can be seen from here.
    #[inline]
    fn values(&self) -> *const Binding {
        match self.is() {
            Is::Node(node) => node.values(),
            Is::Value(_) => Context::target::<Binding>(self.word.as_ptr()).as_ptr().cast_const(),
            // SAFETY: this context counts for its base.
            Is::Base(base) => unsafe { base.values() },
        }
    }

    #[inline(always)]
    fn is(&self) -> Is<'_> {
        // SAFETY: `NonNull` has the layout of a pointer; what a context's word names lives as long as the context.
        Context::is_word(unsafe { &*ptr::from_ref(&self.word).cast::<*mut ()>() })
    }

    /// Unpacks a word that somebody counts for as long as the borrow lasts.
    #[inline(always)]
    fn is_word(word: &*mut ()) -> Is<'_> {
        let target = strip(*word, TAG);
        match addr_bits(*word, TAG) {
            // SAFETY: a node, by its tag, and counted.
            0 => Is::Node(unsafe { &*target.cast::<Node>().cast_const() }),
            // SAFETY: a binding, by its tag, and counted.
            VALUE => Is::Value(unsafe { &*target.cast::<Binding>().cast_const() }),
            // SAFETY: a base, by its tag.
            DETACHED.. => Is::Base(unsafe { Base::of_word(*word) }),
        }
    }

    fn of_base(base: Base) -> Context {
        // SAFETY: a tagged pointer is not null.
        Context { word: unsafe { NonNull::new_unchecked(base.word()) } }
    }

    /// Counts one holder more of what a word names.
    ///
    /// # Safety
    ///
    /// It is alive.
    #[inline]
    unsafe fn share_word(word: *mut ()) {
        match Context::is_word(&word) {
            Is::Node(node) => node.add_handle(),
            Is::Value(binding) => binding.holders.add(),
            // SAFETY: forwarded.
            Is::Base(base) => unsafe { base.share() },
        }
    }

    /// Counts one holder less.
    ///
    /// # Safety
    ///
    /// The caller is one.
    #[inline]
    unsafe fn release_word(word: *mut ()) {
        match addr_bits(word, TAG) {
            0 => {
                // SAFETY: a node is not null.
                let node = unsafe { NonNull::new_unchecked(word.cast::<Node>()) };
                // SAFETY: forwarded.
                unsafe { node::drop_handle(node) };
            }
            VALUE => {
                let binding = strip(word, TAG).cast::<Binding>().cast_const();
                // SAFETY: forwarded.
                if !unsafe { (*binding).holders.release() } {
                    return;
                }
                // SAFETY: the holders' common share is ours.
                let base = unsafe { (*binding).base };
                // The tree first, values afterwards, also if the tree's share of user code panics.
                let values = DropValues(binding);
                // A base is never a binding: no recursion.
                // SAFETY: the holders kept the base.
                unsafe { Context::release_word(base) };
                drop(values);
            }
            _ => {
                // SAFETY: a base, by its tag.
                let base = unsafe { Base::of_word(word) };
                // SAFETY: forwarded.
                unsafe { node::drop_base(base) };
            }
        }
    }
}

/// Gives the holders' share of a binding back.
struct DropValues(*const Binding);

impl Drop for DropValues {
    fn drop(&mut self) {
        // SAFETY: the share is the holders', and the last of them is gone.
        unsafe { node::drop_values(self.0) };
    }
}

impl Clone for Context {
    fn clone(&self) -> Self {
        // SAFETY: this context keeps it.
        unsafe { Context::share_word(self.word.as_ptr()) };
        Context { word: self.word }
    }
}

impl Drop for Context {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: this context is a holder, and the last use of the word.
        unsafe { Context::release_word(self.word.as_ptr()) };
    }
}

/// [`Context::background`].
impl Default for Context {
    fn default() -> Self {
        Context::background()
    }
}

impl PartialEq for Context {
    fn eq(&self, other: &Self) -> bool {
        self.word == other.word
    }
}

impl Eq for Context {}

impl Hash for Context {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.word.hash(state);
    }
}
