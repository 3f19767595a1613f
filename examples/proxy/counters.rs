//! Live counters, and who is told how each request ended.

use crate::cause::{KINDS, Kind};
use crate::exchange::Ended;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) connections: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) ended: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) hedges: AtomicU64,
    /// Retries that the budget did not allow.
    pub(crate) unaffordable: AtomicU64,
    pub(crate) upstream_connections: AtomicU64,
    kinds: [AtomicU64; KINDS.len()],
}

impl Counters {
    pub(crate) fn add(&self, ended: &Ended) {
        self.ended.fetch_add(1, Relaxed);
        self.kinds[ended.kind as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn of(&self, kind: Kind) -> u64 {
        self.kinds[kind as usize].load(Relaxed)
    }

    /// As JSON, without the braces.
    pub(crate) fn json(&self) -> String {
        let ended = self.ended.load(Relaxed);
        let requests = self.requests.load(Relaxed);
        let mut text = format!("\"requests\": {requests}, \"in_flight\": {}", requests.saturating_sub(ended));
        let others = [
            ("connections", &self.connections),
            ("upstream_connections", &self.upstream_connections),
            ("retries", &self.retries),
            ("hedges", &self.hedges),
            ("unaffordable_retries", &self.unaffordable),
        ];
        for (name, count) in others {
            let _ = write!(text, ", \"{name}\": {}", count.load(Relaxed));
        }
        for (kind, name) in KINDS {
            let _ = write!(text, ", \"{name}\": {}", self.of(kind));
        }
        text
    }
}
