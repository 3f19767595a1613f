//! The real thing beside the model: what the script holds of both.
#![cfg(not(feature = "loom"))]

use super::blast::{Bomb, Fuse, Fuses, Who};
use super::clock::{self, Clock};
use super::model::{End, Id, Model, Work};
use crate::common::*;
use ripcord::{AfterFunc, CancelGuard, CancelHandle, Cause, Context, DoneOwned, Error};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{self, Poll, Wake, Waker};
use std::time::Instant;

/// A handle that a function or a value keeps, unless it has been taken from it.
pub(crate) type Pocket = Arc<Mutex<Option<CancelHandle>>>;

pub(crate) fn cancel_by(pocket: &Pocket) {
    let handle = pocket.lock().unwrap().take();
    if let Some(handle) = handle {
        handle.cancel();
    }
}

/// A value of one of a few types. Dropping it cancels what it has a handle of, and may panic after that.
#[derive(Debug)]
pub(crate) struct Key<const N: usize>(
    pub(crate) u32,
    #[expect(dead_code)] pub(crate) Probe,
    pub(crate) Option<Pocket>,
    #[expect(dead_code)] pub(crate) Option<Bomb>,
);

impl<const N: usize> Drop for Key<N> {
    fn drop(&mut self) {
        if let Some(pocket) = &self.2 {
            cancel_by(pocket);
        }
    }
}

pub(crate) const KEYS: usize = 4;

/// A waker that counts, and then panics.
struct Loud(Arc<Wakes>, Fuse);

impl Wake for Loud {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }
    fn wake_by_ref(self: &Arc<Self>) {
        self.0.wake_by_ref();
        self.1.blow();
    }
}

/// The futures there are of an end.
pub(crate) enum Future3 {
    Owned(DoneOwned),
    Borrowed(Pin<Box<dyn Future<Output = Error> + Send>>),
    Run(Pin<Box<dyn Future<Output = Result<u32, Error>> + Send>>, Arc<Foreign<u32>>),
}

impl fmt::Debug for Future3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Future3::Owned(_) => "into_done()",
            Future3::Borrowed(_) => "done()",
            Future3::Run(..) => "run(..)",
        })
    }
}

impl Future3 {
    pub(crate) fn poll(&mut self, waker: &Waker) -> Poll<Result<u32, Error>> {
        let cx = &mut task::Context::from_waker(waker);
        match self {
            Future3::Owned(done) => Pin::new(done).poll(cx).map(Err),
            Future3::Borrowed(done) => done.as_mut().poll(cx).map(Err),
            Future3::Run(run, _) => run.as_mut().poll(cx),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) future: Future3,
    pub(crate) number: usize,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) model: Model,
    pub(crate) fuses: Arc<Fuses>,
    pub(crate) start: Instant,
    /// How many contexts ended as time passed.
    pub(crate) fired: usize,
    pub(crate) contexts: Vec<(Context, Id)>,
    pub(crate) handles: Vec<(CancelHandle, Id)>,
    pub(crate) guards: Vec<(CancelGuard, Id)>,
    pub(crate) waiting: Vec<Waiting>,
    /// The wakers of every waiter there was.
    pub(crate) wakers: Vec<Vec<(Arc<Wakes>, Waker)>>,
    pub(crate) stoppers: Vec<(AfterFunc, usize)>,
    pub(crate) functions: Vec<Arc<Tale>>,
    pub(crate) foreigns: Vec<Arc<Foreign<Cause>>>,
    /// The bindings whose drop has not been seen.
    pub(crate) bindings: Vec<(Id, Arc<Tale>)>,
    /// The handles that functions and values keep.
    pub(crate) pockets: Vec<Weak<Mutex<Option<CancelHandle>>>>,
    pub(crate) step: usize,
    /// Room for the text of a cause.
    pub(crate) text: String,
    /// Runs on when all the rest is gone.
    _clock: Clock,
}

impl Drop for World {
    /// What is left of a script that failed goes in peace.
    fn drop(&mut self) {
        self.fuses.put_out();
    }
}

/// What differs, in words.
pub(crate) type Outcome = Result<(), String>;

impl World {
    pub(crate) fn new() -> World {
        let clock = Clock::take();
        let mut world = World {
            model: Model::default(),
            fuses: Arc::default(),
            start: clock::now(),
            fired: 0,
            contexts: Vec::new(),
            handles: Vec::new(),
            guards: Vec::new(),
            waiting: Vec::new(),
            wakers: Vec::new(),
            stoppers: Vec::new(),
            functions: Vec::new(),
            foreigns: Vec::new(),
            bindings: Vec::new(),
            pockets: Vec::new(),
            step: 0,
            text: String::new(),
            _clock: clock,
        };
        for (ctx, label) in [(Context::default(), "context.Background"), (Context::todo(), "context.TODO")] {
            let id = world.model.root(label);
            world.keep(ctx, id);
        }
        world
    }

    /// Far away, and no two at the same time: which of two came first would be anybody's guess.
    pub(crate) fn far(&self, more: usize) -> Instant {
        self.model.at_nobodys(clock::now() + clock::UNIT * (3600 + more as u32))
    }

    /// A waker for a waiter, and who counts its wakes.
    pub(crate) fn waker(&self, loud: bool) -> (Arc<Wakes>, Waker) {
        let (wakes, waker) = Wakes::new();
        if loud {
            (wakes.clone(), Waker::from(Arc::new(Loud(wakes, self.fuses.fuse(Who::Waker)))))
        } else {
            (wakes, waker)
        }
    }

    pub(crate) fn keep(&mut self, ctx: Context, id: Id) {
        self.model.all[id].held += 1;
        self.contexts.push((ctx, id));
    }

    pub(crate) fn keep_handle(&mut self, handle: CancelHandle, id: Id) {
        self.model.all[id].held += 1;
        self.handles.push((handle, id));
    }

    pub(crate) fn drop_context(&mut self, n: usize) {
        let (ctx, id) = self.contexts.swap_remove(n);
        self.model.all[id].held -= 1;
        self.fuses.call(|| drop(ctx));
    }

    pub(crate) fn drop_handle(&mut self, n: usize) {
        let (handle, id) = self.handles.swap_remove(n);
        self.model.all[id].held -= 1;
        self.fuses.call(|| drop(handle));
    }

    pub(crate) fn drop_guard(&mut self, n: usize) {
        let (guard, id) = self.guards.swap_remove(n);
        self.model.end(id, End::plain(Error::Canceled));
        self.model.all[id].held -= 1;
        self.fuses.call(|| drop(guard));
    }

    pub(crate) fn drop_waiter(&mut self, n: usize) -> Outcome {
        let waiting = self.waiting.swap_remove(n);
        self.model.drop_waiter(waiting.number);
        let work = match &waiting.future {
            Future3::Run(_, work) => Some(work.clone()),
            _ => None,
        };
        self.fuses.call(|| drop(waiting.future));
        match work {
            Some(work) if !work.dropped() => Err(format!("what waiter {} ran was not dropped", waiting.number)),
            _ => Ok(()),
        }
    }

    /// A handle for a function or a value to keep.
    pub(crate) fn pocket(&mut self, handle: CancelHandle) -> Pocket {
        let pocket = Pocket::new(Mutex::new(Some(handle)));
        self.pockets.push(Arc::downgrade(&pocket));
        pocket
    }

    /// Makes a foreign future ready.
    pub(crate) fn complete(&mut self, n: usize, cause: Cause, text: String) {
        self.model.complete(n, End { error: cause.error(), text });
        self.fuses.call(|| self.foreigns[n].complete(cause));
    }

    /// Lets everything go: then nothing may be left. Handles that functions and values keep come first: a function may
    /// keep a handle of the context it is registered with. Then the futures: one that waits for ever would keep what is
    /// registered below it. What stays is what nobody can reach any more and a far deadline will end: it does, if time
    /// can be made to pass.
    pub(crate) fn clear(&mut self) -> Outcome {
        for grudge in self.model.grudges.drain(..) {
            self.model.all[grudge.cancels].held -= 1;
        }
        for target in self.model.functions.iter_mut().filter_map(|function| function.cancels.take()) {
            self.model.all[target].held -= 1;
        }
        for pocket in self.pockets.drain(..) {
            let handle = pocket.upgrade().and_then(|pocket| pocket.lock().unwrap().take());
            self.fuses.call(|| drop(handle));
        }
        self.compare_everything()?;
        for n in 0..self.foreigns.len() {
            self.complete(n, "the end".into(), String::from("the end"));
        }
        self.compare_everything()?;
        while !self.guards.is_empty() {
            self.drop_guard(0);
        }
        while !self.waiting.is_empty() {
            self.drop_waiter(0)?;
        }
        while !self.handles.is_empty() {
            self.drop_handle(0);
        }
        while !self.contexts.is_empty() {
            self.drop_context(0);
        }
        self.compare_everything()?;
        for (after, n) in std::mem::take(&mut self.stoppers) {
            let (is, must) = (self.fuses.call(|| after.stop()), self.model.stop(n));
            self.model.functions[n].held = false;
            if is.is_some_and(|is| is != must) {
                return Err(format!("stop of function {n} gave {is:?}, must be {must}, at the end"));
            }
        }
        self.compare_everything()?;
        clock::pass_all(self)?;
        self.compare_everything()
    }

    /// A future of the end of a context, of one kind or another.
    pub(crate) fn wait(&mut self, future: Future3, on: Id) -> usize {
        let work = match &future {
            Future3::Run(..) => Work::Pending { polled: false },
            _ => Work::None,
        };
        let number = self.model.wait(on, work);
        self.wakers.push(Vec::new());
        self.waiting.push(Waiting { future, number });
        number
    }
}
