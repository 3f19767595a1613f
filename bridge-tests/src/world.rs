//! A gRPC server whose handlers do what the message says, and which tells what became of their contexts.

use crate::grpc::{Boxed, Messages, Test};
use bytes::Bytes;
use ripcord::tonic::{Grpc, RequestExt, context_layer, status_of};
use ripcord::tower::ContextLayer;
use ripcord::{CancelHandle, Cause, Context};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};

/// Something that counts itself while it is there.
#[derive(Debug)]
pub struct Life(Arc<AtomicUsize>);

/// How many lives there are.
#[derive(Clone, Debug, Default)]
pub struct Lives(Arc<AtomicUsize>);

impl Lives {
    /// One more.
    #[must_use]
    pub fn begin(&self) -> Life {
        self.0.fetch_add(1, SeqCst);
        Life(self.0.clone())
    }

    /// How many there are.
    #[must_use]
    pub fn now(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// Waits for what others do in their own time; what never comes shall not hang the run.
#[track_caller]
pub fn eventually(what: &str, mut happens: impl FnMut() -> bool) {
    for _ in 0..60_000 {
        if happens() {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("still waiting for: {what}");
}

/// For a test of what is under way when its deadline comes. `None` says that the deadline came before it was: then nothing
/// is learned, and it is tried again with twice the time.
pub async fn in_time<R>(first: Duration, mut attempt: impl AsyncFnMut(Duration) -> Option<R>) -> R {
    let mut time = first;
    while time < Duration::from_secs(60) {
        if let Some(result) = attempt(time).await {
            return result;
        }
        time *= 2;
    }
    panic!("not under way in time, however much there was");
}

/// What became of the requests' contexts.
#[derive(Clone, Debug, Default)]
pub struct Witness {
    contexts: Arc<Mutex<Vec<Context>>>,
    values: Lives,
    handlers: Lives,
}

impl Witness {
    /// A layer's hook: remembers every request's context, and binds a value to what the handler gets. What is remembered
    /// cannot see the value, so the values count the contexts that are alive besides.
    pub fn watch<A>(&self, layer: ContextLayer<A>) -> ContextLayer<A> {
        let witness = self.clone();
        layer.prepare(move |ctx, _| {
            witness.contexts.lock().unwrap().push(ctx.clone());
            ctx.with_value(witness.values.begin())
        })
    }

    /// A handler has begun; it is there until the guard is dropped.
    #[must_use]
    pub fn handler(&self) -> Life {
        self.handlers.begin()
    }

    /// The context of the n-th request, once it is there.
    #[track_caller]
    pub fn context(&self, n: usize) -> Context {
        eventually("the request to arrive", || self.contexts.lock().unwrap().len() > n);
        self.contexts.lock().unwrap()[n].clone()
    }

    /// How many requests there were.
    pub fn requests(&self) -> usize {
        self.contexts.lock().unwrap().len()
    }

    /// The cause of the end of the n-th request, once it has ended.
    #[track_caller]
    pub fn end(&self, n: usize) -> Cause {
        let ctx = self.context(n);
        ctx.wait_timeout(Duration::from_secs(60)).expect("the request's context to end");
        ctx.cause().expect("an ended context has a cause")
    }

    /// Waits until so many handlers, and tasks of theirs, are there.
    #[track_caller]
    pub fn until_busy(&self, many: usize) {
        eventually("the handlers to begin", || self.handlers.now() >= many);
    }

    /// How many requests' contexts are alive.
    #[must_use]
    pub fn alive(&self) -> usize {
        self.values.now()
    }

    /// The causes of all requests' ends so far. A request that was over on arrival never got as far.
    #[track_caller]
    pub fn ends(&self) -> Vec<Cause> {
        (0..self.requests()).map(|n| self.end(n)).collect()
    }

    /// No handler runs, and no context is alive: none of the requests', and none below.
    #[track_caller]
    pub fn assert_nothing_left(&self) {
        assert!(self.requests() > 0, "there were requests");
        eventually("the handlers to be dropped", || self.handlers.now() == 0);
        eventually("the contexts to be dropped", || self.values.now() == 0);
    }
}

/// A tonic server under [`context_layer`], on loopback.
#[derive(Debug)]
pub struct World {
    /// Where it listens.
    pub at: SocketAddr,
    /// Ends every request.
    pub root: CancelHandle,
    /// What became of them.
    pub witness: Witness,
}

/// Serves under this layer, which the witness watches.
pub async fn serve_under(
    configure: impl FnOnce(ContextLayer<Grpc>) -> ContextLayer<Grpc>,
    test: impl FnOnce(Witness) -> Test,
) -> World {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let (ctx, root) = Context::background().with_cancel();
    let witness = Witness::default();
    let layer = witness.watch(configure(context_layer(ctx)));
    let server = Server::builder().layer(layer).add_service(test(witness.clone()));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    World { at, root, witness }
}

/// Serves [`obedient`] handlers.
pub async fn serve() -> World {
    serve_under(|layer| layer, obedient).await
}

impl World {
    /// A channel to it, without any layer.
    pub async fn channel(&self) -> Channel {
        Endpoint::new(format!("http://{}", self.at)).unwrap().connect().await.unwrap()
    }
}

fn context_of(request: &Request<Bytes>) -> Result<Context, Status> {
    request.context().cloned().ok_or_else(|| Status::internal("no context in the extensions"))
}

/// Handlers that do what the message says.
///
/// | message     | unary                                        | stream                                  |
/// |-------------|----------------------------------------------|-----------------------------------------|
/// | `echo`      | the message                                  | the message, three times                |
/// | `remaining` | the nanoseconds left, or `-`                 |                                         |
/// | `stall`     | never answers, and does not look at anything | one message, then nothing               |
/// | `obey`      | waits for the context's end, says its status |                                         |
/// | `spawn`     | as `stall`, with a task below the context    |                                         |
/// | `drip`      |                                              | a message every 2 ms for ever           |
pub fn obedient(witness: Witness) -> Test {
    let streamed = witness.clone();
    Test::new(move |request| unary(request, witness.clone()), move |request| stream(request, streamed.clone()))
}

fn unary(request: Request<Bytes>, witness: Witness) -> Boxed<Result<Response<Bytes>, Status>> {
    let life = witness.handler();
    Box::pin(async move {
        let ctx = context_of(&request)?;
        let message = request.into_inner();
        let answer = match &message[..] {
            b"echo" => message,
            b"remaining" => match ctx.remaining() {
                Some(left) => left.as_nanos().to_string().into(),
                None => Bytes::from_static(b"-"),
            },
            b"stall" => std::future::pending().await,
            b"obey" => {
                ctx.done().await;
                return Err(status_of(&ctx).expect("it has ended"));
            }
            b"spawn" => {
                let (below, _handle) = ctx.with_cancel();
                let task = witness.handler();
                tokio::spawn(async move {
                    below.done().await;
                    drop(task);
                });
                std::future::pending().await
            }
            other => return Err(Status::invalid_argument(String::from_utf8_lossy(other))),
        };
        drop(life);
        Ok(Response::new(answer))
    })
}

fn stream(request: Request<Bytes>, witness: Witness) -> Boxed<Result<Response<Messages>, Status>> {
    Box::pin(async move {
        let ctx = context_of(&request)?;
        // In the stream until that is dropped, with the context.
        let kept = (ctx, witness.handler());
        let message = request.into_inner();
        let one = {
            let message = message.clone();
            move || Ok::<_, Status>(message.clone())
        };
        let messages: Messages = match &message[..] {
            b"echo" => Box::pin(tokio_stream::iter([one(), one(), one()]).map(move |item| {
                let _ = &kept;
                item
            })),
            b"stall" => Box::pin(tokio_stream::once(one()).chain(tokio_stream::pending()).map(move |item| {
                let _ = &kept;
                item
            })),
            b"drip" => Box::pin(tokio_stream::StreamExt::throttle(
                tokio_stream::iter(std::iter::repeat_with(move || {
                    let _ = &kept;
                    one()
                })),
                Duration::from_millis(2),
            )),
            other => return Err(Status::invalid_argument(String::from_utf8_lossy(other))),
        };
        Ok(Response::new(messages))
    })
}
