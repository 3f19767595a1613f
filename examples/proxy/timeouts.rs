//! Time on the wire: what a client is ready to wait, and what the upstream is told.
//!
//! | header                                  | from a client                 | to the upstream                     |
//! |-----------------------------------------|-------------------------------|-------------------------------------|
//! | `grpc-timeout`                          | the whole request             | what is left, for gRPC only         |
//! | `x-envoy-upstream-rq-timeout-ms`        | the whole request             | removed                             |
//! | `x-envoy-upstream-rq-per-try-timeout-ms`| one attempt                   | removed                             |
//! | `x-envoy-expected-rq-timeout-ms`        | the whole request             | what is left for this attempt       |
//!
//! A client can only shorten what this proxy allows: it is not trusted to do more. What is told is rounded down: never
//! more than there is. But a zero is no limit in Envoy's headers, so it asks for nothing, and is never told.

use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;

const GRPC: HeaderName = HeaderName::from_static("grpc-timeout");
const TOTAL: HeaderName = HeaderName::from_static("x-envoy-upstream-rq-timeout-ms");
const PER_TRY: HeaderName = HeaderName::from_static("x-envoy-upstream-rq-per-try-timeout-ms");
const EXPECTED: HeaderName = HeaderName::from_static("x-envoy-expected-rq-timeout-ms");

/// What a client asks for. Words that cannot be read count for nothing.
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub(crate) struct Asked {
    pub(crate) total: Option<Duration>,
    pub(crate) per_try: Option<Duration>,
}

pub(crate) fn asked(headers: &HeaderMap) -> Asked {
    let text = |name: &HeaderName| headers.get(name)?.to_str().ok();
    let millis = |name| number(text(name)?).filter(|millis| *millis > 0).map(Duration::from_millis);
    let grpc = text(&GRPC).and_then(grpc_timeout);
    Asked { total: [grpc, millis(&TOTAL), millis(&EXPECTED)].into_iter().flatten().min(), per_try: millis(&PER_TRY) }
}

/// Tells the upstream what is left.
pub(crate) fn tell(headers: &mut HeaderMap, left: Option<Duration>) {
    for name in [GRPC, TOTAL, PER_TRY, EXPECTED] {
        headers.remove(name);
    }
    let Some(left) = left else { return };
    headers.insert(EXPECTED, HeaderValue::from(u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1)));
    if is_grpc(headers) {
        if let Ok(value) = HeaderValue::from_str(&grpc_text(left)) {
            headers.insert(GRPC, value);
        }
    }
}

pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// Digits, and nothing else.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// One to eight digits and a unit.
fn grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number = number(digits).filter(|_| digits.len() <= 8)?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

/// In the finest unit that takes no more than eight digits.
fn grpc_text(left: Duration) -> String {
    const MOST: u128 = 99_999_999;
    let units =
        [(left.as_nanos(), "n"), (left.as_micros(), "u"), (left.as_millis(), "m"), (left.as_secs().into(), "S")];
    match units.into_iter().find(|(number, _)| *number <= MOST) {
        Some((number, unit)) => format!("{number}{unit}"),
        None => format!("{}H", u128::from(left.as_secs() / 3600).min(MOST)),
    }
}
