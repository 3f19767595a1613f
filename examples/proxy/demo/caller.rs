//! Callers: one that keeps to the rules, and one that need not.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// A keep-alive connection.
pub(crate) struct Caller {
    sender: SendRequest<Full<Bytes>>,
    connection: JoinHandle<()>,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// The body came to its proper end.
    pub(crate) whole: bool,
    pub(crate) took: Duration,
}

impl Caller {
    pub(crate) async fn dial(addr: SocketAddr) -> io::Result<Caller> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let connection = tokio::spawn(async move {
            // A broken connection shows in the answer.
            let _ = connection.await;
        });
        Ok(Caller { sender, connection })
    }

    pub(crate) async fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.call("GET", path, Bytes::new()).await
    }

    pub(crate) async fn call(&mut self, method: &str, path: &str, body: Bytes) -> io::Result<Answer> {
        let asked = Instant::now();
        let request = Request::builder().method(method).uri(path).header("host", "demo").body(Full::new(body));
        self.sender.ready().await.map_err(io::Error::other)?;
        let response = self.sender.send_request(request.map_err(io::Error::other)?).await.map_err(io::Error::other)?;
        let status = response.status().as_u16();
        let mut incoming = response.into_body();
        let mut body = Vec::new();
        let whole = loop {
            match incoming.frame().await {
                Some(Ok(frame)) => body.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data)),
                Some(Err(_)) => break false,
                None => break true,
            }
        };
        Ok(Answer { status, body, whole, took: asked.elapsed() })
    }

    /// Until the other side closes.
    pub(crate) async fn closed(self) {
        let Caller { sender, connection } = self;
        let _ = connection.await;
        drop(sender);
    }
}

/// How a client goes.
#[derive(Copy, Clone, PartialEq)]
pub(crate) enum Leave {
    /// FIN, and nobody there.
    Close,
    /// RST.
    Reset,
    /// FIN, and somebody who would still read.
    HalfClose,
}

/// A connection to write any bytes to, and to leave at any time.
pub(crate) struct Raw(TcpStream);

impl Raw {
    pub(crate) async fn dial(addr: SocketAddr) -> io::Result<Raw> {
        Ok(Raw(TcpStream::connect(addr).await?))
    }

    pub(crate) async fn say(&mut self, text: &str) -> io::Result<()> {
        self.0.write_all(text.as_bytes()).await
    }

    /// Whatever comes first, at most `most` bytes of it.
    pub(crate) async fn hear(&mut self, most: usize) -> io::Result<Vec<u8>> {
        let mut heard = vec![0; most];
        let length = self.0.read(&mut heard).await?;
        heard.truncate(length);
        Ok(heard)
    }

    /// Everything until the other side closes.
    pub(crate) async fn hear_all(&mut self) -> io::Result<String> {
        let mut heard = String::new();
        self.0.read_to_string(&mut heard).await?;
        Ok(heard)
    }

    /// Goes, and says when. What is left of the connection stays as it is for as long as it is kept.
    pub(crate) fn leave(self, how: Leave) -> io::Result<(Instant, Option<Raw>)> {
        let socket = SockRef::from(&self.0);
        if how == Leave::Reset {
            socket.set_linger(Some(Duration::ZERO))?;
        }
        let at = Instant::now();
        if how == Leave::HalfClose {
            socket.shutdown(Shutdown::Write)?;
            return Ok((at, Some(self)));
        }
        drop(self);
        Ok((at, None))
    }
}
