//! Contexts that follow a `CancellationToken`, and tokens that follow a context. Neither takes a task.

use crate::cause::Cause;
use crate::context::{AfterFunc, CancelHandle, Context};
use std::error::Error as StdError;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The cause of a context that ended because the token it follows was canceled.
///
/// ```
/// use ripcord::{Context, tokio::TokenCanceled};
/// use tokio_util::sync::CancellationToken;
///
/// let token = CancellationToken::new();
/// let ctx = Context::from(token.clone());
/// token.cancel();
/// assert!(ctx.cause().unwrap().downcast_ref::<TokenCanceled>().is_some());
/// ```
#[non_exhaustive]
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct TokenCanceled;

impl fmt::Display for TokenCanceled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cancellation token canceled")
    }
}

impl StdError for TokenCanceled {}

impl Context {
    /// A child that also ends when a `CancellationToken` does, as [`Canceled`](crate::Error::Canceled) with
    /// [`TokenCanceled`] as its cause.
    ///
    /// No task: the child is ended inside `token.cancel()`, by the thread that calls it, after the tokens. The child keeps
    /// the token; when it ends otherwise or is dropped, it lets go of it.
    ///
    /// ```
    /// use ripcord::Context;
    /// use tokio_util::sync::CancellationToken;
    ///
    /// let token = CancellationToken::new();
    /// let (request, _handle) = Context::background().with_cancel_token(token.child_token());
    /// token.cancel();
    /// assert_eq!(request.cause().unwrap().to_string(), "cancellation token canceled");
    /// ```
    #[must_use]
    pub fn with_cancel_token(&self, token: CancellationToken) -> (Context, CancelHandle) {
        self.with_cancel_on(async move {
            token.cancelled_owned().await;
            Cause::new(TokenCanceled)
        })
    }

    /// A token that is canceled when this context ends, for as long as the [`ContextToken`] or a clone of it is there.
    ///
    /// No task: an [`after_func`](Context::after_func) cancels it. Canceling the token does not end the context.
    pub fn cancel_token(&self) -> ContextToken {
        let token = CancellationToken::new();
        let follow = self.after_func(cancel(&token));
        ContextToken { token, _follow: Arc::new(Follow(follow)) }
    }
}

fn cancel(token: &CancellationToken) -> impl FnOnce() + Send + use<> {
    let token = token.clone();
    move || token.cancel()
}

/// A token that follows a context. Made by [`Context::cancel_token`].
///
/// It dereferences to the `CancellationToken`, whose methods it has. With the last clone of *this* the token stops following,
/// and the context keeps nothing of it: so keep it as long as any token made from it shall follow. A token that is to follow
/// on its own is `CancellationToken::from(&ctx)`; it costs the context a registration until that ends.
///
/// ```
/// use ripcord::Context;
///
/// let (server, shutdown) = Context::background().with_cancel();
/// let token = server.cancel_token();
/// let connection = token.child_token();
/// shutdown.cancel();
/// assert!(token.is_cancelled() && connection.is_cancelled());
/// ```
#[must_use = "the token stops following its context when this is dropped"]
#[derive(Clone, Debug)]
pub struct ContextToken {
    token: CancellationToken,
    /// For its drop.
    _follow: Arc<Follow>,
}

/// Stops the function with the last of its tokens.
#[derive(Debug)]
struct Follow(AfterFunc);

impl Drop for Follow {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl ContextToken {
    /// The token itself. It follows the context while a `ContextToken` is there.
    #[must_use]
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }
}

impl Deref for ContextToken {
    type Target = CancellationToken;

    fn deref(&self) -> &CancellationToken {
        &self.token
    }
}

/// A context that ends with the token, under [`background`](Context::background): see
/// [`with_cancel_token`](Context::with_cancel_token).
impl From<CancellationToken> for Context {
    fn from(token: CancellationToken) -> Context {
        Context::background().with_cancel_token(token).0
    }
}

/// As `From<CancellationToken>`.
impl From<&CancellationToken> for Context {
    fn from(token: &CancellationToken) -> Context {
        Context::from(token.clone())
    }
}

/// A token that follows the context on its own: the registration, about 200 bytes, is the context's until it ends, also after
/// the token is gone. On a context that can no longer end, it goes at once. See [`ContextToken`] for one that cleans up.
impl From<&Context> for CancellationToken {
    fn from(ctx: &Context) -> CancellationToken {
        let token = CancellationToken::new();
        let _kept_by_the_context = ctx.after_func(cancel(&token));
        token
    }
}

/// As `From<&Context>`.
impl From<Context> for CancellationToken {
    fn from(ctx: Context) -> CancellationToken {
        CancellationToken::from(&ctx)
    }
}
