//! Functions that are called after the end.

use super::Context;
use crate::hook::{Hook, Share};
use crate::node;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

/// A function registered with [`Context::after_func`]. Dropping this does not stop the function.
pub struct AfterFunc {
    hook: Share,
}

// SAFETY: a hook is shared between threads by its design; the handle owns one share of it.
unsafe impl Send for AfterFunc {}
// SAFETY: as for `Send`.
unsafe impl Sync for AfterFunc {}
impl UnwindSafe for AfterFunc {}
impl RefUnwindSafe for AfterFunc {}

impl Context {
    /// Calls `f` once, after the context has ended; at once, before this returns, if it has ended already.
    ///
    /// **`f` runs on the thread that ends the context** (the canceling one, or the timer's), after the whole subtree has
    /// ended and all wakers were woken. So if it takes a lock that a canceler holds, it deadlocks, and while it runs,
    /// other functions wait; on the timer's thread, those of all deadlines. To have functions run elsewhere, install an executor with
    /// [`Config::callbacks`](crate::Config::callbacks).
    ///
    /// The registration keeps the context listening to its ancestors, even when all its handles are dropped. On a context
    /// that can no longer end, `f` is dropped unrun: when the last handle goes, and no deadline and no ancestor that could
    /// end it is left. A function that captures a handle of its own context keeps that handle: capture what it needs
    /// instead, or it lives until the context ends.
    ///
    /// ```
    /// use ripcord::Context;
    /// use std::sync::mpsc;
    ///
    /// let (ctx, handle) = Context::background().with_cancel();
    /// let (tell, told) = mpsc::channel();
    /// let cleanup = ctx.after_func(move || tell.send("closing").unwrap());
    ///
    /// handle.cancel();
    /// assert_eq!(told.recv(), Ok("closing"));
    /// assert!(!cleanup.stop(), "too late");
    /// ```
    ///
    /// # Panics
    ///
    /// If the context has ended already, `f` runs here, and its panic goes on from here unless an
    /// [`on_panic`](crate::Config::on_panic) hook is installed.
    pub fn after_func<F: FnOnce() + Send + 'static>(&self, f: F) -> AfterFunc {
        match self.scope_ptr() {
            Some(node) => {
                // SAFETY: this context is, or keeps, a handle.
                let (hook, job) = unsafe { node::hook(node, f) };
                // SAFETY: the handle's share.
                let after = AfterFunc { hook: unsafe { Share::new(hook) } };
                if let Some(job) = job {
                    // SAFETY: as above.
                    unsafe { node::run_now(node, job) };
                }
                after
            }
            // Never called, only stopped or dropped.
            // SAFETY: the handle's share; the other goes with the function.
            None => AfterFunc { hook: unsafe { Share::new(Hook::new(f, None)) } },
        }
    }
}

impl AfterFunc {
    /// Stops the function. True exactly if this kept it from running: it is then dropped here. False if it ran, is
    /// running, or was stopped before. Never waits for a running function.
    ///
    /// # Panics
    ///
    /// If dropping the function panics and no [`on_panic`](crate::Config::on_panic) hook is installed.
    pub fn stop(&self) -> bool {
        // SAFETY: the handle owns its share.
        unsafe { node::stop(self.hook.pointer()) }
    }
}

/// On a context that never ends the function goes with its handle.
impl Drop for AfterFunc {
    fn drop(&mut self) {
        if self.hook.is_detached() {
            self.stop();
        }
    }
}

impl fmt::Debug for AfterFunc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AfterFunc").field("waiting", &self.hook.is_waiting()).finish()
    }
}
