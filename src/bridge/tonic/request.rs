//! The context of a tonic request, in and out.

use crate::context::Context;
use ::tonic::Request;

mod sealed {
    pub trait Sealed {}
    impl<T> Sealed for ::tonic::Request<T> {}
}

/// The context of a tonic [`Request`]: in a handler the one it runs under, on the way out the one the call is made under.
///
/// ```
/// use ripcord::Context;
/// use ripcord::tonic::RequestExt;
/// use tonic::Request;
///
/// /// A handler's request, and the call it makes.
/// fn onward(request: &Request<String>) -> Request<u64> {
///     Request::new(7).with_context(request.context().unwrap())
/// }
///
/// let (ctx, _handle) = Context::background().with_cancel();
/// let request = Request::new(String::new()).with_context(&ctx);
/// assert_eq!(onward(&request).context(), Some(&ctx));
/// ```
pub trait RequestExt: sealed::Sealed {
    /// The context in the extensions, if there is one.
    fn context(&self) -> Option<&Context>;

    /// Puts a context into the extensions.
    #[must_use]
    fn with_context(self, ctx: &Context) -> Self;
}

impl<T> RequestExt for Request<T> {
    fn context(&self) -> Option<&Context> {
        self.extensions().get()
    }

    fn with_context(mut self, ctx: &Context) -> Self {
        self.extensions_mut().insert(ctx.clone());
        self
    }
}
