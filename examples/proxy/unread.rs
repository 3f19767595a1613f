//! An answer that its client does not read.
//!
//! hyper asks a body for more when there is room for more. A body that is not asked cannot say that its request has ended,
//! and nothing that wraps bodies can. So the end is listened for where the writing waits:
//!
//! | protocol | what waits                            | what ends it                                               |
//! |----------|---------------------------------------|------------------------------------------------------------|
//! | HTTP/1   | a write, for room in the socket       | an error of the write: [`Paced`](crate::pace::Paced)       |
//! | HTTP/2   | a stream's task, for the stream's window | its drop, which resets the stream: [`Streams`]          |
//!
//! The body goes first: one that is asked ends by itself, and the waiting with it.

use hyper::rt::Executor;
use ripcord::{Context, DoneOwned};
use socket2::SockRef;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as Task, Poll};
use std::time::Duration;
use tokio::net::TcpStream;

tokio::task_local! {
    /// What the task writes: that of a connection for HTTP/1, that of a stream for HTTP/2.
    static WRITING: Arc<Writing>;
}

/// The end of the request whose answer a task is writing, if it is: one at a time.
#[derive(Default)]
pub(crate) struct Writing(Mutex<Option<DoneOwned>>);

/// A task that may write answers.
pub(crate) fn task<F: Future>(future: F) -> impl Future<Output = F::Output> {
    WRITING.scope(Arc::default(), future)
}

/// That of the task which this is called by.
pub(crate) fn current() -> Arc<Writing> {
    WRITING.with(Arc::clone)
}

impl Writing {
    pub(crate) fn begin(&self, request: &Context) {
        let before = self.lock().replace(request.clone().into_done());
        drop(before);
    }

    pub(crate) fn end(&self) {
        let ended = self.lock().take();
        drop(ended);
    }

    /// Ready when an answer is being written whose request has ended.
    pub(crate) fn poll_ended(&self, task: &mut Task<'_>) -> Poll<()> {
        match self.lock().as_mut() {
            Some(end) => Pin::new(end).poll(task).map(|_| ()),
            None => Poll::Pending,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<DoneOwned>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error of a write that has waited long enough. The connection is going to be reset: of one that is closed the system
/// keeps what was written, for a client that may never take it.
pub(crate) fn give_up(socket: &TcpStream) -> io::Error {
    let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
    io::Error::new(io::ErrorKind::TimedOut, "the client did not read its answer in time")
}

/// What runs hyper's streams.
#[derive(Clone)]
pub(crate) struct Streams;

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        tokio::spawn(task(async {
            let writing = current();
            let mut stream = pin!(stream);
            poll_fn(|task| match stream.as_mut().poll(task) {
                Poll::Pending => writing.poll_ended(task),
                Poll::Ready(()) => Poll::Ready(()),
            })
            .await;
        }));
    }
}
