//! The one deadline of a connection. It means something else in each phase, and is moved when the phase changes: one store.
//!
//! ```text
//! idle  --first byte of a head-->  head  --request-->  busy  --last request ends-->  idle
//! ```
//!
//! A client that drips a head byte by byte does not push it back: the head as a whole has its time. A head that comes whole, as
//! nearly all do, never has a time of its own: it begins where the reading waits for more of it.
//!
//! Whoever moves it says what time it is, and a request asks the clock once when it begins and once when it ends.

use crate::socket::Shared;
use crate::unread::{self, Writing};
use ripcord::CancelHandle;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::{Context as Task, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How an HTTP/2 connection begins. Later its bytes need not be about requests, so it has no phase "head".
const PREFACE: &[u8] = b"PRI ";

pub(crate) struct Pace {
    handle: CancelHandle,
    times: Times,
    /// Requests under way: many at once on HTTP/2.
    busy: AtomicUsize,
    /// Some of a head has come.
    reading: AtomicBool,
    /// And has a time of its own.
    timed: AtomicBool,
    known: AtomicBool,
    h2: AtomicBool,
}

/// What each phase may take.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Times {
    pub(crate) idle: Duration,
    pub(crate) head: Duration,
    pub(crate) busy: Duration,
}

impl Pace {
    /// The deadline is taken to be set to the idle time.
    pub(crate) fn new(handle: CancelHandle, times: Times) -> Arc<Pace> {
        let (busy, no) = (AtomicUsize::new(0), || AtomicBool::new(false));
        Arc::new(Pace { handle, times, busy, reading: no(), timed: no(), known: no(), h2: no() })
    }

    /// A request. False: the connection's time was over.
    pub(crate) fn begin(&self, now: Instant) -> bool {
        self.busy.fetch_add(1, SeqCst);
        self.reading.store(false, SeqCst);
        self.timed.store(false, SeqCst);
        self.move_to(now, self.times.busy)
    }

    /// A request has ended, response and all. False: the connection's time was over.
    pub(crate) fn end(&self, now: Instant) -> bool {
        if self.busy.fetch_sub(1, SeqCst) > 1 {
            return true;
        }
        let live = self.move_to(now, self.times.idle);
        // One that began in between has had its time overwritten.
        if self.busy.load(SeqCst) > 0 { self.move_to(now, self.times.busy) } else { live }
    }

    /// So long from `now`. What is too long to express is no limit.
    fn move_to(&self, now: Instant, time: Duration) -> bool {
        now.checked_add(time).map_or_else(|| self.handle.reset_timeout(time), |at| self.handle.reset_deadline(at))
    }

    /// Something was read.
    fn heard(&self, bytes: &[u8]) {
        if !self.known.load(SeqCst) && !self.known.swap(true, SeqCst) && bytes.starts_with(PREFACE) {
            self.h2.store(true, SeqCst);
        }
        if self.busy.load(SeqCst) == 0 && !self.h2.load(SeqCst) {
            self.reading.store(true, SeqCst);
        }
    }

    /// There is nothing more to read.
    fn waits(&self) {
        if self.reading.load(SeqCst) && !self.timed.swap(true, SeqCst) {
            self.handle.reset_timeout(self.times.head);
        }
    }
}

/// A client's stream, which tells its pace what it hears, and waits no longer to write an answer than there is time for it.
pub(crate) struct Paced {
    pub(crate) io: Shared,
    pub(crate) pace: Arc<Pace>,
    pub(crate) writing: Arc<Writing>,
}

impl Paced {
    fn or_given_up(&self, written: Poll<io::Result<usize>>, task: &mut Task<'_>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Pending => self.writing.poll_ended(task).map(|()| Err(unread::give_up(&self.io.0))),
            ready => ready,
        }
    }
}

impl AsyncRead for Paced {
    fn poll_read(mut self: Pin<&mut Self>, task: &mut Task<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.io).poll_read(task, buf);
        if read.is_pending() {
            self.pace.waits();
        }
        ready!(read)?;
        if buf.filled().len() > before {
            self.pace.heard(&buf.filled()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Paced {
    fn poll_write(mut self: Pin<&mut Self>, task: &mut Task<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(task, bytes);
        self.or_given_up(written, task)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        task: &mut Task<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(task, pieces);
        self.or_given_up(written, task)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(task)
    }
}
