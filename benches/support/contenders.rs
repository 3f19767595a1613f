//! The contenders behind one face. Each method is what a user of that crate would write, nothing less.

use super::motley::{Other, has_other, with_other};
use crate::mutex::{on_parking_lot, on_std};
use std::future::{Future, Pending, pending};
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context as Task, Waker};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Sleep, Timeout, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Long enough never to fire while a bench runs.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Whatever is held.
pub(crate) trait Kept {}
impl<T> Kept for T {}

pub(crate) trait Contender: 'static {
    const NAME: &'static str;
    /// What one holds: a context with its handle, or a token, which is both.
    type Child: Send + Sync + 'static;
    /// A child that ends by itself after 30 s, kept.
    type Timed;
    /// Something with a deadline that can be pushed back.
    type Deadline;

    fn root() -> Self::Child;
    fn child(parent: &Self::Child) -> Self::Child;
    fn cancel(child: &Self::Child);
    fn is_done(child: &Self::Child) -> bool;

    /// A child with a 30 s timeout: created, armed, dropped.
    fn pass_timed(parent: &Self::Child);
    /// The same, kept.
    fn keep_timed(parent: &Self::Child) -> Self::Timed;
    fn deadline(parent: &Self::Child) -> Self::Deadline;
    fn push_back(deadline: &mut Self::Deadline, at: Instant);

    /// One wait: polled once, pending, dropped.
    fn pass_done(child: &Self::Child);
    /// The same wait polled again and again with one waker.
    fn poll_done(child: &Self::Child, times: u64);

    /// A wait that is registered with this waker, kept.
    fn wait<'a>(child: &'a Self::Child, waker: &Waker) -> Box<dyn Kept + 'a>;

    /// Looks up why `child` ended; false where there is no such thing.
    fn cause(child: &Self::Child) -> bool;

    /// Runs `work` where timers can be armed.
    fn inside<R>(work: impl FnOnce() -> R) -> R {
        work()
    }
}

/// The bound type, and those that are bound nowhere: several, because a filter may by chance be good or bad at one.
pub(crate) struct Key(pub(crate) u64);
struct Absent<const N: usize>(u64);

pub(crate) trait Values: Contender {
    /// A chain whose `depth`th node from the leaf, the leaf counted, binds [`Key`]; below it cancelable nodes and values of
    /// so many other types take turns.
    fn chain(depth: usize, types: usize) -> Self::Leaf;
    type Leaf: 'static;
    fn find(leaf: &Self::Leaf) -> Option<u64>;
    fn miss(leaf: &Self::Leaf, time: u64) -> Option<u64>;
    /// Finds one of eight of the others, from 14 to 98 deep in a chain of 100 and as many types.
    fn find_other(leaf: &Self::Leaf, time: u64) -> bool;
}

fn poll<F: Future>(future: Pin<&mut F>) -> bool {
    future.poll(&mut Task::from_waker(Waker::noop())).is_ready()
}

macro_rules! contexts {
    ($name:ident, $label:literal, $($path:ident)::+, $push_back:ident) => {
        pub(crate) struct $name;

        impl $name {
            pub(crate) fn err(child: &<$name as Contender>::Child) -> Option<$($path)::+::Error> {
                child.0.err()
            }
        }

        impl Contender for $name {
            const NAME: &'static str = $label;
            type Child = ($($path)::+::Context, $($path)::+::CancelHandle);
            type Timed = Self::Child;
            type Deadline = Self::Child;

            #[inline]
            fn root() -> Self::Child {
                $($path)::+::Context::background().with_cancel()
            }

            #[inline]
            fn child(parent: &Self::Child) -> Self::Child {
                parent.0.with_cancel()
            }

            #[inline]
            fn cancel(child: &Self::Child) {
                child.1.cancel();
            }

            #[inline]
            fn is_done(child: &Self::Child) -> bool {
                child.0.is_done()
            }

            #[inline]
            fn pass_timed(parent: &Self::Child) {
                black_box(Self::keep_timed(parent));
            }

            #[inline]
            fn keep_timed(parent: &Self::Child) -> Self::Timed {
                parent.0.with_timeout(TIMEOUT)
            }

            fn deadline(parent: &Self::Child) -> Self::Deadline {
                Self::keep_timed(parent)
            }

            #[inline]
            fn push_back(deadline: &mut Self::Deadline, at: Instant) {
                black_box(deadline.1.$push_back(at));
            }

            #[inline]
            fn pass_done(child: &Self::Child) {
                black_box(poll(pin!(child.0.done())));
            }

            fn poll_done(child: &Self::Child, times: u64) {
                let mut done = pin!(child.0.done());
                for _ in 0..times {
                    black_box(poll(done.as_mut()));
                }
            }

            fn wait<'a>(child: &'a Self::Child, waker: &Waker) -> Box<dyn Kept + 'a> {
                let mut done = Box::pin(child.0.done());
                assert!(done.as_mut().poll(&mut Task::from_waker(waker)).is_pending());
                Box::new(done)
            }

            #[inline]
            fn cause(child: &Self::Child) -> bool {
                black_box(child.0.cause());
                true
            }
        }

        impl Values for $name {
            type Leaf = $($path)::+::Context;

            fn chain(depth: usize, types: usize) -> Self::Leaf {
                let (root, _handle) = $($path)::+::Context::background().with_cancel();
                let mut leaf = root.with_value(Key(1));
                for level in 1..depth {
                    let even = level % 2 == 0;
                    leaf = if even { with_other!(leaf, (level / 2 - 1) % types) } else { leaf.with_cancel().0 };
                }
                leaf
            }

            #[inline]
            fn find(leaf: &Self::Leaf) -> Option<u64> {
                leaf.value::<Key>().map(|key| key.0)
            }

            #[inline]
            fn find_other(leaf: &Self::Leaf, time: u64) -> bool {
                has_other!(leaf, time)
            }

            #[inline]
            fn miss(leaf: &Self::Leaf, time: u64) -> Option<u64> {
                match time % 8 {
                    0 => leaf.value::<Absent<0>>().map(|absent| absent.0),
                    1 => leaf.value::<Absent<1>>().map(|absent| absent.0),
                    2 => leaf.value::<Absent<2>>().map(|absent| absent.0),
                    3 => leaf.value::<Absent<3>>().map(|absent| absent.0),
                    4 => leaf.value::<Absent<4>>().map(|absent| absent.0),
                    5 => leaf.value::<Absent<5>>().map(|absent| absent.0),
                    6 => leaf.value::<Absent<6>>().map(|absent| absent.0),
                    _ => leaf.value::<Absent<7>>().map(|absent| absent.0),
                }
            }
        }
    };
}

contexts!(Ripcord, "ripcord", ripcord, reset_deadline);
contexts!(StdMutex, "mutex", on_std, push_back);
contexts!(ParkingLot, "parking_lot", on_parking_lot, push_back);

/// tokio-util's token; where a deadline is wanted, tokio's timer beside it, on a current-thread runtime per thread. That
/// is the best case for it: a timer wheel nobody else locks.
pub(crate) struct Tokio;

impl Contender for Tokio {
    const NAME: &'static str = "tokio-util";
    type Child = CancellationToken;
    type Timed = (CancellationToken, Pin<Box<Timeout<Pending<()>>>>);
    type Deadline = (Pin<Box<Sleep>>, Runtime);

    #[inline]
    fn root() -> Self::Child {
        CancellationToken::new()
    }

    #[inline]
    fn child(parent: &Self::Child) -> Self::Child {
        parent.child_token()
    }

    #[inline]
    fn cancel(child: &Self::Child) {
        child.cancel();
    }

    #[inline]
    fn is_done(child: &Self::Child) -> bool {
        child.is_cancelled()
    }

    /// A token has no deadline: it takes a `timeout` around the work, armed by its first poll. The work here is
    /// `pending()`, so the token's own waiter is not charged.
    #[inline]
    fn pass_timed(parent: &Self::Child) {
        let child = parent.child_token();
        black_box(poll(pin!(timeout(TIMEOUT, pending::<()>()))));
        black_box(child);
    }

    #[inline]
    fn keep_timed(parent: &Self::Child) -> Self::Timed {
        let mut timed = (parent.child_token(), Box::pin(timeout(TIMEOUT, pending())));
        black_box(poll(timed.1.as_mut()));
        timed
    }

    fn deadline(_parent: &Self::Child) -> Self::Deadline {
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        let entered = runtime.enter();
        let mut armed = Box::pin(sleep(TIMEOUT));
        black_box(poll(armed.as_mut()));
        drop(entered);
        (armed, runtime)
    }

    #[inline]
    fn push_back(deadline: &mut Self::Deadline, at: Instant) {
        deadline.0.as_mut().reset(at.into());
    }

    #[inline]
    fn pass_done(child: &Self::Child) {
        black_box(poll(pin!(child.cancelled())));
    }

    fn poll_done(child: &Self::Child, times: u64) {
        let mut done = pin!(child.cancelled());
        for _ in 0..times {
            black_box(poll(done.as_mut()));
        }
    }

    fn wait<'a>(child: &'a Self::Child, waker: &Waker) -> Box<dyn Kept + 'a> {
        let mut done = Box::pin(child.cancelled());
        assert!(done.as_mut().poll(&mut Task::from_waker(waker)).is_pending());
        Box::new(done)
    }

    fn cause(_child: &Self::Child) -> bool {
        false
    }

    fn inside<R>(work: impl FnOnce() -> R) -> R {
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        let _entered = runtime.enter();
        work()
    }
}
