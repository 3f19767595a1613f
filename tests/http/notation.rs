//! `grpc-timeout` and milliseconds, to and from bytes.

use crate::common::Random;
use crate::{EXPECTED, GRPC, UPSTREAM, headers};
use http::{HeaderMap, HeaderValue};
use ripcord::http::{Flaw, Header, Malformed};
use std::time::Duration;

const NANO: Duration = Duration::from_nanos(1);

#[test]
fn grpc_timeout_is_digits_and_a_unit() {
    let hours = |n: u64| Duration::from_secs(n * 3600);
    for (text, means) in [
        ("1H", hours(1)),
        ("1M", Duration::from_secs(60)),
        ("1S", Duration::from_secs(1)),
        ("1m", Duration::from_millis(1)),
        ("1u", Duration::from_micros(1)),
        ("1n", NANO),
        ("0n", Duration::ZERO),
        ("0H", Duration::ZERO),
        ("00000000S", Duration::ZERO),
        ("00000007S", Duration::from_secs(7)),
        ("99999999n", Duration::from_nanos(99_999_999)),
        ("99999999S", Duration::from_secs(99_999_999)),
        ("99999999H", hours(99_999_999)),
    ] {
        assert_eq!(Header::GrpcTimeout.parse(text.as_bytes()), Ok(Some(means)), "{text}");
    }
}

#[test]
fn grpc_timeout_is_nothing_else() {
    for (text, flaw) in [
        (&b""[..], Flaw::Empty),
        (b"S", Flaw::Empty),
        (b"1", Flaw::NoUnit),
        (b"12345678", Flaw::NoUnit),
        (b"1s", Flaw::NoUnit),
        (b"1h", Flaw::NoUnit),
        (b"1U", Flaw::NoUnit),
        (b"1 S", Flaw::NotDigits),
        (b" 1S", Flaw::NotDigits),
        (b"1S ", Flaw::NoUnit),
        (b"+1S", Flaw::NotDigits),
        (b"-1S", Flaw::NotDigits),
        (b"1.5S", Flaw::NotDigits),
        (b"1e3S", Flaw::NotDigits),
        (b"0x1S", Flaw::NotDigits),
        (b"1mS", Flaw::NotDigits),
        (b"1_0S", Flaw::NotDigits),
        (b"123456789S", Flaw::TooLong),
        (b"000000001S", Flaw::TooLong),
        (b"\xd9\xa1S", Flaw::NotDigits),
        (b"\xff", Flaw::NoUnit),
        (b"\0S", Flaw::NotDigits),
    ] {
        assert_eq!(Header::GrpcTimeout.parse(text), Err(flaw), "{:?}", String::from_utf8_lossy(text));
    }
}

#[test]
fn milliseconds_are_digits_and_saturate() {
    for header in [Header::EnvoyExpected, Header::EnvoyUpstream] {
        let said = |text: &str| header.parse(text.as_bytes());
        assert_eq!(said("1"), Ok(Some(Duration::from_millis(1))));
        assert_eq!(said("0015000"), Ok(Some(Duration::from_secs(15))));
        assert_eq!(said("0"), Ok(None), "Envoy takes it for no limit");
        assert_eq!(said("000"), Ok(None));
        let most = Duration::from_millis(u64::MAX);
        assert_eq!(said("18446744073709551615"), Ok(Some(most)));
        assert_eq!(said("18446744073709551616"), Ok(Some(most)));
        assert_eq!(said(&"9".repeat(300)), Ok(Some(most)));
        assert_eq!(said(""), Err(Flaw::Empty));
        for bad in ["-1", "+1", " 1", "1 ", "1.0", "15s", "1m", "\u{661}", "NaN"] {
            assert_eq!(said(bad), Err(Flaw::NotDigits), "{bad:?}");
        }
    }
}

#[test]
fn a_header_that_is_there_twice_says_nothing() {
    for header in Header::ALL {
        let name = header.name();
        let mut map = HeaderMap::new();
        assert_eq!(header.read(&map), Ok(None));
        map.append(name, HeaderValue::from_static(if *header == Header::GrpcTimeout { "5S" } else { "5000" }));
        assert_eq!(header.read(&map), Ok(Some(Duration::from_secs(5))));
        let same = map[name].clone();
        map.append(name, same);
        let error = header.read(&map).unwrap_err();
        assert_eq!((error.header(), error.flaw()), (*header, Flaw::Repeated));
    }
}

#[test]
fn malformed_names_the_header_and_the_flaw_but_not_the_value() {
    let mut map = headers(&[(EXPECTED, "1 day")]);
    map.insert(GRPC, HeaderValue::from_bytes(b"\xe4\xf6S").unwrap());
    let error: Malformed = Header::EnvoyExpected.read(&map).unwrap_err();
    assert_eq!(error.to_string(), "malformed x-envoy-expected-rq-timeout-ms: not digits only");
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.downcast_ref(), Some(&Flaw::NotDigits));
    let error = Header::GrpcTimeout.read(&map).unwrap_err();
    assert_eq!(error.flaw(), Flaw::NotDigits, "non-ASCII bytes");
    assert_eq!(format!("{error:?}"), "Malformed { header: GrpcTimeout, flaw: NotDigits }");
}

#[test]
fn the_names_are_those_on_the_wire() {
    let names: Vec<_> = Header::ALL.iter().map(Header::to_string).collect();
    assert_eq!(names, [GRPC, EXPECTED, UPSTREAM]);
}

#[test]
fn written_rounded_down_in_the_finest_unit_that_has_room() {
    let secs = Duration::from_secs;
    for (left, text) in [
        (NANO, "1n"),
        (Duration::from_nanos(99_999_999), "99999999n"),
        (Duration::from_nanos(100_000_000), "100000u"),
        (Duration::from_nanos(100_000_999), "100000u"),
        (secs(1), "1000000u"),
        (Duration::new(99, 999_999_999), "99999999u"),
        (secs(100), "100000m"),
        (Duration::new(99_999, 999_999_999), "99999999m"),
        (secs(100_000), "100000S"),
        (secs(99_999_999), "99999999S"),
        (secs(100_000_000), "1666666M"),
        (secs(99_999_999 * 60 + 59), "99999999M"),
        (secs(100_000_000 * 60), "1666666H"),
        (secs(99_999_999 * 3600), "99999999H"),
        (secs(u64::MAX), "99999999H"),
        (Duration::MAX, "99999999H"),
    ] {
        let written = Header::GrpcTimeout.encode(left).unwrap();
        assert_eq!(written.as_str(), text, "{left:?}");
        assert_eq!(Header::GrpcTimeout.parse(&written), Ok(Some(written.duration())), "{left:?}");
        assert!(written.duration() <= left, "{left:?}");
    }
    for (left, text) in [
        (Duration::from_millis(1), "1"),
        (Duration::from_nanos(1_999_999), "1"),
        (Duration::from_millis(4_294_967_295), "4294967295"),
        (Duration::MAX, "4294967295"),
    ] {
        assert_eq!(Header::EnvoyExpected.encode(left).unwrap().as_str(), text, "{left:?}");
        assert_eq!(Header::EnvoyUpstream.encode(left).unwrap().to_string(), text, "{left:?}");
    }
}

#[test]
fn nothing_is_written_where_zero_would_mean_something_else() {
    for header in Header::ALL {
        assert!(header.encode(Duration::ZERO).is_none());
    }
    assert!(Header::EnvoyExpected.encode(Duration::from_nanos(999_999)).is_none(), "0 would lift the limit");
}

/// The law that matters, for durations of every size.
#[test]
fn a_round_trip_is_never_later_and_loses_less_than_a_unit() {
    let mut random = Random::new(7);
    for _ in 0..100_000 {
        let left =
            Duration::new(random.next() >> random.below(64), u32::try_from(random.below(1_000_000_000)).unwrap());
        let left = if random.below(3) == 0 { Duration::from_nanos(random.next() >> random.below(64)) } else { left };
        for header in Header::ALL {
            let Some(text) = header.encode(left) else {
                assert!(left < Duration::from_millis(1), "{left:?}");
                continue;
            };
            let said = header.parse(&text).unwrap().expect("a limit");
            assert_eq!(said, text.duration());
            assert!(said <= left, "{header}: {left:?} became {said:?}");
            if *header == Header::GrpcTimeout && left < Duration::from_secs(99_999_999 * 3600) {
                // A unit finer would have had no room, so there are a hundred thousand of these at least.
                assert!(left - said <= said / 100_000, "{left:?} became {said:?}");
            }
        }
    }
}

/// Anything at all may come off the wire.
#[test]
fn random_bytes_are_read_as_the_grammar_says() {
    let mut random = Random::new(8);
    let alphabet = b"0123456789012345678901234567890123456789HMSmunHMSmun +-.x\xff";
    for _ in 0..100_000 {
        let text: Vec<u8> = (0..random.below(12)).map(|_| alphabet[random.below(alphabet.len())]).collect();
        let grammar = match text.split_last() {
            Some((unit, digits)) => {
                b"HMSmun".contains(unit) && (1..=8).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)
            }
            None => false,
        };
        assert_eq!(Header::GrpcTimeout.parse(&text).is_ok(), grammar, "{text:?}");
        let grammar = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
        assert_eq!(Header::EnvoyExpected.parse(&text).is_ok(), grammar, "{text:?}");
    }
}
