//! Tests that share what the process has only one of: they take turns.

use ripcord::Config;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One test of the binary at a time, also after one that failed.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A turn that begins and ends with the default configuration.
#[derive(Debug)]
pub(crate) struct Configuring(MutexGuard<'static, ()>);

impl Configuring {
    pub(crate) fn alone() -> Configuring {
        let turn = alone();
        Config::default().install();
        Configuring(turn)
    }
}

impl Drop for Configuring {
    fn drop(&mut self) {
        Config::default().install();
    }
}
