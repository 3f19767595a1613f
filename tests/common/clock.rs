//! The clock of tests that wait for deadlines: virtual with feature `test-util`, and then nobody sleeps; otherwise real.

#![allow(dead_code)] // as in `common`

use crate::common::alone::alone;
use std::sync::MutexGuard;
use std::time::{Duration, Instant};

/// The clock of the process, for one test alone: all tests of its file take it.
pub(crate) struct Clock(MutexGuard<'static, ()>);

impl Clock {
    /// With virtual time: stopped until this is dropped.
    pub(crate) fn take() -> Clock {
        let turn = alone();
        #[cfg(feature = "test-util")]
        ripcord::time::pause();
        Clock(turn)
    }

    pub(crate) fn now(&self) -> Instant {
        #[cfg(feature = "test-util")]
        return ripcord::time::now();
        #[cfg(not(feature = "test-util"))]
        Instant::now()
    }

    /// Lets so much time pass. In virtual time, what came due has fired then, and nothing else.
    pub(crate) fn pass(&self, time: Duration) {
        #[cfg(feature = "test-util")]
        ripcord::time::advance(time);
        #[cfg(not(feature = "test-util"))]
        std::thread::sleep(time);
    }

    /// Whether time stands still unless it is passed: then a test may say what has not happened yet.
    pub(crate) fn stands(&self) -> bool {
        cfg!(feature = "test-util")
    }
}

#[cfg(feature = "test-util")]
impl Drop for Clock {
    fn drop(&mut self) {
        ripcord::time::resume();
    }
}
