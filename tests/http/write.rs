//! What remains, onto the wire.

use crate::common::{far, past};
use crate::{EXPECTED, GRPC, headers};
use http::HeaderMap;
use ripcord::http::{Header, Policy, shorten, write};
use ripcord::{Context, Error};
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_other_side_is_never_later() {
    let (ctx, _handle) = Context::background().with_timeout(90 * SECOND);
    for header in Header::ALL {
        let mut map = HeaderMap::new();
        let before = Instant::now();
        let said = write(&ctx, *header, &mut map).unwrap().unwrap();
        // Somebody who read it when it was written.
        assert!(before + said <= ctx.deadline().unwrap(), "{header}");
        let unit = if *header == Header::GrpcTimeout { Duration::from_micros(1) } else { Duration::from_millis(1) };
        assert!(Instant::now() + said + unit >= ctx.deadline().unwrap(), "{header}: less than a unit is lost");
        let peer = Policy::trusted().read(&map);
        assert_eq!((peer.budget, peer.malformed), (Some(said), None));
    }
}

#[test]
fn write_replaces_and_without_a_deadline_removes() {
    let mut map = headers(&[(GRPC, "1m"), (GRPC, "x")]);
    let (ctx, _handle) = Context::background().with_deadline(far());
    let said = write(&ctx, Header::GrpcTimeout, &mut map).unwrap().unwrap();
    assert_eq!(Header::GrpcTimeout.read(&map), Ok(Some(said)), "once, and ours");

    assert_eq!(write(&Context::background(), Header::GrpcTimeout, &mut map), Ok(None));
    assert!(map.is_empty());
}

#[test]
fn shorten_leaves_a_shorter_one() {
    let (ctx, _handle) = Context::background().with_timeout(60 * SECOND);
    let mut map = headers(&[(GRPC, "2S")]);
    assert_eq!(shorten(&ctx, Header::GrpcTimeout, &mut map), Ok(Some(2 * SECOND)));
    assert_eq!(map[GRPC], "2S");

    for longer in ["2M", "sixty", ""] {
        let mut map = headers(&[(GRPC, longer)]);
        let said = shorten(&ctx, Header::GrpcTimeout, &mut map).unwrap().unwrap();
        assert!(said <= 60 * SECOND);
        assert_eq!(Header::GrpcTimeout.read(&map), Ok(Some(said)), "{longer:?}");
    }
    let mut map = headers(&[(EXPECTED, "0")]);
    assert!(shorten(&ctx, Header::EnvoyExpected, &mut map).unwrap().is_some());
    assert_ne!(map[EXPECTED], "0", "no limit is longer than any");

    let mut map = headers(&[(GRPC, "2S")]);
    assert_eq!(shorten(&Context::background(), Header::GrpcTimeout, &mut map), Ok(Some(2 * SECOND)));
    assert_eq!(map[GRPC], "2S");
    assert_eq!(shorten(&Context::background(), Header::GrpcTimeout, &mut HeaderMap::new()), Ok(None));
}

#[test]
fn nothing_remains_is_an_error_and_the_map_stays() {
    let (canceled, handle) = Context::background().with_deadline(far());
    handle.cancel();
    let (late, _handle) = Context::background().with_deadline(past());
    for (ctx, error) in [(canceled, Error::Canceled), (late, Error::DeadlineExceeded)] {
        for f in [write, shorten] {
            for header in Header::ALL {
                let before = headers(&[(GRPC, "1S"), (EXPECTED, "1000")]);
                let mut map = before.clone();
                assert_eq!(f(&ctx, *header, &mut map), Err(error));
                assert_eq!(map, before);
            }
        }
    }
}

#[test]
fn less_than_a_millisecond_cannot_be_said_to_envoy() {
    // As often as it takes to look at a context in its last millisecond.
    for _ in 0..10_000 {
        let (ctx, _handle) = Context::background().with_timeout(Duration::from_millis(1));
        let mut map = HeaderMap::new();
        let result = write(&ctx, Header::EnvoyExpected, &mut map);
        assert_eq!(result, Err(Error::DeadlineExceeded));
        assert!(map.is_empty());
        if ctx.err().is_none() {
            return;
        }
    }
    panic!("no context was live in its last millisecond");
}
