//! A context in a thread's hands, with its handle if there is one, and what must hold whenever somebody looks at it.
#![cfg(not(feature = "loom"))]

use super::crowd::{Life, Shared};
use crate::common::*;
use ripcord::{CancelHandle, Context};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

#[derive(Debug, Clone)]
pub(crate) struct Fruit {
    pub(crate) ctx: Context,
    pub(crate) handle: Option<CancelHandle>,
    /// None: it never ends.
    pub(crate) life: Option<Arc<Life>>,
    /// The root's cancel would end it.
    pub(crate) rooted: bool,
    /// Many children: they make a walk take its time.
    pub(crate) crowd: Arc<Vec<Context>>,
}

impl Fruit {
    pub(crate) fn name(&self) -> String {
        self.life.as_ref().map_or_else(|| String::from("-"), |life| life.number.to_string())
    }

    /// G1, G2: all ways of asking agree, and say the same as ever. True: it has ended.
    pub(crate) fn look(&self, shared: &Shared) -> bool {
        let ctx = &self.ctx;
        let about = |what: &str| format!("{what} of {}: {ctx:?}", self.name());
        let done = ctx.is_done();
        let cause = ctx.cause();
        let error = ctx.err();
        shared.expect(!done || cause.is_some(), || about("is_done, but no cause"));
        shared.expect(cause.is_none() || error.is_some(), || about("a cause, but no err"));
        let Some(error) = error else { return false };
        let cause = ctx.cause();
        shared.expect(ctx.is_done(), || about("err, but not is_done"));
        shared.expect(cause.is_some(), || about("err, but no cause"));
        shared.expect(poll(&mut ctx.done()) == Poll::Ready(error), || about("err, but not done()"));
        shared.expect(ctx.wait_timeout(Duration::ZERO) == Some(error), || about("err, but not wait_timeout()"));
        let (Some(cause), Some(life)) = (cause, &self.life) else {
            shared.expect(false, || about("it never ends, but has"));
            return true;
        };
        shared.expect(cause.error() == error, || about("the cause's kind is not err"));
        let seen = (error, cause.to_string());
        let first = life.end.get_or_init(|| seen.clone());
        shared.expect(*first == seen, || about(&format!("a second end after {first:?}: {seen:?}")));
        true
    }

    /// Its crowd has ended; to be asked where every walk must be through.
    pub(crate) fn look_at_crowd(&self, shared: &Shared, why: &str) {
        let live = self.crowd.iter().filter(|child| !child.is_done()).count();
        shared.expect(live == 0, || format!("{live} of {} children of {} live {why}", self.crowd.len(), self.name()));
    }

    /// Where its end may have come from: its own, or one of its parents' if that says the same.
    pub(crate) fn explain(&self, shared: &Shared) {
        let Some(life) = &self.life else { return };
        let Some((_, text)) = life.end.get() else { return };
        let inherited = |life: &Life| life.above.iter().any(|above| said_above(above, text));
        shared.expect(life.may_say(text) || inherited(life), || {
            format!("{} ended with {text}, which nobody gave it", self.name())
        });
    }
}

/// Whether this one, or one above it, may have said so and has not been seen to say otherwise.
fn said_above(life: &Life, text: &str) -> bool {
    let own = life.end.get().is_none_or(|(_, seen)| seen == text);
    own && (life.may_say(text) || life.above.iter().any(|above| said_above(above, text)))
}
