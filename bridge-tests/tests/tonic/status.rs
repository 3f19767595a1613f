//! Ends as statuses, and back.

use ripcord::tonic::{error_of, status_of};
use ripcord::tower::BoxError;
use ripcord::{Cause, Context, Error};
use std::error::Error as _;
use std::io;
use std::time::Duration;
use tonic::{Code, Status};

#[test]
fn each_error_has_its_code_and_back() {
    for (error, code) in [(Error::Canceled, Code::Cancelled), (Error::DeadlineExceeded, Code::DeadlineExceeded)] {
        let status = Status::from(error);
        assert_eq!((status.code(), status.message()), (code, error.to_string().as_str()));
        assert_eq!(error_of(&status), Some(error));
    }
    for code in (0..17).map(Code::from_i32).filter(|code| !matches!(code, Code::Cancelled | Code::DeadlineExceeded)) {
        assert_eq!(error_of(&Status::new(code, "")), None, "{code:?}");
    }
}

#[test]
fn a_live_context_has_no_status_and_an_ended_one_its_own() {
    let (ctx, handle) = Context::background().with_cancel();
    assert!(status_of(&ctx).is_none());
    handle.cancel_cause("secret: db-7 is down");
    let status = status_of(&ctx).unwrap();
    assert_eq!((status.code(), status.message()), (Code::Cancelled, "context canceled"), "causes stay in the house");
    assert_eq!(status.source().unwrap().to_string(), "secret: db-7 is down");
    let (late, _handle) = Context::background().with_timeout_cause(Duration::ZERO, "too late");
    assert_eq!(status_of(&late).unwrap().code(), Code::DeadlineExceeded);
}

#[test]
fn a_status_finds_its_way_through_tonics_own_conversions() {
    let (ctx, handle) = Context::background().with_cancel();
    handle.cancel_cause(Cause::new(io::Error::other("unplugged")));
    let status = Status::from_error(BoxError::from(Status::from(ctx.cause().unwrap())));
    assert_eq!(status.code(), Code::Cancelled);
    let cause = status.source().and_then(|source| source.downcast_ref::<Cause>()).expect("the cause is the source");
    assert!(cause.downcast_ref::<io::Error>().is_some());
}
