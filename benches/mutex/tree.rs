//! The tree of the baseline: nodes, deriving, the cancel walk, leaving.
//!
//! Lock order: a parent before its child; the timer heap is never held together with a node. Dropping a node takes its
//! live parent's lock, so no node may be dropped under a lock of its own tree, unless its parent has ended.

use super::lock::{Guard, Mutex};
use super::signal::Signal;
use super::timers;
use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use std::{error, fmt, mem};

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Error {
    Canceled,
    DeadlineExceeded,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::Canceled => "context canceled",
            Error::DeadlineExceeded => "context deadline exceeded",
        })
    }
}

impl error::Error for Error {}

type Shared = Arc<dyn error::Error + Send + Sync>;

/// Why a context ended: its error, or what a `cancel_cause` gave.
#[derive(Clone, Debug)]
pub(crate) enum Cause {
    Plain(Error),
    Given(Shared),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Plain(error) => error.fmt(f),
            Cause::Given(given) => given.fmt(f),
        }
    }
}

/// A background context, or one node.
#[derive(Clone, Default)]
pub(crate) struct Context(Option<Arc<Node>>);

#[derive(Clone)]
pub(crate) struct CancelHandle(Arc<Node>);

pub(super) struct Node {
    parent: Option<Arc<Node>>,
    kind: Kind,
}

enum Kind {
    Cancel(Cancel),
    Value(TypeId, Box<dyn Any + Send + Sync>),
}

/// What a cancelable node has.
pub(super) struct Cancel {
    /// 0 while live; stored under the lock, read without.
    err: AtomicU8,
    /// The timer heap holds an entry for this node.
    pub(super) queued: AtomicBool,
    /// In ticks, [`timers::NEVER`] without one.
    deadline: AtomicU64,
    inner: Mutex<Inner>,
}

pub(super) struct Inner {
    children: Option<Box<Children>>,
    pub(super) signal: Option<Box<Signal>>,
    cause: Option<Shared>,
}

type Children = HashMap<usize, Weak<Node>, BuildHasherDefault<AddrHash>>;

/// One multiplication, its halves folded: enough for addresses.
#[derive(Default)]
pub(super) struct AddrHash(u64);

impl Hasher for AddrHash {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_usize(byte.into());
        }
    }

    #[inline]
    fn write_usize(&mut self, word: usize) {
        let product = u128::from(self.0 ^ word as u64) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (product >> 64) as u64 ^ product as u64;
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

impl Cancel {
    #[inline]
    pub(super) fn err(&self) -> Option<Error> {
        match self.err.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Error::Canceled),
            _ => Some(Error::DeadlineExceeded),
        }
    }

    #[inline]
    pub(super) fn lock(&self) -> Guard<'_, Inner> {
        self.inner.lock()
    }

    pub(super) fn deadline(&self) -> u64 {
        self.deadline.load(Ordering::Relaxed)
    }
}

impl Node {
    /// The nearest cancelable node, this one included.
    #[inline]
    pub(super) fn canceler(&self) -> Option<&Cancel> {
        let mut node = self;
        loop {
            match &node.kind {
                Kind::Cancel(cancel) => return Some(cancel),
                Kind::Value(..) => node = node.parent.as_deref()?,
            }
        }
    }

    /// This node, which is known to be cancelable.
    fn own(&self) -> &Cancel {
        match &self.kind {
            Kind::Cancel(cancel) => cancel,
            Kind::Value(..) => unreachable!("values have no handle and no entry anywhere"),
        }
    }

    fn addr(&self) -> usize {
        (&raw const *self).addr()
    }

    /// The nearest deadline, `NEVER` without one.
    fn deadline(&self) -> u64 {
        let mut next = Some(self);
        while let Some(node) = next {
            if let Kind::Cancel(cancel) = &node.kind {
                let own = cancel.deadline();
                if own != timers::NEVER {
                    return own;
                }
            }
            next = node.parent.as_deref();
        }
        timers::NEVER
    }

    /// A live child of `parent`, in its map; or one that ended as `parent` had.
    fn derive(parent: &Context, deadline: u64) -> Arc<Node> {
        let queued = AtomicBool::new(false);
        let inner = Mutex::new(Inner { children: None, signal: None, cause: None });
        let cancel = Cancel { err: AtomicU8::new(0), queued, deadline: AtomicU64::new(deadline), inner };
        let node = Arc::new(Node { parent: parent.0.clone(), kind: Kind::Cancel(cancel) });
        let Some(up) = parent.canceler() else { return node };
        let mut inner = up.lock();
        if let Some(err) = up.err() {
            let cause = inner.cause.clone();
            drop(inner);
            node.end(err, cause.as_ref(), &mut Vec::new());
        } else {
            inner.children.get_or_insert_default().insert(node.addr(), Arc::downgrade(&node));
        }
        node
    }

    /// Ends this node and everything below it. `false`: it had ended before.
    fn end(&self, err: Error, cause: Option<&Shared>, late: &mut Vec<Late>) -> bool {
        let cancel = self.own();
        let mut inner = cancel.lock();
        if cancel.err().is_some() {
            return false;
        }
        inner.cause = cause.cloned();
        cancel.err.store(1 + err as u8, Ordering::Release);
        if let Some(signal) = inner.signal.take() {
            late.push(Late::Signal(signal));
        }
        if let Some(children) = inner.children.take() {
            for child in children.into_values() {
                let Some(child) = child.upgrade() else { continue };
                child.end(err, cause, late);
                // The last handle went while we looked: what it holds is dropped when no lock is held.
                late.extend(Arc::into_inner(child).map(Late::Node));
            }
        }
        true
    }

    /// Go's cancel of a node from outside: end it, leave the parent, then wake and call back.
    fn cancel(&self, err: Error, cause: Option<&Shared>) {
        let mut late = Vec::new();
        if self.end(err, cause, &mut late) {
            self.leave();
        }
        for job in late {
            match job {
                Late::Signal(signal) => signal.fire(),
                Late::Node(node) => drop(node),
            }
        }
    }

    /// Out of the parent's map. An ended parent has none.
    fn leave(&self) {
        let Some(up) = self.parent.as_deref().and_then(Node::canceler) else { return };
        if up.err().is_some() {
            return;
        }
        let mut inner = up.lock();
        let gone = inner.children.as_mut().and_then(|children| children.remove(&self.addr()));
        drop(inner);
        drop(gone);
    }

    /// The heap's entry for this node came up. `Some`: pushed back meanwhile, put the entry in again.
    pub(super) fn expire(&self, now: u64) -> Option<u64> {
        let cancel = self.own();
        let inner = cancel.lock();
        let deadline = cancel.deadline();
        if cancel.err().is_none() && deadline > now {
            return Some(deadline);
        }
        cancel.queued.store(false, Ordering::Relaxed);
        drop(inner);
        self.cancel(Error::DeadlineExceeded, None);
        None
    }
}

/// What a cancel leaves for the time when it holds no lock.
enum Late {
    Signal(Box<Signal>),
    Node(Node),
}

impl Drop for Node {
    fn drop(&mut self) {
        let Kind::Cancel(cancel) = &mut self.kind else { return };
        if *cancel.queued.get_mut() {
            timers::lost_one();
        }
        if *cancel.err.get_mut() == 0 {
            self.leave();
        }
    }
}

impl Context {
    pub(crate) fn background() -> Context {
        Context(None)
    }

    pub(super) fn canceler(&self) -> Option<&Cancel> {
        self.0.as_deref().and_then(Node::canceler)
    }

    pub(crate) fn with_cancel(&self) -> (Context, CancelHandle) {
        let node = Node::derive(self, timers::NEVER);
        (Context(Some(node.clone())), CancelHandle(node))
    }

    pub(crate) fn with_timeout(&self, after: Duration) -> (Context, CancelHandle) {
        let now = Instant::now();
        match now.checked_add(after) {
            Some(at) => self.with_deadline_at(at, now),
            None => self.with_cancel(),
        }
    }

    pub(crate) fn with_deadline(&self, at: Instant) -> (Context, CancelHandle) {
        self.with_deadline_at(at, Instant::now())
    }

    /// Go reads the clock twice in a WithTimeout; once is enough.
    fn with_deadline_at(&self, at: Instant, now: Instant) -> (Context, CancelHandle) {
        let passed = at <= now;
        let at = timers::ticks(at);
        if self.0.as_ref().is_some_and(|node| node.deadline() <= at) {
            return self.with_cancel();
        }
        let node = Node::derive(self, at);
        if passed {
            node.cancel(Error::DeadlineExceeded, None);
        } else if node.own().err().is_none() {
            node.own().queued.store(true, Ordering::Relaxed);
            timers::arm(at, Arc::downgrade(&node));
        }
        (Context(Some(node.clone())), CancelHandle(node))
    }

    pub(crate) fn with_value<T: Send + Sync + 'static>(&self, value: T) -> Context {
        let kind = Kind::Value(TypeId::of::<T>(), Box::new(value));
        Context(Some(Arc::new(Node { parent: self.0.clone(), kind })))
    }

    pub(crate) fn value<T: Send + Sync + 'static>(&self) -> Option<&T> {
        let mut next = self.0.as_deref();
        while let Some(node) = next {
            match &node.kind {
                Kind::Value(key, value) if *key == TypeId::of::<T>() => return value.downcast_ref(),
                _ => next = node.parent.as_deref(),
            }
        }
        None
    }

    #[inline]
    pub(crate) fn err(&self) -> Option<Error> {
        self.canceler().and_then(Cancel::err)
    }

    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        self.err().is_some()
    }

    pub(crate) fn cause(&self) -> Option<Cause> {
        let cancel = self.canceler()?;
        let err = cancel.err()?;
        Some(cancel.lock().cause.clone().map_or(Cause::Plain(err), Cause::Given))
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        timers::instant(self.0.as_ref()?.deadline())
    }

    /// How many children are in the map, for tests.
    pub(crate) fn children(&self) -> usize {
        self.canceler().map_or(0, |cancel| cancel.lock().children.as_ref().map_or(0, |map| map.len()))
    }
}

impl CancelHandle {
    pub(crate) fn cancel(&self) {
        self.0.cancel(Error::Canceled, None);
    }

    pub(crate) fn cancel_cause<E: error::Error + Send + Sync + 'static>(&self, cause: E) {
        let cause: Shared = Arc::new(cause);
        self.0.cancel(Error::Canceled, Some(&cause));
    }

    /// Moves the deadline to a later time; Go has no such call, this is the cheapest the lock allows. The heap's entry
    /// stays where it is and is put in again when it comes up. `false`: ended, without a deadline, or not later.
    pub(crate) fn push_back(&self, at: Instant) -> bool {
        let at = timers::ticks(at);
        let cancel = self.0.own();
        let _inner = cancel.lock();
        let later = cancel.err().is_none() && cancel.deadline() != timers::NEVER && at > cancel.deadline();
        if later {
            cancel.deadline.store(at, Ordering::Relaxed);
        }
        later
    }
}

// The map's share comes on top: 17 bytes per bucket, 7 of 8 buckets used at best.
const _: () = assert!(mem::size_of::<Node>() <= 80);
