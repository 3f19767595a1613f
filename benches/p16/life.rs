//! What ends things, three ways: nothing, contexts, or tokens with tokio's timers. All else is the same code.
//!
//! | what has to end                               | bare | contexts                     | tokens                          |
//! |-----------------------------------------------|------|------------------------------|---------------------------------|
//! | everything, with the server                   | -    | the root of the tree         | the root token                  |
//! | a connection that is idle                     | -    | a deadline, moved            | a sleep, looked at when it ends |
//! | its requests, when the client hangs up        | drop | a foreign parent             | a branch of `select!`           |
//! | a request, body included, after its time      | -    | a child with a deadline      | a child token and a sleep       |
//! | an attempt to get a response head             | -    | the same deadline, moved     | `timeout` in `select!`          |
//! | the upstream connection, when its request ends| drop | drop, or a function          | drop                            |
//!
//! The last row: what is dropped waits for the client to read. Contexts that are tied do more, by a function on the
//! request's end; `tokio-util` has nothing for it but a task for each request.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context as Task, Poll};
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::net::TcpStream;

pub(crate) const TIMEOUT: Duration = Duration::from_secs(2);
pub(crate) const ATTEMPT: Duration = Duration::from_millis(1500);
pub(crate) const IDLE: Duration = Duration::from_secs(60);

/// Ended before its time.
#[derive(Debug)]
pub(crate) struct Ended;

pub(crate) trait Life: Clone + Send + Sync + 'static {
    /// Of a client's connection.
    type Client: Clone + Send + Sync + 'static;
    /// Of a request.
    type Request: Send + Sync + 'static;
    /// Of an upstream connection.
    type Line: Clone + Send + Sync + 'static;
    /// Between a request and the connection that it has borrowed.
    type Tie: Send + Sync + 'static;

    fn server() -> Self;
    fn client(&self, stream: &Arc<TcpStream>) -> Self::Client;
    /// Runs the connection as long as it may live.
    fn serve<F: Future + Send>(
        client: Self::Client,
        stream: Arc<TcpStream>,
        connection: F,
    ) -> impl Future<Output = ()> + Send;
    fn request(client: &Self::Client) -> Self::Request;
    fn attempt<F: Future + Send>(
        request: &Self::Request,
        future: Pin<&mut F>,
    ) -> impl Future<Output = Result<F::Output, Ended>> + Send;
    /// Whether the request has ended.
    fn is_over(request: &Self::Request) -> bool;
    /// The same, when there is nothing else to do; wakes when it does end.
    fn poll_end(request: &mut Self::Request, task: &mut Task<'_>) -> Poll<()>;
    fn done(client: &Self::Client);
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
    type Line = ();
    type Tie = ();

    fn server() -> Bare {
        Bare
    }
    fn client(&self, _: &Arc<TcpStream>) {}
    async fn serve<F: Future + Send>(_: (), _: Arc<TcpStream>, connection: F) {
        connection.await;
    }
    fn request(_: &()) {}
    async fn attempt<F: Future + Send>(_: &(), future: Pin<&mut F>) -> Result<F::Output, Ended> {
        Ok(future.await)
    }
    fn is_over(_: &()) -> bool {
        false
    }
    fn poll_end(_: &mut (), _: &mut Task<'_>) -> Poll<()> {
        Poll::Pending
    }
    fn done(_: &()) {}
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
    use ripcord::{AfterFunc, CancelHandle, Context, DoneOwned};

    /// With `TIED`, the end of a request closes the upstream connection from outside.
    #[derive(Clone)]
    pub(crate) struct Contexts<const TIED: bool> {
        server: Context,
        _stop: CancelHandle,
    }

    #[derive(Clone)]
    pub(crate) struct Client {
        ctx: Context,
        idle: CancelHandle,
    }

    pub(crate) struct Request {
        ctx: Context,
        handle: CancelHandle,
        until: Instant,
        /// Made when it is waited for.
        done: Option<DoneOwned>,
    }

    impl<const TIED: bool> Life for Contexts<TIED> {
        type Client = Client;
        type Request = Request;
        type Line = CancelHandle;
        type Tie = Option<AfterFunc>;

        fn server() -> Self {
            let (server, stop) = Context::background().with_cancel();
            Contexts { server, _stop: stop }
        }

        fn client(&self, stream: &Arc<TcpStream>) -> Client {
            let (ctx, idle) = self.server.with_timeout_cause(IDLE, "idle");
            let gone = hung_up(Arc::clone(stream));
            let (ctx, _) = ctx.with_cancel_on(async {
                gone.await;
                "the client has gone"
            });
            Client { ctx, idle }
        }

        async fn serve<F: Future + Send>(client: Client, _: Arc<TcpStream>, connection: F) {
            let _ = client.ctx.run(connection).await;
        }

        fn request(client: &Client) -> Request {
            client.idle.reset_timeout(TIMEOUT + IDLE);
            let now = Instant::now();
            let (ctx, handle) = client.ctx.with_deadline(now + ATTEMPT);
            Request { ctx, handle, until: now + TIMEOUT, done: None }
        }

        async fn attempt<F: Future + Send>(request: &Request, future: Pin<&mut F>) -> Result<F::Output, Ended> {
            let head = request.ctx.run(future).await.map_err(|_| Ended)?;
            // There is a head: the time of the whole request holds from here.
            if request.handle.reset_deadline(request.until) { Ok(head) } else { Err(Ended) }
        }

        fn is_over(request: &Request) -> bool {
            request.ctx.is_done()
        }

        fn poll_end(request: &mut Request, task: &mut Task<'_>) -> Poll<()> {
            let done = request.done.get_or_insert_with(|| request.ctx.clone().into_done());
            Pin::new(done).poll(task).map(|_| ())
        }

        fn done(client: &Client) {
            client.idle.reset_timeout(IDLE);
        }

        fn line(&self) -> CancelHandle {
            self.server.with_cancel().1
        }

        async fn keep<F: Future + Send>(line: CancelHandle, connection: F) {
            let ctx = line.context().clone();
            drop(line);
            let _ = ctx.run(connection).await;
        }

        fn tie(request: &Request, line: &CancelHandle) -> Option<AfterFunc> {
            TIED.then(|| {
                let line = line.clone();
                request.ctx.after_func(move || line.cancel_cause("the exchange was given up"))
            })
        }

        fn untie(tie: Option<AfterFunc>) -> bool {
            tie.is_none_or(|tie| tie.stop())
        }
    }
}

pub(crate) mod tokens {
    use super::*;
    use tokio::time::{Sleep, sleep, sleep_until, timeout};
    use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

    #[derive(Clone)]
    pub(crate) struct Tokens(CancellationToken);

    #[derive(Clone)]
    pub(crate) struct Client {
        token: CancellationToken,
        /// When it is idle for too long, in milliseconds from `zero`.
        idle: Arc<AtomicU64>,
        zero: Instant,
    }

    pub(crate) struct Request {
        token: CancellationToken,
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
        fn push_back(&self, time: Duration) {
            self.idle.store((self.zero.elapsed() + time).as_millis() as u64, Relaxed);
        }
    }

    impl Life for Tokens {
        type Client = Client;
        type Request = Request;
        type Line = ();
        type Tie = ();

        fn server() -> Tokens {
            Tokens(CancellationToken::new())
        }

        fn client(&self, _: &Arc<TcpStream>) -> Client {
            let client = Client { token: self.0.child_token(), idle: Arc::default(), zero: Instant::now() };
            client.push_back(IDLE);
            client
        }

        async fn serve<F: Future + Send>(client: Client, stream: Arc<TcpStream>, connection: F) {
            let Client { token, idle, zero } = client;
            let mut too_long = pin!(sleep(IDLE));
            let mut connection = pin!(connection);
            let mut gone = pin!(hung_up(stream));
            // What goes with the connection goes with its token.
            let _guard = token.clone().drop_guard();
            loop {
                tokio::select! {
                    biased;
                    () = token.cancelled() => return,
                    () = &mut gone => return,
                    () = &mut too_long => {
                        let until = zero + Duration::from_millis(idle.load(Relaxed));
                        if until <= Instant::now() {
                            return;
                        }
                        too_long.set(sleep_until(until.into()));
                    }
                    _ = &mut connection => return,
                }
            }
        }

        fn request(client: &Client) -> Request {
            client.push_back(TIMEOUT + IDLE);
            Request { token: client.token.child_token(), until: Instant::now() + TIMEOUT, ends: None }
        }

        async fn attempt<F: Future + Send>(request: &Request, future: Pin<&mut F>) -> Result<F::Output, Ended> {
            tokio::select! {
                biased;
                () = request.token.cancelled() => Err(Ended),
                head = timeout(ATTEMPT, future) => head.map_err(|_| Ended),
            }
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

        fn done(client: &Client) {
            client.push_back(IDLE);
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
