//! Laws of the headers, for whatever proptest comes up with.

use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use ripcord::Context;
use ripcord::http::{Header, Policy, shorten, write};
use std::time::{Duration, Instant};

fn any_header() -> impl Strategy<Value = Header> {
    prop::sample::select(Header::ALL)
}

/// Durations of every order of magnitude.
fn any_duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (any::<u64>(), 0_u32..64).prop_map(|(n, shift)| Duration::from_nanos(n >> shift)),
        (any::<u64>(), 0_u32..64, 0_u32..1_000_000_000).prop_map(|(n, shift, nanos)| Duration::new(n >> shift, nanos)),
    ]
}

/// A value as somebody might send it, well-formed or nearly.
fn any_value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[0-9]{0,10}[HMSmunhsx]{0,2}".prop_map(String::into_bytes),
        "[ +-]?[0-9]{1,8}[HMSmun] ?".prop_map(String::into_bytes),
        "[0-9]{1,40}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..12),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn a_round_trip_is_never_later(header in any_header(), left in any_duration()) {
        match header.encode(left) {
            None => prop_assert!(left < Duration::from_millis(1)),
            Some(text) => {
                let said = header.parse(&text).unwrap().expect("a limit");
                prop_assert_eq!(said, text.duration());
                prop_assert!(said <= left);
                prop_assert!(!said.is_zero());
                // What a reader passes on unchanged stays unchanged.
                prop_assert_eq!(header.encode(said).unwrap().duration(), said);
            }
        }
    }

    #[test]
    fn longer_is_never_written_shorter(header in any_header(), a in any_duration(), b in any_duration()) {
        let (a, b) = (a.min(b), a.max(b));
        let said = |left| header.encode(left).map(|text| text.duration());
        prop_assert!(said(a) <= said(b));
    }

    #[test]
    fn parsing_takes_the_grammar_and_nothing_else(value in any_value()) {
        let grammar = value.split_last().is_some_and(|(unit, digits)| {
            b"HMSmun".contains(unit) && (1..=8).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)
        });
        prop_assert_eq!(Header::GrpcTimeout.parse(&value).is_ok(), grammar);
        let millis = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        prop_assert_eq!(Header::EnvoyUpstream.parse(&value).is_ok(), millis);
    }

    #[test]
    fn an_untrusted_peer_never_lengthens(
        values in prop::collection::vec((any_header(), any_value()), 0..5),
        own in any_duration(),
        least in any_duration(),
        most in prop::option::of(any_duration()),
    ) {
        let mut headers = HeaderMap::new();
        for (header, value) in &values {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                headers.append(header.name(), value);
            }
        }
        let mut policy = Policy::untrusted().budget(own).at_least(least);
        if let Some(most) = most {
            policy = policy.at_most(most);
        }
        let reading = policy.read(&headers);
        let budget = reading.budget.expect("a budget");
        prop_assert!(budget <= own);
        prop_assert!(most.is_none_or(|most| budget <= most));
        if let Some(asked) = reading.asked {
            prop_assert!(budget <= asked.max(least));
        }
    }

    #[test]
    fn what_is_written_is_never_past_the_deadline(
        header in any_header(),
        timeout in any_duration(),
        before in prop::option::of(any_value()),
        replace in any::<bool>(),
    ) {
        let (ctx, _handle) = Context::background().with_timeout(timeout);
        let mut headers = HeaderMap::new();
        if let Some(Ok(value)) = before.map(|value| HeaderValue::from_bytes(&value)) {
            headers.append(header.name(), value);
        }
        let start = Instant::now();
        let written = if replace { write } else { shorten }(&ctx, header, &mut headers);
        if let Ok(Some(said)) = written {
            prop_assert_eq!(header.read(&headers), Ok(Some(said)));
            if let Some(deadline) = ctx.deadline() {
                prop_assert!(start + said <= deadline);
            }
            // A peer that reads it now gets no more than that.
            let child = Policy::trusted().child(&ctx, &headers).unwrap();
            prop_assert!(child.context.deadline() <= ctx.deadline() || ctx.deadline().is_none());
        }
    }
}
