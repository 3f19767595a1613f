//! What ends things, three ways: nothing, contexts, or tokens with tokio's timers. All else is the same code.
//!
//! | what has to end                               | bare | contexts                     | tokens                          |
//! |-----------------------------------------------|------|------------------------------|---------------------------------|
//! | everything, with the server                   | -    | the root of the tree         | the root token                  |
//! | a connection that is idle                     | -    | a deadline, moved            | a sleep, looked at when it ends |
//! | its requests, when the client hangs up        | drop | a foreign parent             | a task of its own               |
//! | a request, body included, after its time      | -    | a child with a deadline      | a child token and a sleep       |
//! | an attempt to get a response head             | -    | the same deadline, moved     | a sleep                         |
//! | the upstream connection, when its request ends| drop | drop, or a function          | drop                            |
//! | what is known of a request, where it is asked | -    | two values                   | fields, handed on               |
//!
//! The last row but one: what is dropped waits for the client to read. Contexts that are tied do more, by a function on the
//! request's end; `tokio-util` has nothing for it but a task for each request. `scenes` looks whether all of this happens.
//!
//! Each request reads the clock once. A connection is idle when the time of its last request, had it used all of it, is over by
//! [`Times::idle`]: so the request that comes pushes that end back, and nothing is left to do for it when the answer is out.

use std::fmt::Debug;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context as Task, Poll};
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::net::TcpStream;

#[derive(Copy, Clone, Debug)]
pub(crate) struct Times {
    /// For a request, body included.
    pub(crate) request: Duration,
    /// To get a response head.
    pub(crate) attempt: Duration,
    pub(crate) idle: Duration,
}

impl Default for Times {
    fn default() -> Times {
        Times { request: Duration::from_secs(2), attempt: Duration::from_millis(1500), idle: Duration::from_secs(60) }
    }
}

pub(crate) trait Life: Clone + Send + Sync + 'static {
    /// Of a client's connection.
    type Client: Clone + Send + Sync + 'static;
    /// Of a request.
    type Request: Send + Sync + 'static;
    /// What it needs besides until there is a head.
    type Attempt: Send + Sync + 'static;
    /// Of an upstream connection.
    type Line: Clone + Send + Sync + 'static;
    /// Between a request and the connection that it has borrowed.
    type Tie: Send + Sync + 'static;
    /// Ended before its time.
    type Ended: Debug + Send + 'static;

    fn server(times: Times) -> Self;
    fn stop(&self);
    /// Runs what the server does by itself, as long as it may live.
    fn accept<F: Future + Send>(&self, future: F) -> impl Future<Output = Result<F::Output, Self::Ended>> + Send;
    fn client(&self, stream: &Arc<TcpStream>, peer: SocketAddr) -> Self::Client;
    /// Runs the connection as long as it may live.
    fn serve<F: Future + Send>(
        client: Self::Client,
        stream: Arc<TcpStream>,
        connection: F,
    ) -> impl Future<Output = ()> + Send;
    fn request(client: &Self::Client, number: u64) -> (Self::Request, Self::Attempt);
    /// Whose request it is, and which.
    fn known(request: &Self::Request) -> Option<(SocketAddr, u64)>;
    fn attempt<F: Future + Send>(
        request: &Self::Request,
        attempt: &Self::Attempt,
        future: Pin<&mut F>,
    ) -> impl Future<Output = Result<F::Output, Self::Ended>> + Send;
    /// There is a head: the time of the whole request holds from here. False: that is over.
    fn has_head(request: &Self::Request, attempt: Self::Attempt) -> bool;
    /// Whether the request has ended.
    fn is_over(request: &Self::Request) -> bool;
    /// The same, when there is nothing else to do; wakes when it does end.
    fn poll_end(request: &mut Self::Request, task: &mut Task<'_>) -> Poll<()>;
    fn line(&self) -> Self::Line;
    /// Runs an upstream connection as long as it may live.
    fn keep<F: Future + Send>(line: Self::Line, connection: F) -> impl Future<Output = ()> + Send;
    fn tie(request: &Self::Request, line: &Self::Line) -> Self::Tie;
    /// False: too late, the request has ended the connection.
    fn untie(tie: Self::Tie) -> bool;
}

/// See the example proxy.
async fn hung_up(stream: Arc<TcpStream>) {
    while stream.ready(Interest::PRIORITY).await.is_ok_and(|ready| !ready.is_read_closed()) {}
}

/// Nothing ends but what is dropped.
#[derive(Clone)]
pub(crate) struct Bare;

impl Life for Bare {
    type Client = ();
    type Request = ();
    type Attempt = ();
    type Line = ();
    type Tie = ();
    type Ended = ();

    fn server(_: Times) -> Bare {
        Bare
    }
    fn stop(&self) {}
    async fn accept<F: Future + Send>(&self, future: F) -> Result<F::Output, ()> {
        Ok(future.await)
    }
    fn client(&self, _: &Arc<TcpStream>, _: SocketAddr) {}
    async fn serve<F: Future + Send>(_: (), _: Arc<TcpStream>, connection: F) {
        connection.await;
    }
    fn request(_: &(), _: u64) -> ((), ()) {
        ((), ())
    }
    fn known(_: &()) -> Option<(SocketAddr, u64)> {
        None
    }
    async fn attempt<F: Future + Send>(_: &(), _: &(), future: Pin<&mut F>) -> Result<F::Output, ()> {
        Ok(future.await)
    }
    fn has_head(_: &(), _: ()) -> bool {
        true
    }
    fn is_over(_: &()) -> bool {
        false
    }
    fn poll_end(_: &mut (), _: &mut Task<'_>) -> Poll<()> {
        Poll::Pending
    }
    fn line(&self) {}
    async fn keep<F: Future + Send>(_: (), connection: F) {
        connection.await;
    }
    fn tie(_: &(), _: &()) {}
    fn untie(_: ()) -> bool {
        true
    }
}

pub(crate) mod contexts {
    use super::*;
    use ripcord::{AfterFunc, CancelHandle, Context, DoneOwned, Error};

    /// With `TIED`, the end of a request closes the upstream connection from outside.
    #[derive(Clone)]
    pub(crate) struct Contexts<const TIED: bool> {
        server: Context,
        stop: CancelHandle,
        times: Times,
    }

    #[derive(Clone)]
    pub(crate) struct Client {
        ctx: Context,
        idle: CancelHandle,
        times: Times,
    }

    struct Peer(SocketAddr);
    struct Number(u64);

    pub(crate) struct Request {
        handle: CancelHandle,
        /// Made when it is waited for: that is rare, and what is held moves with the response.
        done: Option<Box<DoneOwned>>,
    }

    impl<const TIED: bool> Life for Contexts<TIED> {
        type Client = Client;
        type Request = Request;
        /// When the time of the whole request is over.
        type Attempt = Instant;
        type Line = Option<CancelHandle>;
        type Tie = Option<AfterFunc>;
        type Ended = Error;

        fn server(times: Times) -> Self {
            let (server, stop) = Context::background().with_cancel();
            Contexts { server, stop, times }
        }

        fn stop(&self) {
            self.stop.cancel();
        }

        fn accept<F: Future + Send>(&self, future: F) -> impl Future<Output = Result<F::Output, Error>> + Send {
            self.server.run(future)
        }

        fn client(&self, stream: &Arc<TcpStream>, peer: SocketAddr) -> Client {
            let (ctx, idle) = self.server.with_value(Peer(peer)).with_timeout_cause(self.times.idle, "idle");
            let gone = hung_up(Arc::clone(stream));
            let (ctx, _) = ctx.with_cancel_on(async {
                gone.await;
                "the client has gone"
            });
            Client { ctx, idle, times: self.times }
        }

        async fn serve<F: Future + Send>(client: Client, _: Arc<TcpStream>, connection: F) {
            let _ = client.ctx.run(connection).await;
        }

        #[inline(never)]
        fn request(client: &Client, number: u64) -> (Request, Instant) {
            let now = Instant::now();
            let until = now + client.times.request;
            client.idle.reset_deadline(until + client.times.idle);
            let (_, handle) = client.ctx.with_value(Number(number)).with_deadline(now + client.times.attempt);
            (Request { handle, done: None }, until)
        }

        fn known(request: &Request) -> Option<(SocketAddr, u64)> {
            let ctx = request.handle.context();
            Some((ctx.value::<Peer>()?.0, ctx.value::<Number>()?.0))
        }

        fn attempt<F: Future + Send>(
            request: &Request,
            _: &Instant,
            future: Pin<&mut F>,
        ) -> impl Future<Output = Result<F::Output, Error>> + Send {
            request.handle.context().run(future)
        }

        fn has_head(request: &Request, until: Instant) -> bool {
            request.handle.reset_deadline(until)
        }

        fn is_over(request: &Request) -> bool {
            request.handle.context().is_done()
        }

        fn poll_end(request: &mut Request, task: &mut Task<'_>) -> Poll<()> {
            let done = request.done.get_or_insert_with(|| Box::new(request.handle.context().clone().into_done()));
            Pin::new(done).poll(task).map(|_| ())
        }

        fn line(&self) -> Option<CancelHandle> {
            TIED.then(|| self.server.with_cancel().1)
        }

        async fn keep<F: Future + Send>(line: Option<CancelHandle>, connection: F) {
            let Some(line) = line else {
                connection.await;
                return;
            };
            let ctx = line.context().clone();
            drop(line);
            let _ = ctx.run(connection).await;
        }

        fn tie(request: &Request, line: &Option<CancelHandle>) -> Option<AfterFunc> {
            let line = line.clone()?;
            Some(request.handle.context().after_func(move || line.cancel_cause("the exchange was given up")))
        }

        fn untie(tie: Option<AfterFunc>) -> bool {
            tie.is_none_or(|tie| tie.stop())
        }
    }
}

pub(crate) mod tokens {
    use super::*;
    use tokio::time::{Sleep, sleep, sleep_until};
    use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

    #[derive(Clone)]
    pub(crate) struct Tokens {
        server: CancellationToken,
        times: Times,
    }

    #[derive(Clone)]
    pub(crate) struct Client {
        token: CancellationToken,
        /// When it is idle for too long, in nanoseconds from `zero`.
        idle: Arc<AtomicU64>,
        zero: Instant,
        times: Times,
        peer: SocketAddr,
    }

    pub(crate) struct Request {
        token: CancellationToken,
        known: (SocketAddr, u64),
        until: Instant,
        /// Made when they are waited for.
        ends: Option<Pin<Box<Ends>>>,
    }

    pin_project_lite::pin_project! {
        struct Ends {
            #[pin]
            canceled: WaitForCancellationFutureOwned,
            #[pin]
            deadline: Sleep,
        }
    }

    impl Client {
        fn push_back(&self, idle: Instant) {
            self.idle.store((idle - self.zero).as_nanos() as u64, Relaxed);
        }

        /// Cancels the token when the client hangs up or is idle. Not beside the connection, which would poll both of
        /// them at each of its own wake-ups.
        async fn watch(self, stream: Arc<TcpStream>) {
            // What goes with the connection goes with its token.
            let _guard = self.token.clone().drop_guard();
            let too_long = async {
                sleep(self.times.idle).await;
                loop {
                    let until = self.zero + Duration::from_nanos(self.idle.load(Relaxed));
                    if until <= Instant::now() {
                        return;
                    }
                    sleep_until(until.into()).await;
                }
            };
            tokio::select! {
                biased;
                () = self.token.cancelled() => {}
                () = hung_up(stream) => {}
                () = too_long => {}
            }
        }
    }

    impl Life for Tokens {
        type Client = Client;
        type Request = Request;
        /// When the time to get a head is over.
        type Attempt = Instant;
        type Line = ();
        type Tie = ();
        type Ended = ();

        fn server(times: Times) -> Tokens {
            Tokens { server: CancellationToken::new(), times }
        }

        fn stop(&self) {
            self.server.cancel();
        }

        async fn accept<F: Future + Send>(&self, future: F) -> Result<F::Output, ()> {
            self.server.run_until_cancelled(future).await.ok_or(())
        }

        fn client(&self, _: &Arc<TcpStream>, peer: SocketAddr) -> Client {
            let zero = Instant::now();
            let client =
                Client { token: self.server.child_token(), idle: Arc::default(), zero, times: self.times, peer };
            client.push_back(zero + self.times.idle);
            client
        }

        async fn serve<F: Future + Send>(client: Client, stream: Arc<TcpStream>, connection: F) {
            let token = client.token.clone();
            // Ends the watch.
            let _guard = token.clone().drop_guard();
            tokio::spawn(client.watch(stream));
            token.run_until_cancelled(connection).await;
        }

        #[inline(never)]
        fn request(client: &Client, number: u64) -> (Request, Instant) {
            let now = Instant::now();
            let until = now + client.times.request;
            client.push_back(until + client.times.idle);
            let known = (client.peer, number);
            (Request { token: client.token.child_token(), known, until, ends: None }, now + client.times.attempt)
        }

        fn known(request: &Request) -> Option<(SocketAddr, u64)> {
            Some(request.known)
        }

        async fn attempt<F: Future + Send>(
            request: &Request,
            until: &Instant,
            future: Pin<&mut F>,
        ) -> Result<F::Output, ()> {
            tokio::select! {
                biased;
                () = request.token.cancelled() => Err(()),
                () = sleep_until((*until).into()) => Err(()),
                head = future => Ok(head),
            }
        }

        fn has_head(request: &Request, _: Instant) -> bool {
            !request.token.is_cancelled()
        }

        fn is_over(request: &Request) -> bool {
            request.token.is_cancelled()
        }

        fn poll_end(request: &mut Request, task: &mut Task<'_>) -> Poll<()> {
            let ends = request.ends.get_or_insert_with(|| {
                Box::pin(Ends {
                    canceled: request.token.clone().cancelled_owned(),
                    deadline: sleep_until(request.until.into()),
                })
            });
            let ends = ends.as_mut().project();
            if ends.canceled.poll(task).is_ready() {
                return Poll::Ready(());
            }
            ends.deadline.poll(task)
        }

        fn line(&self) {}
        async fn keep<F: Future + Send>(_: (), connection: F) {
            connection.await;
        }
        fn tie(_: &Request, _: &()) {}
        fn untie(_: ()) -> bool {
            true
        }
    }
}
