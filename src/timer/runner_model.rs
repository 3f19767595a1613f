//! Who sleeps, as the models see it: a park is a token that somebody set.

use crate::sync::AtomicBool;

pub(super) struct Driver {
    pub(super) token: AtomicBool,
}

impl Driver {
    pub(super) fn new() -> Self {
        Driver { token: AtomicBool::new(false) }
    }

    pub(super) fn runs(&self) -> bool {
        true
    }

    pub(super) fn wants_tidying(&self) -> bool {
        false
    }
}
