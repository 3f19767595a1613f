//! Loom models of the engine: one shard, limits of one or two cells, a park is a token, the clock is an argument.
//!
//! Rows with a bound explore every schedule with at most so many preemptions; those without explore all.

use super::*;
use crate::sync::reclaim::{begin, bury, end, pin};
use crate::sync::{AtomicPtr, Canary, thread};
use loom::sync::Arc;
use std::sync::atomic::{AtomicUsize as Count, Ordering as Plain};

const LIVE_NO_MORE: u64 = 0;

/// A target: its deadline, and one pointer to its cell. Zero: ended.
struct Probe {
    deadline: AtomicU64,
    cell: AtomicPtr<Cell<Probe>>,
    canary: Canary,
}

// SAFETY: loom checks who touches the canary when.
unsafe impl Sync for Probe {}

// SAFETY: the models free probes as `disarm` allows; the canary tells if they do not.
unsafe impl Target for Probe {
    type Told = usize;

    unsafe fn surface(this: NonNull<Self>, now: Tick, _: &Guard, told: &mut usize) -> Surface {
        // SAFETY: the contract.
        let this = unsafe { this.as_ref() };
        this.canary.touch();
        let mut seen = this.deadline.load(Ordering::Acquire);
        loop {
            match seen {
                LIVE_NO_MORE => return Surface::Over,
                later if later > now => return Surface::Later(later),
                _ => {}
            }
            match this.deadline.compare_exchange(seen, LIVE_NO_MORE, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => break,
                Err(other) => seen = other,
            }
        }
        this.canary.touch();
        *told += 1;
        Surface::Over
    }

    fn tell(_: usize) {}

    fn wake(_: &mut Self::Told) -> bool {
        true
    }
}

unsafe fn free(ptr: *mut ()) {
    let probe = ptr.cast::<Probe>();
    // SAFETY: the models free each probe once, when nobody may look.
    unsafe { &*probe }.canary.kill();
    // SAFETY: as above.
    unsafe { bury(probe) };
}

/// An owner. Not dropped: the models say when it leaves.
#[derive(Clone)]
struct Owner(Arc<Timers<Probe>>, NonNull<Probe>);

// SAFETY: probes are Sync.
unsafe impl Send for Owner {}

impl Owner {
    fn new(timers: &Arc<Timers<Probe>>) -> Self {
        let probe = Probe {
            deadline: AtomicU64::new(NEVER),
            cell: AtomicPtr::new(std::ptr::null_mut()),
            canary: Canary::new(),
        };
        Owner(timers.clone(), NonNull::from(Box::leak(Box::new(probe))))
    }

    fn probe(&self) -> &Probe {
        // SAFETY: until `leave`.
        unsafe { self.1.as_ref() }
    }

    fn arm(&self, when: Tick) {
        self.probe().deadline.store(when, Ordering::Release);
        let cell = self.0.prepare(when, self.1);
        self.probe().cell.store(cell.as_ptr(), Ordering::Release);
        // SAFETY: prepared with `when`.
        if unsafe { self.0.enqueue(cell, when) } {
            self.0.wake();
        }
    }

    /// False: it has ended.
    fn push_back(&self, from: Tick, to: Tick) -> bool {
        self.probe().deadline.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn ended(&self) -> bool {
        self.probe().deadline.load(Ordering::Acquire) == LIVE_NO_MORE
    }

    fn disarm(&self) -> Disarm {
        let cell = self.probe().cell.swap(std::ptr::null_mut(), Ordering::AcqRel);
        match NonNull::new(cell) {
            // SAFETY: swapped out by us.
            Some(cell) => unsafe { self.0.disarm(cell) },
            None => Disarm::Released,
        }
    }

    /// The last handle: disarm, and give the memory back as the answer says.
    fn leave(self) {
        let ptr = self.1.as_ptr().cast();
        match self.disarm() {
            // SAFETY: the engine does not look any more.
            Disarm::Released => unsafe { free(ptr) },
            // SAFETY: nobody new finds the probe.
            Disarm::Surfacing => unsafe { pin().retire(ptr, free) },
        }
    }
}

/// What the driver would sleep until after a pass, or nothing if its park would return at once.
fn sleeps_until(timers: &Timers<Probe>) -> Option<Tick> {
    let next = timers.next_wake.load(Ordering::SeqCst);
    (!timers.woken()).then_some(next)
}

/// Runs a model; `bound` is the number of preemptions per schedule, `None` for all schedules. `RIPCORD_LOOM` as for the
/// models of the tree: `long` allows one more, a number is the bound, and `none` explores all.
pub(super) fn model(name: &str, bound: Option<usize>, run: impl Fn() + Send + Sync + 'static) {
    let bound = match std::env::var("RIPCORD_LOOM").as_deref() {
        Err(_) if cfg!(crossbeam_loom) => Some(1),
        Err(_) => bound,
        Ok("long") => bound.map(|preemptions| preemptions + 1),
        Ok("none") => None,
        Ok(number) => Some(number.parse().expect("RIPCORD_LOOM is `long`, `none`, or a bound on preemptions")),
    };
    let runs = std::sync::Arc::new(Count::new(0));
    let counter = runs.clone();
    let mut builder = loom::model::Builder::new();
    // All limits are set here, whatever the environment says: a run that was cut short would pass for a proof.
    builder.preemption_bound = bound;
    builder.max_duration = None;
    builder.max_permutations = None;
    builder.checkpoint_file = None;
    builder.max_branches = 20_000;
    builder.expect_explicit_explore = false;
    let start = std::time::Instant::now();
    builder.check(move || {
        counter.fetch_add(1, Plain::Relaxed);
        begin();
        run();
        end();
    });
    let runs = runs.load(Plain::Relaxed);
    let shown = bound.map_or("none".to_owned(), |bound| bound.to_string());
    let took = start.elapsed().as_secs_f32();
    // Past the capture of the test frame: the figures are the point.
    let line = format!("{name:<44} bound {shown:<5} {runs:>8} interleavings {took:>7.1} s\n");
    std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).unwrap();
    assert!(runs > 1, "{name}: one interleaving proves nothing");
}

/// An engine whose driver has published a wake-up at 5 that is nobody's any more.
fn stale() -> Arc<Timers<Probe>> {
    let timers = Arc::new(Timers::new());
    let old = Owner::new(&timers);
    old.arm(5);
    old.leave();
    assert!(timers.woken());
    timers
}

/// The driver comes back from its sleep while somebody arms: it does not sleep past the new deadline.
#[test]
fn arm_and_turn() {
    model("timer: arm x turn", None, || {
        let timers = stale();
        let owner = Owner::new(&timers);
        let other = owner.clone();
        let arming = thread::spawn(move || other.arm(10));
        timers.turn(6);
        let until = sleeps_until(&timers);
        arming.join().unwrap();
        assert!(until.is_none_or(|until| until <= 10) || timers.woken(), "sleeps past a deadline");
        timers.turn(10);
        assert!(owner.ended());
        owner.leave();
    });
}

/// The same while registrants look their own shard over, and move what the driver looks for.
#[test]
fn arm_and_turn_and_groom() {
    model("timer: arm, groom x turn", Some(3), || {
        let timers = stale();
        let owners = [Owner::new(&timers), Owner::new(&timers), Owner::new(&timers)];
        let others = owners.clone();
        let arming = thread::spawn(move || {
            for (at, owner) in others.iter().enumerate() {
                owner.arm(12 - at as u64);
            }
        });
        timers.turn(6);
        let until = sleeps_until(&timers);
        arming.join().unwrap();
        assert!(until.is_none_or(|until| until <= 10) || timers.woken(), "sleeps past a deadline");
        timers.turn(12);
        for owner in owners {
            assert!(owner.ended());
            owner.leave();
        }
    });
}

/// Two registrants of one shard: one lowers the bound that the other finds low, one takes the inbox of both.
#[test]
fn two_arm_and_turn() {
    model("timer: arm x arm x turn", Some(2), || {
        let timers = stale();
        let owners = [Owner::new(&timers), Owner::new(&timers)];
        let arming = [(0, 10), (1, 11)].map(|(which, when)| {
            let owner = owners[which].clone();
            thread::spawn(move || owner.arm(when))
        });
        timers.turn(6);
        let until = sleeps_until(&timers);
        for thread in arming {
            thread.join().unwrap();
        }
        assert!(until.is_none_or(|until| until <= 10) || timers.woken(), "sleeps past a deadline");
        timers.turn(11);
        for owner in owners {
            assert!(owner.ended());
            owner.leave();
        }
    });
}

/// The last handle goes while the deadline fires: the memory outlives the look, and the cell is recycled once.
#[test]
fn fire_and_leave() {
    model("timer: fire x disarm x drop", None, || {
        let timers = Arc::new(Timers::new());
        let owner = Owner::new(&timers);
        owner.arm(5);
        let leaving = thread::spawn(move || owner.leave());
        timers.turn(5);
        leaving.join().unwrap();
        // Whatever happened, the cell is free by now.
        timers.turn(5);
        assert_eq!(timers.census(), (0, 0));
        assert_eq!(timers.own_shard().pool().len(), 1);
    });
}

/// A released cell serves another target at once, while a pass has it in its hands.
#[test]
fn fire_and_reuse() {
    model("timer: fire x disarm x arm anew", Some(3), || {
        let timers = Arc::new(Timers::new());
        let (first, second) = (Owner::new(&timers), Owner::new(&timers));
        first.arm(5);
        let later = second.clone();
        let leaving = thread::spawn(move || {
            first.leave();
            later.arm(7);
        });
        timers.turn(5);
        leaving.join().unwrap();
        assert!(!second.ended());
        timers.turn(7);
        assert!(second.ended());
        second.leave();
    });
}

/// A deadline is pushed back while its old key surfaces: it ends at the one or at the other, and once.
#[test]
fn fire_and_push_back() {
    model("timer: fire x push back", None, || {
        let timers = Arc::new(Timers::new());
        let owner = Owner::new(&timers);
        owner.arm(5);
        let other = owner.clone();
        let pushing = thread::spawn(move || other.push_back(5, 9));
        let next = timers.turn(5);
        let pushed = pushing.join().unwrap();
        assert_eq!(owner.ended(), !pushed);
        if pushed {
            assert!(next <= 9, "sleeps past the later deadline");
            timers.turn(9);
        }
        assert!(owner.ended());
        owner.leave();
    });
}

/// The owner leaves while its pushed back deadline is put back into the queue.
#[test]
fn put_back_and_leave() {
    model("timer: put back x disarm x drop", None, || {
        let timers = Arc::new(Timers::new());
        let owner = Owner::new(&timers);
        owner.arm(5);
        assert!(owner.push_back(5, 9));
        let leaving = thread::spawn(move || owner.leave());
        timers.turn(5);
        leaving.join().unwrap();
        timers.turn(9);
        assert_eq!(timers.census(), (0, 0));
        assert_eq!(timers.own_shard().pool().len(), 1);
    });
}

/// The queue side gives a cell back to the allocator as soon as it finds it free.
#[test]
fn dead_and_deallocated() {
    model("timer: let go x dealloc", None, || {
        let (entry, mut chain) = slab::fetch();
        // SAFETY: ours so far.
        unsafe { entry.as_ref() }.dress(7, std::ptr::null_mut());
        // SAFETY: the owner's side, once.
        let leaving = thread::spawn(move || unsafe { Entry::release(entry) });
        // SAFETY: the queue side keeps the memory.
        if unsafe { entry.as_ref() }.armed().is_some() {
            assert_eq!(leaving.join().unwrap(), cell::Release::Queued);
            // SAFETY: both sides have let go.
            unsafe { chain.push(entry) };
            // SAFETY: as above.
            unsafe { slab::take_back(chain) };
        } else {
            // SAFETY: as above.
            unsafe { chain.push(entry) };
            // SAFETY: as above.
            unsafe { slab::take_back(chain) };
            assert_eq!(leaving.join().unwrap(), cell::Release::Queued);
        }
    });
}

/// Somebody who waits helps while the driver makes its pass: the one who publishes last has looked last.
#[test]
fn two_turns_and_arm() {
    model("timer: turn x turn x arm", Some(2), || {
        let timers = stale();
        let owner = Owner::new(&timers);
        let (other, helper) = (owner.clone(), timers.clone());
        let arming = thread::spawn(move || other.arm(10));
        let helping = thread::spawn(move || {
            helper.turn(6);
        });
        timers.turn(6);
        arming.join().unwrap();
        helping.join().unwrap();
        let next = timers.next_wake.load(Ordering::SeqCst);
        assert!(next <= 10, "nobody will come back in time");
        timers.turn(10);
        assert!(owner.ended());
        owner.leave();
    });
}
