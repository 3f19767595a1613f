//! One pass over the queue: collect what is due, mark it, publish when to come back, tell.
//!
//! ```text
//!   collect   each shard in turn, under its lock: what is due leaves the queue for the pass's hands
//!   mark      in the order of the keys, pinned, no shard's lock held: claim, surface, let go or put back
//!   publish   next_wake becomes the earliest key left; then all shards are looked at again (timer-arm)
//!   tell      unlocked and unpinned: user code; the driver's own way is in `stand_in`
//! ```
//!
//! # Invariants
//!
//! 1. Passes exclude each other up to and including `publish`, so keys fire in order and the last to publish has
//!    looked last. Telling is outside: a callback may drive the engine itself.
//! 2. Everything due in a pass is marked before anybody is told of any of it.

use super::cell::Chain;
use super::hands::Hands;
use super::heap::Untidy;
use super::telling::Telling;
use super::{Surface, Target, Timers};
use crate::clock::{NEVER, Tick};
use crate::shield::Shield;
use crate::sync::{Ordering, reclaim};
use std::ptr::NonNull;

/// Cells marked under one pin.
const BATCH: usize = 64;

/// What a pass left behind.
#[must_use]
pub(super) struct Passed<'a, T: Target> {
    /// Nothing is due before this.
    pub(super) next: Tick,
    /// Cells wait in nurseries, or dead in heaps.
    pub(super) untidy: Untidy,
    /// What is to be told, if anything has fired.
    pub(super) told: Option<T::Told>,
    /// As long as it is in hand.
    _telling: Option<Telling<'a>>,
}

impl<T: Target> Passed<'_, T> {
    /// Tells everything here, behind the caller's shield.
    pub(super) fn tell(&mut self, shield: &mut Shield) {
        if let Some(told) = self.told.take() {
            shield.run(|| T::tell(told));
        }
    }
}

impl<T: Target> Timers<T> {
    /// Fires what is due at `now`; returns when to come back ([`NEVER`]: when something is armed).
    pub(crate) fn turn(&self, now: Tick) -> Tick {
        let mut shield = Shield::new();
        let next = self.turn_behind(&mut shield, now);
        shield.absorb();
        next
    }

    /// [`turn`](Self::turn), for a caller who should hear of panics.
    pub(crate) fn turn_behind(&self, shield: &mut Shield, now: Tick) -> Tick {
        let mut passed = self.pass(now, false);
        passed.tell(shield);
        passed.next
    }

    /// The earliest key that is queued, or something earlier. A pass at that time or later removes it.
    #[cfg(feature = "test-util")]
    pub(crate) fn earliest(&self) -> Tick {
        self.shards.iter().map(|shard| shard.look().0).min().unwrap_or(NEVER)
    }

    /// One pass, up to the telling. `tidy`: clears the nurseries too, and some of the dead out of the heaps.
    pub(super) fn pass(&self, now: Tick, tidy: bool) -> Passed<'_, T> {
        let mut told = T::Told::default();
        let mut hands = self.hands.lock();
        let mut next = NEVER;
        for (index, shard) in self.shards.iter().enumerate() {
            next = next.min(shard.collect(index, now, tidy, &mut hands.due));
        }
        let fired = !hands.due.is_empty();
        if fired {
            self.mark(&mut hands, now, &mut told);
        }
        // Without a driver every arm shall ask for one.
        let published = if self.driver.runs() { next } else { NEVER };
        // ORDERING: timer-arm (the write of "publish the wake-up, then look again").
        self.next_wake.swap(published, Ordering::SeqCst);
        let (mut missed, mut untidy) = (NEVER, Untidy::No);
        for shard in &self.shards {
            let (low, here) = shard.look();
            missed = missed.min(low);
            untidy = untidy.max(here);
        }
        if missed < published && self.driver.runs() {
            // ORDERING: timer-arm (what the second look found counts as if its arm had lowered it).
            self.next_wake.fetch_min(missed, Ordering::SeqCst);
        }
        // Before the hands are free: who forks takes them first.
        let telling = fired.then(|| self.tellers.one_more());
        drop(hands);
        Passed { next: next.min(missed), untidy, told: fired.then_some(told), _telling: telling }
    }

    /// Marks everything in hand, in the order of the keys. What is put back is found by the second look.
    fn mark(&self, hands: &mut Hands, now: Tick, told: &mut T::Told) {
        hands.due.sort_unstable_by_key(|due| due.key);
        while hands.done < hands.due.len() {
            // A target that panics is passed over: its cell is lost, the others are not.
            outlive(|| self.mark_batch(hands, now, told));
        }
        hands.done = 0;
        hands.due.clear();
        if hands.due.capacity() > 4096 {
            hands.due.shrink_to(1024);
        }
    }

    fn mark_batch(&self, hands: &mut Hands, now: Tick, told: &mut T::Told) {
        let mut let_go = Free { timers: self, chain: Chain::new() };
        let guard = reclaim::pin();
        for _ in 0..BATCH {
            let Some(due) = hands.due.get(hands.done).copied() else { break };
            hands.done += 1;
            // SAFETY: the cell is in our hands.
            let entry = unsafe { due.entry.as_ref() };
            if entry.claim(due.key) {
                let Some(target) = NonNull::new(entry.target().cast::<T>()) else { continue };
                // SAFETY: pinned before the claim was won, so the target outlives `guard` whatever its owner does.
                let surface = unsafe { T::surface(target, now, &guard, told) };
                debug_assert_eq!(entry.target().cast(), target.as_ptr(), "a claimed cell changed hands");
                match surface {
                    Surface::Later(key) if entry.requeue(key) => {
                        // SAFETY: out of our hands.
                        unsafe { self.shards[due.shard].put_back(key, due.entry) };
                        continue;
                    }
                    Surface::Over if entry.let_go() => continue,
                    _ => {}
                }
            }
            // SAFETY: the owner has let go, and now we do.
            unsafe { let_go.chain.push(due.entry) };
        }
    }
}

/// Runs what must not take the pass with it.
pub(super) fn outlive(run: impl FnOnce()) {
    let mut shield = Shield::new();
    shield.run(run);
    shield.absorb();
}

/// Cells that go back to the pool, also when a target panics.
struct Free<'a, T: Target> {
    timers: &'a Timers<T>,
    chain: Chain,
}

impl<T: Target> Drop for Free<'_, T> {
    fn drop(&mut self) {
        // SAFETY: both sides have let go of what is in here.
        unsafe { self.timers.own_shard().pool().give(self.chain.take()) };
    }
}
