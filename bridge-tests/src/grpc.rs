//! gRPC without generated code: messages are bytes, a service is two functions, a client is a channel.

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use tokio_stream::Stream;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::NamedService;
use tonic::{Request, Response, Status, Streaming};
use tower::service_fn;

/// One call, one message back.
pub const UNARY: &str = "/ripcord.Test/Unary";
/// One call, many messages back.
pub const STREAM: &str = "/ripcord.Test/Stream";

/// Messages as they are.
#[derive(Copy, Clone, Debug, Default)]
pub struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// A future on the heap.
pub type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;
/// What a streaming handler sends.
pub type Messages = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

type Unary = dyn Fn(Request<Bytes>) -> Boxed<Result<Response<Bytes>, Status>> + Send + Sync;
type Streamed = dyn Fn(Request<Bytes>) -> Boxed<Result<Response<Messages>, Status>> + Send + Sync;

/// A service of two methods.
#[derive(Clone)]
pub struct Test {
    unary: Arc<Unary>,
    stream: Arc<Streamed>,
}

impl Test {
    /// Of these two functions.
    pub fn new<U, S>(unary: U, stream: S) -> Test
    where
        U: Fn(Request<Bytes>) -> Boxed<Result<Response<Bytes>, Status>> + Send + Sync + 'static,
        S: Fn(Request<Bytes>) -> Boxed<Result<Response<Messages>, Status>> + Send + Sync + 'static,
    {
        Test { unary: Arc::new(unary), stream: Arc::new(stream) }
    }
}

impl fmt::Debug for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Test")
    }
}

impl NamedService for Test {
    const NAME: &'static str = "ripcord.Test";
}

impl tower::Service<http::Request<Body>> for Test {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Boxed<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let Test { unary, stream } = self.clone();
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(Raw);
            Ok(match request.uri().path() {
                UNARY => grpc.unary(service_fn(move |request| unary(request)), request).await,
                STREAM => grpc.server_streaming(service_fn(move |request| stream(request)), request).await,
                other => Status::unimplemented(other).into_http(),
            })
        })
    }
}

/// A client of [`Test`] over any channel, with whatever layers.
#[derive(Clone, Debug)]
pub struct Client<C>(tonic::client::Grpc<C>);

impl<C> Client<C>
where
    C: GrpcService<Body>,
    C::ResponseBody: http_body::Body<Data = Bytes> + Send + 'static,
    <C::ResponseBody as http_body::Body>::Error: Into<ripcord::tower::BoxError> + Send,
{
    /// Over this channel.
    pub fn new(channel: C) -> Client<C> {
        Client(tonic::client::Grpc::new(channel))
    }

    async fn ready(&mut self) -> Result<(), Status> {
        self.0.ready().await.map_err(|error| Status::unknown(format!("not ready: {}", error.into())))
    }

    /// Calls [`UNARY`].
    pub async fn unary(&mut self, request: Request<Bytes>) -> Result<Response<Bytes>, Status> {
        self.ready().await?;
        self.0.unary(request, PathAndQuery::from_static(UNARY), Raw).await
    }

    /// Calls [`STREAM`].
    pub async fn stream(&mut self, request: Request<Bytes>) -> Result<Response<Streaming<Bytes>>, Status> {
        self.ready().await?;
        self.0.server_streaming(request, PathAndQuery::from_static(STREAM), Raw).await
    }
}

/// A request with this message.
pub fn say(message: &'static str) -> Request<Bytes> {
    Request::new(Bytes::from_static(message.as_bytes()))
}
