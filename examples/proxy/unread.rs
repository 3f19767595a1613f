//! An answer that its client does not read.
//!
//! hyper asks a body for more when there is room for more. A body that is not asked cannot say that its request has ended,
//! and nothing that wraps bodies can: so it is said where the writing waits, at the socket. The connection is reset, not
//! closed: of a closed one the system would keep all that was written, for a client that may never take it.
//!
//! # Not here
//!
//! HTTP/2. A stream that is not read waits for its window, not for the socket, and hyper has no way to reset a stream from
//! outside. The upstream's side of it is let go at the deadline all the same; the stream itself stays until the client
//! resets it or the connection ends.

use ripcord::{Context, DoneOwned};
use socket2::SockRef;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context as Task, Poll};
use std::time::Duration;
use tokio::net::TcpStream;

/// The end of the request whose answer is being written, if one is: HTTP/1 has one at a time.
#[derive(Default)]
pub(crate) struct Writing(Mutex<Option<DoneOwned>>);

impl Writing {
    pub(crate) fn begin(&self, request: &Context) {
        let before = self.lock().replace(request.clone().into_done());
        drop(before);
    }

    pub(crate) fn end(&self) {
        let ended = self.lock().take();
        drop(ended);
    }

    /// There is no room in the socket. Ready when there is no more use in waiting for some.
    pub(crate) fn poll_given_up(&self, socket: &TcpStream, task: &mut Task<'_>) -> Poll<io::Error> {
        match self.lock().as_mut().map(|end| Pin::new(end).poll(task)) {
            Some(Poll::Ready(_)) => {
                let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
                Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "the client did not read its answer in time"))
            }
            Some(Poll::Pending) | None => Poll::Pending,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<DoneOwned>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
