//! A bound for what can only fail by hanging.

use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// More than the [`world`](crate::world)'s own waits take: they know what did not come, and this does not.
const HANGS: Duration = Duration::from_secs(150);

/// Runs a test on a thread of its own, beside two for its tasks: it may block. Not for ever; the clock is on yet another
/// thread, because a timeout that is polled with the test would not be looked at while that spins or blocks.
#[track_caller]
pub fn run(test: impl AsyncFnOnce() + Send + 'static) {
    let (tell, over) = channel::<()>();
    let thread = thread::spawn(move || {
        // A panic drops it, which tells as well.
        let _tell = tell;
        let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        rt.block_on(test());
    });
    if over.recv_timeout(HANGS) == Err(RecvTimeoutError::Timeout) {
        panic!("hangs: not over after {HANGS:?}");
    }
    if let Err(panic) = thread.join() {
        resume_unwind(panic);
    }
}
