//! Interceptors, for where a layer cannot be had: they see a call's metadata, and nothing of what comes after.

use super::status::status_of;
use crate::bridge::http::{Header, Policy, shorten};
use crate::context::Context;
use ::tonic::service::Interceptor;
use ::tonic::{Request, Status};

/// The server's interceptor: puts a child of the server's context into the request's extensions, with the deadline of its
/// `grpc-timeout`.
///
/// It sees no response: the context ends with its deadline or with the server's, but not when the client goes, and nobody
/// drops the handler when it ends. [`context_layer`](super::context_layer) does both.
#[derive(Clone, Debug)]
pub struct ContextInterceptor {
    root: Context,
    policy: Policy,
}

impl ContextInterceptor {
    /// Requests as children of `root`. `Policy::untrusted().headers(&[Header::GrpcTimeout])` is what gRPC itself has.
    #[must_use]
    pub fn new(root: Context, policy: Policy) -> ContextInterceptor {
        ContextInterceptor { root, policy }
    }
}

impl Interceptor for ContextInterceptor {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let child = self
            .policy
            .child(&self.root, request.metadata().as_ref())
            .map_err(|malformed| Status::invalid_argument(malformed.to_string()))?;
        if let Some(status) = status_of(&child.context) {
            return Err(status);
        }
        request.extensions_mut().insert(child.context);
        request.extensions_mut().insert(child.reading);
        Ok(request)
    }
}

/// The client's interceptor: takes the [`Context`] from the request's extensions and writes what remains of it into
/// `grpc-timeout`. A call of which nothing remains is not made.
///
/// It does not end the call: tonic's channel does at the deadline, with `CANCELLED`, and nobody does when the context is
/// canceled, unless the call runs in [`Context::run`]. [`deadline_layer`](super::deadline_layer) does both.
#[derive(Copy, Clone, Debug, Default)]
pub struct DeadlineInterceptor;

impl Interceptor for DeadlineInterceptor {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(ctx) = request.extensions().get::<Context>().cloned() {
            shorten(&ctx, Header::GrpcTimeout, request.metadata_mut().as_mut())
                .map_err(|error| status_of(&ctx).unwrap_or_else(|| Status::from(error)))?;
        }
        Ok(request)
    }
}
