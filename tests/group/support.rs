//! What the chapters share: a small executor, wakers that count, guards.

pub(crate) use crate::common::{block_on, eventually};
use ripcord::{Cause, Context, Group};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{self, Poll, Wake, Waker};
use std::thread;

pub(crate) type Fine = Result<(), Cause>;

/// A small executor: a few threads and a queue. It ends when it and all wakers of its tasks are gone.
pub(crate) struct Pool {
    send: mpsc::Sender<Arc<Job>>,
    threads: Vec<thread::JoinHandle<()>>,
}

pub(crate) struct Job {
    future: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    queued: AtomicBool,
    send: mpsc::Sender<Arc<Job>>,
}

impl Wake for Job {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, SeqCst) {
            let _ = self.send.clone().send(self);
        }
    }
}

impl Pool {
    pub(crate) fn new(threads: usize) -> Pool {
        let (send, receive) = mpsc::channel::<Arc<Job>>();
        let receive = Arc::new(Mutex::new(receive));
        let work = move || {
            let next = || receive.lock().unwrap().recv();
            while let Ok(job) = next() {
                job.queued.store(false, SeqCst);
                let mut future = job.future.lock().unwrap();
                let waker = Waker::from(Arc::clone(&job));
                let mut cx = task::Context::from_waker(&waker);
                if future.as_mut().is_some_and(|future| future.as_mut().poll(&mut cx).is_ready()) {
                    *future = None;
                }
            }
        };
        let threads = (0..threads).map(|_| thread::spawn(work.clone())).collect();
        Pool { send, threads }
    }

    pub(crate) fn spawn(&self, future: impl Future<Output: Send> + Send + 'static) {
        let future = Mutex::new(Some(Box::pin(async { drop(future.await) }) as Pin<Box<_>>));
        Arc::new(Job { future, queued: AtomicBool::new(false), send: self.send.clone() }).wake();
    }

    pub(crate) fn finish(self) {
        drop(self.send);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

/// Counts wake-ups.
#[derive(Default)]
pub(crate) struct Wakes(pub(crate) AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

pub(crate) fn poll_with<F: Future>(future: Pin<&mut F>, wakes: &Arc<Wakes>) -> Poll<F::Output> {
    future.poll(&mut task::Context::from_waker(&Waker::from(Arc::clone(wakes))))
}

pub(crate) fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut task::Context::from_waker(Waker::noop()))
}

/// Gives way to other tasks once.
pub(crate) async fn give_way() {
    let mut again = false;
    poll_fn(|cx| {
        cx.waker().wake_by_ref();
        if std::mem::replace(&mut again, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// How many are inside at once, and the most that ever were.
#[derive(Default)]
pub(crate) struct Crowd {
    inside: AtomicUsize,
    pub(crate) most: AtomicUsize,
    pub(crate) all: AtomicUsize,
}

impl Crowd {
    pub(crate) fn enter(&self) {
        self.most.fetch_max(self.inside.fetch_add(1, SeqCst) + 1, SeqCst);
        self.all.fetch_add(1, SeqCst);
    }

    pub(crate) fn leave(&self) {
        self.inside.fetch_sub(1, SeqCst);
    }
}

/// Tells when it is dropped.
pub(crate) struct Dropped(pub(crate) Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

pub(crate) fn group() -> Group {
    Group::new(&Context::background())
}

pub(crate) fn text(result: Result<(), Cause>) -> String {
    result.expect_err("the group failed").to_string()
}

/// Does something at the end of a block, also of one that unwinds.
pub(crate) fn scopeguard<F: FnMut()>(f: F) -> impl Drop {
    struct Guard<F: FnMut()>(F);
    impl<F: FnMut()> Drop for Guard<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }
    Guard(f)
}
