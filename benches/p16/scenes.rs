//! Whether what has to end does end: the rows of the table in [`life`](crate::life), played against each way.
//!
//! Nothing is asserted about how soon something ends, only that it does, and that it was not too early. Where something is to
//! end for one reason, the others are hours away.

use crate::life::{Life, Times};
use crate::proxy;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const SHORT: Duration = Duration::from_millis(150);
const HOURS: Duration = Duration::from_secs(10_000);
const NEVER: Times = Times { request: HOURS, attempt: HOURS, idle: HOURS };
const QUESTION: &[u8] = b"GET / HTTP/1.1\r\nhost: scene\r\n\r\n";
/// All of an answer but its last byte.
const CUT: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\nhello, proxy";

/// A proxy, a client of it, and its upstream, which is played by hand.
struct Stage<L: Life> {
    life: L,
    serving: JoinHandle<()>,
    client: TcpStream,
    origin: TcpListener,
}

impl<L: Life> Stage<L> {
    async fn new(times: Times) -> Stage<L> {
        let (listener, addr) = listen().await;
        let (origin, upstream) = listen().await;
        let life = L::server(times);
        let serving = tokio::spawn(proxy::serve(life.clone(), listener, upstream));
        let client = TcpStream::connect(addr).await.expect("it listens");
        Stage { life, serving, client, origin }
    }

    /// Asks, and returns the connection by which the upstream was asked.
    async fn ask(&mut self) -> TcpStream {
        self.client.write_all(QUESTION).await.expect("it reads");
        let (mut line, _) = self.origin.accept().await.expect("it asks");
        until_blank(&mut line).await;
        line
    }

    /// Asks, and is answered in full.
    async fn ask_and_hear(&mut self) -> TcpStream {
        let mut line = self.ask().await;
        line.write_all(CUT).await.expect("it reads");
        line.write_all(b"!").await.expect("it reads");
        let mut heard = Vec::new();
        while !heard.ends_with(b"hello, proxy!") {
            assert!(self.client.read_buf(&mut heard).await.expect("it answers") > 0, "closed");
        }
        line
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    (listener, addr)
}

/// A whole head without a body.
async fn until_blank(stream: &mut TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    while !heard.ends_with(b"\r\n\r\n") {
        assert!(stream.read_buf(&mut heard).await.expect("it speaks") > 0, "closed");
    }
    heard
}

/// Everything until the other side closes; a reset closes, too.
async fn until_closed(stream: &mut TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    while stream.read_buf(&mut heard).await.is_ok_and(|length| length > 0) {}
    heard
}

/// No head in time: 504, and the upstream is left.
async fn attempt<L: Life>() {
    let mut stage = Stage::<L>::new(Times { attempt: SHORT, ..NEVER }).await;
    let begun = Instant::now();
    let mut line = stage.ask().await;
    let heard = until_blank(&mut stage.client).await;
    assert!(heard.starts_with(b"HTTP/1.1 504"), "{}", String::from_utf8_lossy(&heard));
    assert!(begun.elapsed() >= SHORT, "too early");
    until_closed(&mut line).await;
}

/// A body that does not end in time is cut, and the upstream is left. The head's time does not count any more.
async fn body<L: Life>() {
    let times = Times { request: 2 * SHORT, attempt: SHORT, ..NEVER };
    let mut stage = Stage::<L>::new(times).await;
    let begun = Instant::now();
    let mut line = stage.ask().await;
    line.write_all(CUT).await.expect("it reads");
    let heard = until_closed(&mut stage.client).await;
    assert!(begun.elapsed() >= 2 * SHORT, "too early");
    assert!(heard.starts_with(b"HTTP/1.1 200") && heard.ends_with(b"hello, proxy"), "{heard:?}");
    until_closed(&mut line).await;
}

/// The client goes: the upstream is left, whether there is a head or not. It has asked for more before: so hyper, which sees a
/// client go when it reads on, has something else to read first.
async fn hang_up<L: Life>(head: bool) {
    let mut stage = Stage::<L>::new(NEVER).await;
    stage.client.write_all(QUESTION).await.expect("it reads");
    let mut line = stage.ask().await;
    if head {
        line.write_all(CUT).await.expect("it reads");
        until_blank_then(&mut stage.client).await;
    }
    drop(stage.client);
    until_closed(&mut line).await;
}

/// A head, and the first of what comes after it.
async fn until_blank_then(stream: &mut TcpStream) {
    let mut heard = Vec::new();
    while !heard.windows(4).any(|end| end == b"\r\n\r\n") {
        assert!(stream.read_buf(&mut heard).await.expect("it answers") > 0, "closed");
    }
}

/// A connection by which nothing comes at all.
async fn idle_from_the_start<L: Life>() {
    let begun = Instant::now();
    let mut stage = Stage::<L>::new(Times { idle: SHORT, ..NEVER }).await;
    assert!(until_closed(&mut stage.client).await.is_empty());
    assert!(begun.elapsed() >= SHORT, "too early");
}

/// A connection by which nothing comes after a request, which has pushed the end back.
async fn idle_again<L: Life>() {
    let mut stage = Stage::<L>::new(Times { request: 2 * SHORT, attempt: 2 * SHORT, idle: SHORT }).await;
    let begun = Instant::now();
    stage.ask_and_hear().await;
    assert!(until_closed(&mut stage.client).await.is_empty());
    assert!(begun.elapsed() >= 3 * SHORT, "too early");
}

/// The server ends: who is at work and who is idle, and the upstream connections of either.
async fn stop<L: Life>(at_work: bool) {
    let mut stage = Stage::<L>::new(NEVER).await;
    let mut line = if at_work { stage.ask().await } else { stage.ask_and_hear().await };
    stage.life.stop();
    until_closed(&mut stage.client).await;
    stage.serving.await.expect("no panic");
    until_closed(&mut line).await;
}

/// All of it. One that hangs has failed; whoever runs this says for how long to wait.
/// What is known of a request is known where it is asked.
async fn known<L: Life>() {
    let (listener, at) = listen().await;
    let stream = Arc::new(TcpStream::connect(at).await.expect("it listens"));
    let (_other, peer) = listener.accept().await.expect("somebody connects");
    let client = L::server(Times::default()).client(&stream, peer);
    for number in [7, 8] {
        assert_eq!(L::known(&L::request(&client, number).0), Some((peer, number)));
    }
}

pub(crate) async fn play<L: Life>() {
    known::<L>().await;
    attempt::<L>().await;
    body::<L>().await;
    hang_up::<L>(false).await;
    hang_up::<L>(true).await;
    idle_from_the_start::<L>().await;
    idle_again::<L>().await;
    stop::<L>(true).await;
    stop::<L>(false).await;
}
