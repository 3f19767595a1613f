//! Tries, one beside another.

use super::failure::{Failure, Outrun};
use super::{RetryBudget, Sleep, cause_of, child};
use crate::context::{CancelHandle, Context, Done, DoneOwned};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{self, Poll};
use std::time::Duration;

/// A further try while the first is under way, when that takes longer than usual; the first good one wins, and the
/// others are canceled with [`Outrun`] as their cause and dropped.
///
/// For requests that may be sent twice. At most two at a time, without a budget, unless set otherwise.
///
/// ```
/// # fn block_on<F: Future>(f: F) -> F::Output {
/// #     let mut f = std::pin::pin!(f);
/// #     let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
/// #     loop { if let std::task::Poll::Ready(x) = f.as_mut().poll(&mut cx) { return x } }
/// # }
/// use ripcord::budget::{Hedge, Outrun};
/// use ripcord::{Cause, Context};
/// use std::time::Duration;
///
/// let mut first = None;
/// let (hedge, request) = (Hedge::after(Duration::from_millis(2)), Context::background());
/// let winner = hedge.run(&request, |ctx, number| {
///     first.get_or_insert(ctx.clone());
///     // The first takes for ever.
///     async move { if number == 1 { std::future::pending().await } else { Ok::<_, Cause>(number) } }
/// });
/// assert_eq!(block_on(winner).unwrap(), 2);
/// let cause = first.unwrap().cause().unwrap();
/// assert_eq!(cause.downcast_ref::<Outrun>().unwrap().winner, 2);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a policy does nothing unless it is run"]
pub struct Hedge {
    after: Duration,
    most: u32,
    per_try: Option<Duration>,
    need: Duration,
    budget: Option<RetryBudget>,
}

/// One try under way. Dropped before its end, it is canceled.
struct Try<F> {
    number: u32,
    ctx: Context,
    handle: CancelHandle,
    ended: DoneOwned,
    future: Pin<Box<F>>,
    settled: bool,
}

impl<F> Drop for Try<F> {
    fn drop(&mut self) {
        if !self.settled {
            self.handle.cancel_cause("the attempt was given up");
        }
    }
}

impl<F, T, E> Try<F>
where
    F: Future<Output = Result<T, E>>,
{
    fn start(ctx: &Context, limit: Option<Duration>, number: u32, start: &mut impl FnMut(Context, u32) -> F) -> Try<F> {
        let (ctx, handle) = child(ctx, limit);
        let future = Box::pin(start(ctx.clone(), number));
        Try { number, handle, future, ended: ctx.clone().into_done(), ctx, settled: false }
    }

    /// Its end first: an ended context polls nothing.
    fn poll(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<T, Failure<E>>> {
        if !self.ctx.is_done() {
            if let Poll::Ready(result) = self.future.as_mut().poll(cx) {
                return Poll::Ready(result.map_err(Failure::Failed));
            }
        }
        Pin::new(&mut self.ended).poll(cx).map(|_| Err(Failure::Ended(cause_of(&self.ctx))))
    }
}

impl Hedge {
    /// A second try is started this long after the first.
    pub fn after(delay: Duration) -> Hedge {
        Hedge { after: delay, most: 2, per_try: None, need: Duration::ZERO, budget: None }
    }

    /// At most so many tries, each started the same time after the one before.
    ///
    /// # Panics
    ///
    /// If that is 0.
    pub fn at_most(mut self, tries: u32) -> Hedge {
        assert!(tries > 0, "no try at all");
        self.most = tries;
        self
    }

    /// How long each try may take.
    pub fn per_try(mut self, limit: Duration) -> Hedge {
        self.per_try = Some(limit);
        self
    }

    /// A further try is started only if at least this much time is left for it.
    pub fn need(mut self, need: Duration) -> Hedge {
        self.need = need;
        self
    }

    /// Where each run pays in, and each further try is taken out.
    pub fn budget(mut self, budget: &RetryBudget) -> Hedge {
        self.budget = Some(budget.clone());
        self
    }

    /// Runs the tries inside this future, on whatever polls it: `start` makes one from its own context and its number,
    /// counted from 1. When one fails while no other is under way, the next is started at once.
    ///
    /// A try is dropped when its context ends. When this future is dropped, all are canceled.
    ///
    /// # Errors
    ///
    /// The last failure, when all have failed and there is no further one; or, if `ctx` has ended, its cause.
    pub async fn run<T, E, F>(&self, ctx: &Context, mut start: impl FnMut(Context, u32) -> F) -> Result<T, Failure<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        if let Some(budget) = &self.budget {
            budget.deposit();
        }
        if ctx.is_done() {
            return Err(Failure::Ended(cause_of(ctx)));
        }
        let mut tries = vec![Try::start(ctx, self.per_try, 1, &mut start)];
        let mut started = 1;
        let mut delay = (self.most > 1).then(|| ctx.sleep(self.after));
        let mut ended: Pin<&mut Done<'_>> = pin!(ctx.done());
        poll_fn(|cx| {
            if ended.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(Failure::Ended(cause_of(ctx))));
            }
            loop {
                let failure = match poll_all(&mut tries, cx) {
                    Ok(value) => return Poll::Ready(Ok(value)),
                    Err(failure) => failure,
                };
                let alone = tries.is_empty();
                let due = alone || delay.as_mut().is_some_and(|delay: &mut Sleep| Pin::new(delay).poll(cx).is_ready());
                if due && started < self.most && self.affords(ctx) {
                    started += 1;
                    tries.push(Try::start(ctx, self.per_try, started, &mut start));
                    delay = (started < self.most).then(|| ctx.sleep(self.after));
                    continue;
                }
                if due {
                    delay = None;
                }
                return match failure {
                    Some(failure) if alone => Poll::Ready(Err(failure)),
                    _ => Poll::Pending,
                };
            }
        })
        .await
    }

    fn affords(&self, ctx: &Context) -> bool {
        ctx.permits(self.need) && self.budget.as_ref().is_none_or(RetryBudget::withdraw)
    }
}

/// Polls all tries, the oldest first: the value of the first good one, or the last failure of those that have failed now.
fn poll_all<F, T, E>(tries: &mut Vec<Try<F>>, cx: &mut task::Context<'_>) -> Result<T, Option<Failure<E>>>
where
    F: Future<Output = Result<T, E>>,
{
    let mut failure = None;
    let mut at = 0;
    while let Some(one) = tries.get_mut(at) {
        let failed = match one.poll(cx) {
            Poll::Pending => {
                at += 1;
                continue;
            }
            Poll::Ready(Ok(value)) => {
                let winner = one.number;
                for other in tries.iter_mut() {
                    other.settled = true;
                    if other.number != winner {
                        other.handle.cancel_cause(Outrun { winner, loser: other.number });
                    }
                }
                tries.clear();
                return Ok(value);
            }
            Poll::Ready(Err(failed)) => failed,
        };
        failure = Some(failed);
        tries.remove(at).handle.cancel_cause("the attempt has failed");
    }
    Err(failure)
}
