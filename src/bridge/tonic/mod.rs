// The page's examples need tonic's transport, which this package does not: `bridge-tests/` compiles them.
#![cfg_attr(not(doctest), doc = include_str!("../../../docs/bridges/tonic.md"))]
#![cfg_attr(doctest, doc = "See `bridge-tests/`.")]

mod interceptor;
mod layer;
mod request;
mod status;

pub use interceptor::{ContextInterceptor, DeadlineInterceptor};
pub use layer::{Grpc, context_layer, deadline_layer};
pub use request::RequestExt;
pub use status::{error_of, status_of};
