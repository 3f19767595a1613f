//! The contenders as timers: a deadline on its own, armed and released, or fired.

use super::contenders::{ParkingLot, Ripcord, StdMutex, Tokio};
use crate::mutex::{on_parking_lot, on_std};
use pingora_timeout::fast_timeout::fast_timeout;
use std::future::{Future, pending};
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::{Arc, LazyLock};
use std::task::{Context as Task, Wake, Waker};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

/// Between those that are pending, and never due while a bench runs.
const SOON: Duration = Duration::from_secs(300);

pub(crate) trait Timing: 'static {
    const NAME: &'static str;
    /// An armed timer.
    type Timer;

    /// Armed for so long, and kept.
    fn keep(after: Duration) -> Self::Timer;

    /// Armed and released.
    fn pass() {
        drop(black_box(Self::keep(SOON)));
    }

    /// Calls `heard` when its time has come, on whatever thread fires it. `None`: not done with this one.
    fn call<F: Fn() + Send + Sync + 'static>(at: Instant, heard: F) -> Option<Self::Timer>;

    /// Runs `work` where timers can be armed.
    fn inside(work: &mut dyn FnMut()) {
        work();
    }
}

macro_rules! contexts {
    ($name:ident, $label:literal, $($path:ident)::+) => {
        impl Timing for $name {
            const NAME: &'static str = $label;
            type Timer = ($($path)::+::Context, $($path)::+::CancelHandle);

            #[inline]
            fn keep(after: Duration) -> Self::Timer {
                $($path)::+::Context::background().with_timeout(after)
            }

            fn call<F: Fn() + Send + Sync + 'static>(at: Instant, heard: F) -> Option<Self::Timer> {
                let pair = $($path)::+::Context::background().with_deadline(at);
                pair.0.after_func(heard);
                Some(pair)
            }
        }
    };
}

contexts!(Ripcord, "ripcord", ripcord);
contexts!(StdMutex, "mutex", on_std);
contexts!(ParkingLot, "parking_lot", on_parking_lot);

/// Calls a function; what a task's waker costs beside it is not charged to the timer.
struct Call<F>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for Call<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

fn poll_with<F: Future>(future: Pin<&mut F>, waker: &Waker) {
    assert!(future.poll(&mut Task::from_waker(waker)).is_pending());
}

/// One for the process, with a worker whose only work is the timer, as the other contenders have it.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(1).enable_time().build().expect("a runtime"));

impl Timing for Tokio {
    const NAME: &'static str = "tokio";
    type Timer = Box<dyn Send>;

    fn keep(after: Duration) -> Self::Timer {
        let mut timer = Box::pin(tokio::time::timeout(after, pending::<()>()));
        poll_with(timer.as_mut(), Waker::noop());
        Box::new(timer)
    }

    #[inline]
    fn pass() {
        poll_with(pin!(tokio::time::timeout(SOON, pending::<()>())), Waker::noop());
    }

    fn call<F: Fn() + Send + Sync + 'static>(at: Instant, heard: F) -> Option<Self::Timer> {
        let mut timer = Box::pin(tokio::time::sleep_until(at.into()));
        poll_with(timer.as_mut(), &Waker::from(Arc::new(Call(heard))));
        Some(Box::new(timer))
    }

    fn inside(work: &mut dyn FnMut()) {
        let _entered = RUNTIME.enter();
        work();
    }
}

/// pingora-timeout's fast timer: rounded up to 10 ms, shared by all with the same tick; one that is released stays until
/// its time has come.
pub(crate) struct Pingora;

impl Timing for Pingora {
    const NAME: &'static str = "pingora";
    type Timer = Box<dyn Send>;

    fn keep(after: Duration) -> Self::Timer {
        let mut timer = Box::pin(fast_timeout(after, pending::<()>()));
        poll_with(timer.as_mut(), Waker::noop());
        Box::new(timer)
    }

    #[inline]
    fn pass() {
        poll_with(pin!(fast_timeout(SOON, pending::<()>())), Waker::noop());
    }

    fn call<F: Fn() + Send + Sync + 'static>(at: Instant, heard: F) -> Option<Self::Timer> {
        let mut timer = Box::pin(fast_timeout(at.saturating_duration_since(Instant::now()), pending::<()>()));
        poll_with(timer.as_mut(), &Waker::from(Arc::new(Call(heard))));
        Some(Box::new(timer))
    }
}
