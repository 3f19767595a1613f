//! The headers that carry a budget: their names, and one value of each out of a map.

use super::digits::{self, Flaw, Text};
use ::http::HeaderMap;
use ::http::header::HeaderName;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// `grpc-timeout`
pub static GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
/// `x-envoy-expected-rq-timeout-ms`
pub static ENVOY_EXPECTED: HeaderName = HeaderName::from_static("x-envoy-expected-rq-timeout-ms");
/// `x-envoy-upstream-rq-timeout-ms`
pub static ENVOY_UPSTREAM: HeaderName = HeaderName::from_static("x-envoy-upstream-rq-timeout-ms");

/// A header that carries a budget: how long the request may still take, counted from its arrival.
///
/// ```
/// use ripcord::http::{Flaw, Header};
/// use std::time::Duration;
///
/// assert_eq!(Header::GrpcTimeout.parse(b"250m"), Ok(Some(Duration::from_millis(250))));
/// assert_eq!(Header::GrpcTimeout.parse(b"+250m"), Err(Flaw::NotDigits));
/// assert_eq!(Header::EnvoyExpected.parse(b"250"), Ok(Some(Duration::from_millis(250))));
///
/// // Rounded down, in the finest unit that has room: a reader never takes it for more.
/// let text = Header::GrpcTimeout.encode(Duration::new(100, 999_999)).unwrap();
/// assert_eq!(text.as_str(), "100000m");
/// assert_eq!(text.duration(), Duration::from_secs(100));
/// ```
#[non_exhaustive]
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub enum Header {
    /// `grpc-timeout`: one to eight digits and one of `H`, `M`, `S`, `m`, `u`, `n`. `0` is a budget of nothing.
    GrpcTimeout,
    /// `x-envoy-expected-rq-timeout-ms`: milliseconds, what Envoy tells an upstream. `0` is no limit.
    EnvoyExpected,
    /// `x-envoy-upstream-rq-timeout-ms`: milliseconds, what a caller asks of Envoy. `0` is no limit.
    EnvoyUpstream,
}

impl Header {
    /// All of them.
    pub const ALL: &'static [Header] = &[Header::GrpcTimeout, Header::EnvoyExpected, Header::EnvoyUpstream];

    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static HeaderName {
        match self {
            Header::GrpcTimeout => &GRPC_TIMEOUT,
            Header::EnvoyExpected => &ENVOY_EXPECTED,
            Header::EnvoyUpstream => &ENVOY_UPSTREAM,
        }
    }

    /// Reads one value. `None` is a value that asks for no limit. Never allocates; time proportional to the length.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(self, value: &[u8]) -> Result<Option<Duration>, Flaw> {
        match self {
            Header::GrpcTimeout => digits::parse_grpc(value).map(Some),
            Header::EnvoyExpected | Header::EnvoyUpstream => digits::parse_millis(value),
        }
    }

    /// Writes what is left, rounded down and never more. `None` if nothing is left that the notation could say: no time
    /// at all, or less than a millisecond where milliseconds are the unit. Never allocates.
    ///
    /// More than the notation has room for saturates: 99,999,999 hours, or `u32::MAX` milliseconds (49 days).
    #[must_use]
    pub fn encode(self, left: Duration) -> Option<Text> {
        match self {
            Header::GrpcTimeout => digits::encode_grpc(left),
            Header::EnvoyExpected | Header::EnvoyUpstream => digits::encode_millis(left),
        }
    }

    /// What a map says under this name; `None` if it says nothing, or asks for no limit. Never allocates.
    ///
    /// # Errors
    ///
    /// The value is malformed, or there are several.
    pub fn read(self, headers: &HeaderMap) -> Result<Option<Duration>, Malformed> {
        let mut values = headers.get_all(self.name()).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let flawed = |flaw| Malformed { header: self, flaw };
        match values.next() {
            None => self.parse(value.as_bytes()).map_err(flawed),
            Some(_) => Err(flawed(Flaw::Repeated)),
        }
    }

    pub(super) const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name().as_str())
    }
}

/// A header whose value could not be taken for a budget.
///
/// The value itself is not kept: it is the peer's, and would end up in logs.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub struct Malformed {
    header: Header,
    flaw: Flaw,
}

impl Malformed {
    /// Which header.
    #[must_use]
    pub fn header(&self) -> Header {
        self.header
    }

    /// What is wrong with it.
    #[must_use]
    pub fn flaw(&self) -> Flaw {
        self.flaw
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed {}: {}", self.header, self.flaw)
    }
}

impl StdError for Malformed {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.flaw)
    }
}
