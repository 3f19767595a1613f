//! After the marking: wake, call, drop. All of it is user code.
//!
//! Nothing is pinned here and no walk is under way, so user code may do what it likes with the same tree. Wakers come
//! first, because a slow function should delay other functions only.
//!
//! # Depth
//!
//! A waker may end another context (a foreign parent does), whose wakers end the next. A few levels nest, as a reader
//! of the stack would expect; deeper ones are queued for the outermost, so a chain of any length fits any stack. Wakers
//! nest one level deeper than all else: whoever waits for what a function has canceled is woken before its `cancel()`
//! returns, for the function may wait for that thread.

use super::cancel::By;
use super::leaf::Way;
use super::release::Orphans;
use super::told::{Garbage, Told};
use super::{Node, bequest, leaf, release};
use crate::base::Base;
use crate::config::{self, Executor};
use crate::hook::{Hook, Job};
use crate::shield::Shield;
use crate::slots::Left;
use crate::sync::thread_local;
use crate::value::Binding;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::mem;
use std::ptr::NonNull;

/// How many tellings nest on one stack.
const NESTED: usize = 4;

/// The queue of the others goes back to the allocator, but for room for so many.
const ROOM: usize = 16;

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    static DEFERRED: RefCell<VecDeque<Told>> = const { RefCell::new(VecDeque::new()) };
}

/// One telling more on this stack.
struct Level(usize);

impl Level {
    /// `None`: there are enough.
    #[inline]
    fn enter() -> Option<Level> {
        Level::enter_within(NESTED)
    }

    #[inline]
    fn enter_within(nested: usize) -> Option<Level> {
        let depth = DEPTH.try_with(Cell::get).unwrap_or(0);
        (depth < nested).then(|| {
            let _ = DEPTH.try_with(|cell| cell.set(depth + 1));
            Level(depth)
        })
    }

    /// The outermost does what was left to it.
    #[inline]
    fn leave(self, shield: &mut Shield) {
        if self.0 == 0 {
            let next = |queue: &mut VecDeque<Told>| if queue.is_empty() { None } else { next_of(queue) };
            while let Some(told) = DEFERRED.try_with(|queue| next(&mut queue.borrow_mut())).ok().flatten() {
                told.tell_now(shield);
            }
        }
        let _ = DEPTH.try_with(|cell| cell.set(self.0));
    }
}

/// The next in the queue, which is made small with the last.
#[inline(never)]
fn next_of(queue: &mut VecDeque<Told>) -> Option<Told> {
    let next = queue.pop_front();
    if queue.is_empty() {
        queue.shrink_to(ROOM);
    }
    next
}

impl Told {
    /// Tells everybody. Every piece of user code runs behind the shield.
    pub(crate) fn tell(mut self, shield: &mut Shield) {
        if self.is_empty() {
            return;
        }
        if let Some(level) = Level::enter() {
            self.tell_now(shield);
            level.leave(shield);
            return;
        }
        if let Some(level) = Level::enter_within(NESTED + 1) {
            self.wake_now(shield);
            level.leave(shield);
            if self.is_empty() {
                return;
            }
        }
        let mut told = Some(self);
        let queued = DEFERRED.try_with(|queue| queue.borrow_mut().extend(told.take()));
        if queued.is_err() {
            // The thread is ending and has lost its queue: nesting is all that is left.
            told.into_iter().for_each(|told| told.tell_now(shield));
        }
    }

    /// Tells everybody; the first panic goes on from here.
    #[inline]
    pub(super) fn tell_alone(self) {
        if self.is_empty() {
            // Nothing was taken out of it, so there is nothing to drop.
            return mem::forget(self);
        }
        self.tell_somebody();
    }

    #[inline(never)]
    fn tell_somebody(self) {
        let mut shield = Shield::new();
        self.tell(&mut shield);
        shield.finish();
    }

    /// Wakes who waits, and leaves the rest to be told by any thread. True if there is a rest.
    pub(super) fn wake(&mut self, shield: &mut Shield) -> bool {
        // Where too much is under way on this stack, wakers are part of the rest.
        if let Some(level) = Level::enter() {
            self.wake_now(shield);
            level.leave(shield);
        }
        !self.is_empty()
    }

    fn wake_now(&mut self, shield: &mut Shield) {
        while let Some(waker) = self.wakers.pop() {
            shield.run(|| waker.wake());
        }
    }

    fn tell_now(mut self, shield: &mut Shield) {
        self.wake_now(shield);
        self.ends.say(|event| {
            shield.run(event);
        });
        while let Some(hook) = self.hopeless.pop() {
            // SAFETY: claimed by us, and popped.
            let job = unsafe { take(hook, shield) };
            shield.run(|| drop(job));
        }
        while let Some(garbage) = self.garbage.pop() {
            garbage.drop_now(shield);
        }
        if self.hooks.is_empty() {
            return;
        }
        let executor = config::callbacks();
        while let Some(hook) = self.hooks.pop() {
            // SAFETY: claimed by us, and popped.
            let job = unsafe { take(hook, shield) };
            execute(job, executor.as_deref(), shield);
        }
    }
}

/// Makes a claimed hook leave its seat; what is left is its function.
///
/// # Safety
///
/// The caller claimed it, and calls this once.
unsafe fn take(hook: NonNull<Hook>, shield: &mut Shield) -> Job {
    // SAFETY: forwarded.
    let left = unsafe { Hook::vacate(hook) };
    // SAFETY: forwarded: the slot's share goes with the job.
    let job = unsafe { Job::new(hook) };
    if let Some((owner, left)) = left {
        // SAFETY: it sat in the slots of this node.
        unsafe { left_seat(owner.cast(), left, shield) };
    }
    job
}

/// Runs a function whose context had ended before it could be registered. A function never runs in a tree that is half
/// marked: this helps first.
///
/// # Safety
///
/// The caller holds a handle on the node.
pub(crate) unsafe fn run_now(node: NonNull<Node>, job: Job) {
    let mut told = Told::default();
    let mut shield = Shield::new();
    // SAFETY: forwarded.
    let node = unsafe { node.as_ref() };
    // SAFETY: forwarded.
    unsafe { node.mark(bequest(node), &mut told, By::Holder) };
    told.tell(&mut shield);
    execute(job, config::callbacks().as_deref(), &mut shield);
    shield.finish();
}

/// Calls a function, here or where the configuration says.
fn execute(job: Job, executor: Option<&Executor>, shield: &mut Shield) {
    match executor {
        None => shield.run(|| job.run()),
        Some(execute) => shield.run(|| execute(Box::new(move || job.run()))),
    };
}

/// A user handle goes. Constant time, lock-free, one compare-and-swap for a leaf; values that nobody can see any more
/// are dropped here.
///
/// # Safety
///
/// The caller owns a handle and does not touch the node again.
#[inline]
pub(crate) unsafe fn drop_handle(node: NonNull<Node>) {
    // SAFETY: ours until now.
    if !unsafe { node.as_ref() }.handles.release() {
        return;
    }
    // SAFETY: that was the last handle.
    if !unsafe { leaf::leave_as_leaf(node) } {
        // SAFETY: as above, and the node is still there.
        unsafe { drop_last(node) };
    }
}

/// # Safety
///
/// The last handle of the node is gone.
#[cold]
unsafe fn drop_last(node: NonNull<Node>) {
    // SAFETY: forwarded.
    let orphans = unsafe { release::orphan(node) };
    match orphans {
        Orphans::Nobody => {
            // SAFETY: the last handle is gone.
            if let Way::Gone(values) = unsafe { leaf::leave_emptied(node) } {
                // SAFETY: the node's share, if it had one.
                return unsafe { drop_values(values) };
            }
        }
        // Whoever sits there takes the node along.
        Orphans::Counted => return,
        Orphans::Tagged(_) => {}
    }
    let mut told = Told::default();
    // SAFETY: forwarded.
    unsafe { release::last_handle_gone(node, orphans, &mut told) };
    told.tell_alone();
}

/// Drops the function of a hook that was stopped, and has left this seat if it had one.
///
/// # Safety
///
/// As for `left_seat`.
pub(super) unsafe fn drop_job(job: Job, left: Option<(NonNull<Node>, Left)>) {
    let mut told = Told::default();
    told.garbage.push(Garbage::Job(job));
    if let Some((owner, left)) = left {
        // SAFETY: forwarded.
        unsafe { release::entry_gone(owner, left, &mut told) };
    }
    told.tell_alone();
}

/// Gives a share of values back, whose drops are user code.
///
/// # Safety
///
/// The caller owns the share, and is in no critical section.
pub(crate) unsafe fn drop_values(values: *const Binding) {
    // SAFETY: forwarded.
    if unsafe { Binding::leave(values) } {
        // SAFETY: that was the last share.
        drop_alone(|| Garbage::Values(values), |shield| unsafe { Binding::end(values, shield) });
    }
}

/// Gives a count of a base back, which may keep values.
///
/// # Safety
///
/// The caller owns the count, and is in no critical section.
#[inline(always)]
pub(crate) unsafe fn drop_base(base: Base) {
    if base.counts() {
        // SAFETY: forwarded.
        unsafe { drop_counted(base) };
    }
}

/// # Safety
///
/// As for [`drop_base`]; it counts.
#[cold]
unsafe fn drop_counted(base: Base) {
    // SAFETY: forwarded.
    drop_alone(|| Garbage::Base(base), |shield| unsafe { base.release(shield) });
}

/// Drops garbage at once, unless too much is under way on this stack: without [`Told`], which carries it from a walk.
#[inline]
fn drop_alone(garbage: impl FnOnce() -> Garbage, drop_now: impl FnOnce(&mut Shield)) {
    let Some(level) = Level::enter() else {
        let mut told = Told::default();
        told.garbage.push(garbage());
        return told.tell_alone();
    };
    let mut shield = Shield::new();
    drop_now(&mut shield);
    level.leave(&mut shield);
    shield.finish();
}

/// An entry has left a slot of `owner`: if that was all that kept the owner, it goes too.
///
/// # Safety
///
/// `left` came from leaving a seat of `owner`, and is reported once.
pub(super) unsafe fn left_seat(owner: NonNull<Node>, left: Left, shield: &mut Shield) {
    if left.orphan {
        let mut told = Told::default();
        // SAFETY: forwarded.
        unsafe { release::entry_gone(owner, left, &mut told) };
        told.tell(shield);
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::{DEFERRED, NESTED, ROOM};
    use crate::context::Context;

    /// A context with this function ends.
    fn end(function: impl FnOnce() + Send + 'static) {
        let (ctx, handle) = Context::background().with_cancel();
        let _ = ctx.after_func(function);
        handle.cancel();
    }

    fn ends_many_within(levels: usize) {
        if levels > 0 {
            return end(move || ends_many_within(levels - 1));
        }
        (0..10_000).for_each(|_| end(|| ()));
        assert!(DEFERRED.with_borrow(|queue| queue.len()) >= 10_000, "too deep for them to be told here");
    }

    #[test]
    fn the_queue_of_a_wide_and_deep_nesting_goes_when_it_has_been_told() {
        ends_many_within(NESTED);
        assert!(DEFERRED.with_borrow(|queue| queue.is_empty() && queue.capacity() <= ROOM));
    }
}
