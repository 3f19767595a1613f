//! Seeing the client go, as a future - while its socket is read and written by somebody else.
//!
//! An HTTP server finds out that its client has gone by reading. While a request is being answered it reads only as
//! long as nothing is buffered: a second request pipelined behind the first hides the hang-up until the first has been
//! answered, however long the upstream takes. So the socket itself is asked.
//!
//! # What counts as gone
//!
//! The client's FIN or RST. A FIN may also mean "I have said all I have to say" (`shutdown(SHUT_WR)`), and nothing
//! tells the two apart before something is written. Like most proxies, and like hyper unless told otherwise, this one
//! takes it for a good-bye.
//!
//! # Not here
//!
//! A client whose machine or network vanished: no packet says so. And a client that has sent ahead more than the
//! socket takes in: its FIN stands in line behind that. Deadlines end their requests.

use crate::cause::Why;
use socket2::SockRef;
use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// On Linux the kernel reports a hang-up beside the unread bytes (`EPOLLRDHUP`), and tokio keeps it. Interest in
/// priority data is the one that includes "closed for reading" and leaves out "readable", so it sleeps through them.
#[cfg(target_os = "linux")]
pub(crate) async fn hung_up(stream: Arc<TcpStream>) -> Why {
    while stream.ready(Interest::PRIORITY).await.is_ok_and(|ready| !ready.is_read_closed()) {}
    Why::ClientGone
}

/// Elsewhere unread bytes keep a socket ready, so it is looked at now and then while there are any.
#[cfg(not(target_os = "linux"))]
pub(crate) async fn hung_up(stream: Arc<TcpStream>) -> Why {
    const LOOK: std::time::Duration = std::time::Duration::from_millis(5);
    while stream.ready(Interest::READABLE).await.is_ok_and(|ready| !ready.is_read_closed()) {
        pause(&ripcord::Context::background(), LOOK).await;
    }
    Why::ClientGone
}

/// A little patience, cut short by the end of `ctx`.
pub(crate) async fn pause(ctx: &ripcord::Context, time: std::time::Duration) {
    ctx.with_timeout(time).0.into_done().await;
}

/// A stream to read and write while [`hung_up`] holds on to it as well.
#[derive(Debug)]
pub(crate) struct Shared(pub(crate) Arc<TcpStream>);

impl AsyncRead for Shared {
    fn poll_read(self: Pin<&mut Self>, task: &mut Task<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(task))?;
            match self.0.try_read_buf(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result.map(|_| ())),
            }
        }
    }
}

impl Shared {
    fn poll_send(
        &self,
        task: &mut Task<'_>,
        send: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(task))?;
            match send(&self.0) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }
}

impl AsyncWrite for Shared {
    fn poll_write(self: Pin<&mut Self>, task: &mut Task<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_send(task, |stream| stream.try_write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        task: &mut Task<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(task, |stream| stream.try_write_vectored(pieces))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<io::Result<()>> {
        match SockRef::from(&*self.0).shutdown(Shutdown::Write) {
            Err(error) if error.kind() != io::ErrorKind::NotConnected => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(())),
        }
    }
}
