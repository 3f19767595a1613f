//! Errors and causes as values of their own: texts, kinds, sources, and what turns into what.
#![cfg(not(feature = "loom"))]

mod common;

use common::*;
use ripcord::{Cause, Context, Error};
use std::collections::HashSet;
use std::error::Error as StdError;
use std::fmt;
use std::io;

#[test]
fn errors_read_as_in_go() {
    assert_eq!(Error::Canceled.to_string(), "context canceled");
    assert_eq!(Error::DeadlineExceeded.to_string(), "context deadline exceeded");
    assert!(Error::Canceled.source().is_none());
    assert!(Error::DeadlineExceeded.source().is_none());
}

#[test]
fn only_a_missed_deadline_is_a_timeout() {
    assert!(!Error::Canceled.is_timeout());
    assert!(Error::DeadlineExceeded.is_timeout());
}

#[test]
fn errors_are_plain_values() {
    let copy = Error::Canceled;
    let set: HashSet<Error> = [copy, copy, Error::DeadlineExceeded].into_iter().collect();
    assert_eq!(set.len(), 2);
    assert_ne!(Error::Canceled, Error::DeadlineExceeded);
}

#[test]
fn an_error_becomes_an_io_error_of_its_kind() {
    for (error, kind) in
        [(Error::Canceled, io::ErrorKind::Interrupted), (Error::DeadlineExceeded, io::ErrorKind::TimedOut)]
    {
        let io = io::Error::from(error);
        assert_eq!(io.kind(), kind);
        assert!(io.to_string().contains(&error.to_string()), "{io}");
        let inner = io.get_ref().expect("the error is inside").downcast_ref::<Error>();
        assert_eq!(inner, Some(&error));
    }
    fn asks() -> io::Result<()> {
        Err(Error::DeadlineExceeded)?
    }
    assert_eq!(asks().unwrap_err().kind(), io::ErrorKind::TimedOut);
}

#[test]
fn a_free_cause_is_canceled_or_the_error_it_was_made_from() {
    let boxed: Box<dyn StdError + Send + Sync> = Box::new(Oops(1));
    let boxed_error: Box<dyn StdError + Send + Sync> = "a boxed text".into();
    for (cause, error, text) in [
        (Cause::from("text"), Error::Canceled, "text"),
        (Cause::from(String::from("string")), Error::Canceled, "string"),
        (Cause::from(()), Error::Canceled, "context canceled"),
        (Cause::from(Error::Canceled), Error::Canceled, "context canceled"),
        (Cause::from(Error::DeadlineExceeded), Error::DeadlineExceeded, "context deadline exceeded"),
        (Cause::new(Oops(1)), Error::Canceled, "oops 1"),
        (Cause::from(boxed), Error::Canceled, "oops 1"),
        (Cause::from(boxed_error), Error::Canceled, "a boxed text"),
    ] {
        assert_eq!((cause.error(), cause.to_string().as_str()), (error, text));
        assert_eq!((cause.clone().error(), cause.clone().to_string().as_str()), (error, text));
    }
}

#[test]
fn causes_made_from_errors_downcast_to_them() {
    assert_eq!(Cause::from(()).downcast_ref(), Some(&Error::Canceled));
    assert_eq!(Cause::from(Error::Canceled).downcast_ref(), Some(&Error::Canceled));
    assert_eq!(Cause::from(Error::DeadlineExceeded).downcast_ref(), Some(&Error::DeadlineExceeded));
    let disk = Cause::new(io::Error::new(io::ErrorKind::StorageFull, "disk"));
    assert_eq!(disk.downcast_ref::<io::Error>().unwrap().kind(), io::ErrorKind::StorageFull);
    assert!(disk.downcast_ref::<Error>().is_none());
    assert!(disk.downcast_ref::<Oops>().is_none());
    assert!(Cause::from("text").downcast_ref::<Error>().is_none());
}

#[derive(Debug)]
struct Outer(Oops);

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("outer")
    }
}

impl StdError for Outer {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn display_and_source_pass_through_a_cause() {
    let cause = Cause::new(Outer(Oops(9)));
    assert_eq!(cause.to_string(), "outer");
    let source = StdError::source(&cause).expect("the source of the error inside");
    assert_eq!(source.downcast_ref::<Oops>(), Some(&Oops(9)));
    assert!(StdError::source(&Cause::new(Oops(1))).is_none());
    assert_eq!(format!("[{:>8}]", Cause::new(Outer(Oops(9)))), "[   outer]", "the formatter's flags pass through too");

    let (ctx, handle) = Context::background().with_cancel();
    handle.cancel_cause(Cause::new(Outer(Oops(3))));
    let child = ctx.with_cancel().0;
    assert_eq!(StdError::source(&child.cause().unwrap()).unwrap().to_string(), "oops 3");
}

#[test]
fn a_cause_may_be_boxed_and_raised_as_an_error() {
    fn fails() -> Result<(), Box<dyn StdError + Send + Sync>> {
        Err(Cause::new(Oops(4)))?
    }
    let error = fails().unwrap_err();
    assert_eq!(error.to_string(), "oops 4");
    let cause = error.downcast_ref::<Cause>().expect("a cause");
    assert_eq!(cause.downcast_ref::<Oops>(), Some(&Oops(4)));
}

#[test]
fn a_cause_is_dropped_with_its_last_share() {
    #[derive(Debug)]
    struct Told(#[expect(dead_code)] Probe);
    impl fmt::Display for Told {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("told")
        }
    }
    impl StdError for Told {}
    let tale = Tale::new();
    let cause = Cause::new(Told(tale.probe()));
    let second = cause.clone();
    drop(cause);
    assert_eq!(tale.drops(), 0);
    drop(second);
    assert_eq!(tale.drops(), 1);

    // Given to a context that ended otherwise, and to one that is never ended: not kept either.
    let tale = Tale::new();
    let (ctx, handle) = Context::background().with_cancel();
    handle.cancel();
    handle.cancel_cause(Cause::new(Told(tale.probe())));
    assert_eq!(tale.drops(), 1, "a cause that came too late");
    drop(ctx);
    let tale = Tale::new();
    let timed = Context::background().with_deadline_cause(far(), Cause::new(Told(tale.probe())));
    assert_eq!(tale.drops(), 0);
    drop(timed);
    assert_eq!(tale.drops(), 1, "the cause of a deadline that never came");
}

#[test]
fn a_kind_taken_from_a_context_is_the_contexts() {
    let (late, _late) = Context::background().with_deadline_cause(past(), Error::Canceled);
    let cause = late.cause().unwrap();
    assert_eq!((cause.error(), cause.to_string().as_str()), (Error::DeadlineExceeded, "context canceled"));
    let (canceled, handle) = Context::background().with_cancel();
    handle.cancel_cause(Error::DeadlineExceeded);
    assert_eq!(canceled.cause().unwrap().error(), Error::Canceled);
}
