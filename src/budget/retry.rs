//! Tries, one after another.

use super::failure::Failure;
use super::{Backoff, RetryBudget, cause_of, child};
use crate::context::Context;
use std::time::Duration;

/// One try after another, until one is good: within the context's deadline, a number, and a [`RetryBudget`].
///
/// Nothing is set by default but the number: no limit per try, no pauses, no budget. See the [module](super).
#[derive(Clone, Debug)]
#[must_use = "a policy does nothing unless it is run"]
pub struct Retry {
    most: u32,
    per_try: Option<Duration>,
    need: Duration,
    backoff: Option<Backoff>,
    budget: Option<RetryBudget>,
}

impl Retry {
    /// At most so many tries, the first one included.
    ///
    /// # Panics
    ///
    /// If that is 0.
    pub fn up_to(tries: u32) -> Retry {
        assert!(tries > 0, "no try at all");
        Retry { most: tries, per_try: None, need: Duration::ZERO, backoff: None, budget: None }
    }

    /// How long each try may take.
    pub fn per_try(mut self, limit: Duration) -> Retry {
        self.per_try = Some(limit);
        self
    }

    /// A further try is made only if at least this much time is left for it: one that cannot succeed is not sent.
    pub fn need(mut self, need: Duration) -> Retry {
        self.need = need;
        self
    }

    /// Pauses before each further try.
    pub fn backoff(mut self, backoff: Backoff) -> Retry {
        self.backoff = Some(backoff);
        self
    }

    /// Where each run pays in, and each further try is taken out.
    pub fn budget(mut self, budget: &RetryBudget) -> Retry {
        self.budget = Some(budget.clone());
        self
    }

    /// Tries until one succeeds: `start` makes a try from its own context and its number, counted from 1. After a failure,
    /// `again` says whether a further try would do any good, and no harm.
    ///
    /// A try is dropped when its context ends. The context of a try that failed is canceled, for the sake of what it may
    /// have left behind; that of the successful one is not, and has its limit still.
    ///
    /// # Errors
    ///
    /// The failure of the last try, or, if the request's context has ended, its cause.
    pub async fn run<T, E, F>(
        &self,
        ctx: &Context,
        mut start: impl FnMut(Context, u32) -> F,
        mut again: impl FnMut(&Failure<E>) -> bool,
    ) -> Result<T, Failure<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        if let Some(budget) = &self.budget {
            budget.deposit();
        }
        let mut backoff = self.backoff.clone();
        let mut number = 1;
        loop {
            if ctx.is_done() {
                return Err(Failure::Ended(cause_of(ctx)));
            }
            let (try_ctx, handle) = child(ctx, self.per_try);
            let failure = match try_ctx.run(start(try_ctx.clone(), number)).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) => Failure::Failed(error),
                Err(_) => Failure::Ended(cause_of(&try_ctx)),
            };
            handle.cancel_cause("the attempt has failed");
            if number == self.most || ctx.is_done() || !again(&failure) {
                return Err(failure);
            }
            let pause = backoff.as_mut().map_or(Duration::ZERO, Backoff::draw);
            if !ctx.permits(pause.saturating_add(self.need)) || !self.budget.as_ref().is_none_or(RetryBudget::withdraw)
            {
                return Err(failure);
            }
            if !pause.is_zero() && ctx.sleep(pause).await.is_err() {
                return Err(Failure::Ended(cause_of(ctx)));
            }
            number += 1;
        }
    }
}
