//! Events, as a subscriber sees them.
#![cfg(not(feature = "loom"))]

mod common;

use common::*;
use ripcord::tracing::{LEVEL, TARGET};
use ripcord::{Cause, Context, Error};
use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber, span};

type Fields = BTreeMap<String, String>;

/// Collects the fields of every event that it lets through, and may do something at each.
#[derive(Clone)]
struct Log {
    events: Arc<Mutex<Vec<Fields>>>,
    level: Level,
    act: Arc<dyn Fn(&Fields) + Send + Sync>,
}

impl Log {
    fn new(level: Level) -> Log {
        Log::doing(level, |_| {})
    }
    fn doing(level: Level, act: impl Fn(&Fields) + Send + Sync + 'static) -> Log {
        Log { events: Arc::default(), level, act: Arc::new(act) }
    }
    fn take(&self) -> Vec<Fields> {
        std::mem::take(&mut self.events.lock().unwrap())
    }
    fn during<R>(&self, f: impl FnOnce() -> R) -> R {
        tracing::subscriber::with_default(self.clone(), f)
    }
}

struct Collect<'a>(&'a mut Fields);

impl Visit for Collect<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == TARGET && *metadata.level() <= self.level
    }
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level.into())
    }
    fn event(&self, event: &Event<'_>) {
        assert_eq!(*event.metadata().level(), LEVEL);
        let mut fields = Fields::new();
        event.record(&mut Collect(&mut fields));
        (self.act)(&fields);
        self.events.lock().unwrap().push(fields);
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// Asks something else to be done when the core asks whether anybody listens, once.
struct Asked {
    log: Log,
    act: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Subscriber for Asked {
    // Or the answer would be remembered.
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let act = self.act.lock().unwrap().take();
        act.into_iter().for_each(|act| act());
        self.log.enabled(metadata)
    }
    fn event(&self, event: &Event<'_>) {
        self.log.event(event);
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// Ends a context by its foreign parent, and lets go of it, name and all, while the core asks whether anybody listens.
fn ended_as_it_goes() -> Fields {
    let log = Log::new(Level::DEBUG);
    let gate = Arc::new(Mutex::new((false, None::<Waker>)));
    let inside = gate.clone();
    let opens = poll_fn(move |cx| {
        let mut gate = inside.lock().unwrap();
        gate.1 = Some(cx.waker().clone());
        if gate.0 { Poll::Ready(Cause::from(format!("upstream {}", "closed"))) } else { Poll::Pending }
    });
    let held = Context::background().with_name(format!("request {}", "seventeen of thirty")).with_cancel_on(opens);
    let waker = {
        let mut gate = gate.lock().unwrap();
        gate.0 = true;
        gate.1.take().unwrap()
    };
    let asked = Asked { log: log.clone(), act: Mutex::new(Some(Box::new(move || drop(held)))) };
    tracing::subscriber::with_default(asked, || waker.wake());
    let mut events = log.take();
    assert_eq!(events.len(), 1, "{events:?}");
    events.remove(0)
}

#[test]
fn the_name_was_read_after_it_was_freed() {
    assert_eq!(field(&ended_as_it_goes(), "context"), Some("request seventeen of thirty"));
}

#[test]
fn the_cause_was_given_back_before_it_was_told() {
    assert_eq!(field(&ended_as_it_goes(), "cause"), Some("upstream closed"));
}

fn field<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.get(name).map(String::as_str)
}

#[test]
fn an_event_per_explicit_end_with_what_it_took_along() {
    let log = Log::new(Level::DEBUG);
    log.during(|| {
        let (root, handle) = Context::background().with_name("server").with_cancel();
        let children: Vec<_> = (0..10).map(|_| root.with_cancel()).collect();
        let below: Vec<_> = children.iter().map(|(child, _)| child.with_timeout(Duration::from_secs(60))).collect();
        children[0].1.cancel();
        handle.cancel_cause("shutting down");
        handle.cancel_cause("too late");
        children[1].1.cancel();
        drop(below);
    });
    let events = log.take();
    assert_eq!(events.len(), 2, "{events:?}");
    for fields in &events {
        assert_eq!(field(fields, "message"), Some("context ended"));
        assert_eq!(field(fields, "kind"), Some("canceled"));
        assert_eq!(field(fields, "context"), Some("server"));
        assert!(field(fields, "age_us").unwrap().parse::<u64>().is_ok());
    }
    assert_eq!(field(&events[0], "cause"), Some("context canceled"));
    assert_eq!(field(&events[0], "fan_out"), Some("1"));
    assert_eq!(field(&events[1], "cause"), Some("shutting down"));
    assert_eq!(field(&events[1], "fan_out"), Some("18"), "nine children, and what is below each");
}

#[test]
fn a_deadline_moved_to_the_past_and_a_foreign_parent_are_ends_too() {
    let log = Log::new(Level::TRACE);
    log.during(|| {
        let (_late, handle) = Context::background().with_timeout_cause(Duration::from_secs(60), "too slow");
        assert!(handle.reset_timeout(Duration::ZERO));
        let _on = Context::background().with_cancel_on(async { Cause::from("gone") });
    });
    let events = log.take();
    let said: Vec<_> = events.iter().map(|fields| (fields["kind"].as_str(), fields["cause"].as_str())).collect();
    assert_eq!(said, [("deadline exceeded", "too slow"), ("canceled", "gone")]);
    assert!(events.iter().all(|fields| field(fields, "context").is_none() && fields["fan_out"] == "0"));
}

#[test]
fn what_is_dropped_or_born_ended_says_nothing() {
    let log = Log::new(Level::DEBUG);
    log.during(|| {
        drop(Context::background().with_cancel());
        let (ended, handle) = Context::background().with_cancel();
        handle.cancel();
        assert_eq!(log.take().len(), 1);
        drop(ended.with_cancel());
        assert!(Context::background().with_timeout(Duration::ZERO).0.is_done());
    });
    assert_eq!(log.take(), []);
}

#[test]
fn nobody_listening_hears_nothing_and_who_comes_later_knows_no_age() {
    let quiet = Log::new(Level::INFO);
    let (ctx, handle) = quiet.during(|| Context::background().with_cancel());
    quiet.during(|| Context::background().with_cancel().1.cancel());
    assert_eq!(quiet.take(), []);
    let log = Log::new(Level::DEBUG);
    log.during(|| handle.cancel());
    assert!(ctx.is_done());
    let events = log.take();
    assert_eq!(events.len(), 1);
    assert_eq!(field(&events[0], "age_us").is_some(), cfg!(feature = "inspect"), "which notes every birth");
}

#[test]
fn it_is_said_after_the_walk_and_the_wakers_and_before_the_functions() {
    let (ctx, handle) = Context::background().with_cancel();
    let below = ctx.with_cancel().0;
    let seen = below.clone();
    let tale = Tale::new();
    let ran = tale.clone();
    let log = Log::doing(Level::DEBUG, move |_| {
        assert!(seen.is_done());
        assert!(ran.is_waiting());
    });
    ctx.after_func(tale.function());
    log.during(|| handle.cancel());
    assert!(tale.has_run());
    assert_eq!(log.take().len(), 1);
}

#[test]
fn a_subscriber_may_work_on_the_same_tree() {
    let (root, handle) = Context::background().with_cancel();
    let (other, other_handle) = root.with_cancel();
    let (free, free_handle) = Context::background().with_cancel();
    let tree = root.clone();
    let log = Log::doing(Level::DEBUG, move |fields| {
        if fields["cause"] == "first" {
            assert!(tree.with_cancel().0.is_done());
            other_handle.cancel();
            free_handle.cancel_cause("second");
        }
    });
    log.during(|| handle.cancel_cause("first"));
    assert!(other.is_done() && free.is_done());
    // The event of an end within an event is withheld by `tracing` itself, which does not nest a thread's default.
    assert_eq!(log.take().last().map(|fields| fields["cause"].clone()).as_deref(), Some("first"));
}

#[test]
fn a_panicking_subscriber_does_not_keep_the_others_from_being_told() {
    let (ctx, handle) = Context::background().with_cancel();
    let (wakes, waker) = Wakes::new();
    let mut done = ctx.done();
    assert!(poll_with(&mut done, &waker).is_pending());
    let tale = Tale::new();
    ctx.after_func(tale.function());
    let log = Log::doing(Level::DEBUG, |_| panic!("the log is full"));
    assert_eq!(panic_of(|| log.during(|| handle.cancel())), "the log is full");
    assert_eq!(wakes.count(), 1);
    assert!(tale.has_run());
    assert_canceled(&ctx);
}

#[test]
fn a_cause_whose_display_panics_is_the_subscribers_problem() {
    let (ctx, handle) = Context::background().with_cancel();
    let log = Log::new(Level::DEBUG);
    assert_eq!(panic_of(|| log.during(|| handle.cancel_cause(Cause::new(Mute)))), "no words");
    assert_eq!(ctx.err(), Some(Error::Canceled));
}

/// The timer's thread has no subscriber of its own: this sets the process's, so it is a process of its own.
#[test]
fn deadlines_fire_events_on_the_timers_thread() {
    if std::env::var("RIPCORD_GLOBAL").is_err() {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "deadlines_fire_events_on_the_timers_thread"])
            .env("RIPCORD_GLOBAL", "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let threads = Arc::new(Mutex::new(Vec::new()));
    let names = threads.clone();
    let log = Log::doing(Level::DEBUG, move |_| {
        names.lock().unwrap().push(std::thread::current().name().map(str::to_owned));
    });
    tracing::subscriber::set_global_default(log.clone()).unwrap();
    let parents: Vec<_> = (0..20).map(|_| Context::background().with_deadline(far())).collect();
    let below: Vec<_> = parents.iter().flat_map(|(ctx, _)| [ctx.with_cancel(), ctx.with_cancel()]).collect();
    // All is there: now they may come, and each by the timer.
    for (_, handle) in &parents {
        assert!(handle.reset_timeout(Duration::from_millis(5)));
    }
    assert!(parents.iter().chain(&below).all(|(ctx, _)| wait_for(ctx) == Error::DeadlineExceeded));
    eventually("all events", || log.events.lock().unwrap().len() == 20);
    for fields in log.take() {
        assert_eq!(fields["kind"], "deadline exceeded");
        assert_eq!(fields["cause"], "context deadline exceeded");
        assert_eq!(fields["fan_out"], "2", "each event of one pass has its own count");
        assert!(fields["age_us"].parse::<u64>().unwrap() >= 5_000, "never early");
    }
    assert!(threads.lock().unwrap().iter().all(|name| name.as_deref().is_some_and(|name| name.contains("ripcord"))));
}
