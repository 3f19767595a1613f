//! The driver as the models see it: no thread, whoever has the engine turns it.

use super::{Target, Timers};
use crate::clock::Tick;
use crate::shield::Shield;
use crate::sync::Ordering;

impl<T: Target> Timers<T> {
    /// As `unpark`: the next park returns at once.
    pub(super) fn wake(&self) {
        // ORDERING: timer-token (writer): what was armed before is seen by the driver that takes the token. A swap as in
        // `unpark`: loom does not put a mere store behind a swap that did not see it.
        self.driver.token.swap(true, Ordering::Release);
    }

    /// Whether a park would return at once; takes the token.
    pub(crate) fn woken(&self) -> bool {
        // ORDERING: timer-token (reader).
        self.driver.token.swap(false, Ordering::AcqRel)
    }

    /// Models have no waiters that drive.
    pub(crate) fn help(&self, _now: Tick) -> Tick {
        crate::clock::NEVER
    }

    /// A run ends: the dead are swept out, and the pools go back. Panics if a cell is queued still.
    pub(crate) fn wind_up(&self) {
        // Each look is cut short where a look at thousands would be.
        let mut shield = Shield::new();
        for _ in 0..4 {
            self.pass(crate::clock::now(), true).tell(&mut shield);
        }
        shield.absorb();
        assert_eq!(self.census(), (0, 0), "a cell is queued still");
        for shard in &self.shards {
            shard.pool().clear();
        }
    }

    /// Models do not fork.
    pub(crate) fn after_fork_child(&self) {}
}
