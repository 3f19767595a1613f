//! Pauses that grow, at random, and fit into the time that is left.

use crate::context::Context;
use crate::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Pauses between tries: each is a random time between nothing and a limit that doubles, from `base` up to `max`
/// ("full jitter"), so that clients who failed together do not come back together.
///
/// An endless iterator. A clone goes on from where the original is, at other random times.
///
/// ```
/// use ripcord::budget::Backoff;
/// use std::time::Duration;
///
/// let ms = Duration::from_millis;
/// let exact: Vec<_> = Backoff::new(ms(10), ms(50)).without_jitter().take(4).collect();
/// assert_eq!(exact, [ms(10), ms(20), ms(40), ms(50)]);
/// assert!(Backoff::new(ms(10), ms(50)).zip(exact).all(|(random, limit)| random <= limit));
/// ```
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
    max: Duration,
    /// The state of a generator (splitmix64); none without jitter.
    random: Option<u64>,
}

impl Backoff {
    /// The first pause is at most `base`, none is longer than `max`.
    #[must_use]
    pub fn new(base: Duration, max: Duration) -> Backoff {
        Backoff { next: base.min(max), max, random: Some(RandomState::new().hash_one(0u8)) }
    }

    /// Every pause takes its full time.
    #[must_use]
    pub fn without_jitter(mut self) -> Backoff {
        self.random = None;
        self
    }

    /// The same pauses for the same seed.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Backoff {
        self.random = Some(seed);
        self
    }

    /// Sleeps for the next pause, if after it there is still time for what takes `need`.
    ///
    /// # Errors
    ///
    /// [`Error::DeadlineExceeded`], at once, without sleeping, if the deadline would come before that. The context's
    /// error, if it has ended or ends meanwhile.
    pub async fn pause(&mut self, ctx: &Context, need: Duration) -> Result<(), Error> {
        let pause = self.draw();
        match ctx.err() {
            Some(error) => Err(error),
            None if !ctx.permits(pause.saturating_add(need)) => Err(Error::DeadlineExceeded),
            None if pause.is_zero() => Ok(()),
            None => ctx.sleep(pause).await,
        }
    }

    pub(super) fn draw(&mut self) -> Duration {
        let limit = self.next;
        self.next = limit.saturating_mul(2).min(self.max);
        let Some(state) = &mut self.random else { return limit };
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = *state;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^= x >> 31;
        // A part of the limit, in steps of 2^-32.
        let nanos = (limit.as_nanos().min(u128::from(u64::MAX)) * u128::from(x >> 32)) >> 32;
        Duration::from_nanos(nanos as u64)
    }
}

impl Clone for Backoff {
    fn clone(&self) -> Backoff {
        Backoff { random: self.random.map(|_| RandomState::new().hash_one(0u8)), ..*self }
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.draw())
    }
}
