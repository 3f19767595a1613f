//! The notations themselves: `grpc-timeout` and milliseconds, to and from bytes, without an allocation.

use std::error::Error as StdError;
use std::fmt;
use std::ops::Deref;
use std::time::Duration;

/// What is wrong with a header's value.
#[non_exhaustive]
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub enum Flaw {
    /// There is nothing in it.
    Empty,
    /// A sign, a space, a point, a letter or anything else where only the digits `0` to `9` may stand.
    NotDigits,
    /// `grpc-timeout` does not end in one of `H`, `M`, `S`, `m`, `u`, `n`.
    NoUnit,
    /// `grpc-timeout` has more than eight digits.
    TooLong,
    /// The header is there more than once, so nobody can say which one counts.
    Repeated,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Flaw::Empty => "empty",
            Flaw::NotDigits => "not digits only",
            Flaw::NoUnit => "no unit of H, M, S, m, u, n at the end",
            Flaw::TooLong => "more than eight digits",
            Flaw::Repeated => "there more than once",
        })
    }
}

impl StdError for Flaw {}

/// A duration in a header's notation, rounded down; made by [`Header::encode`](super::Header::encode). No allocation.
#[derive(Copy, Clone)]
pub struct Text {
    bytes: [u8; Text::MOST],
    len: u8,
    says: Duration,
}

impl Text {
    /// Eight digits and a unit, or the ten digits of `u32::MAX`.
    const MOST: usize = 10;

    fn new(number: u64, unit: Option<u8>, says: Duration) -> Text {
        let mut bytes = [0; Text::MOST];
        let mut len = 0;
        let mut divisor = 1;
        while number / divisor >= 10 {
            divisor *= 10;
        }
        while divisor > 0 {
            bytes[len] = b'0' + (number / divisor % 10) as u8;
            len += 1;
            divisor /= 10;
        }
        if let Some(unit) = unit {
            bytes[len] = unit;
            len += 1;
        }
        Text { bytes, len: len as u8, says }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self).expect("digits and a letter are UTF-8")
    }

    /// What a reader will take it for: what was encoded, rounded down to the unit.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.says
    }
}

impl Deref for Text {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Text").field(&self.as_str()).finish()
    }
}

/// Digits and nothing else; too many of them saturate.
fn number(digits: &[u8]) -> Result<u64, Flaw> {
    if digits.is_empty() {
        return Err(Flaw::Empty);
    }
    digits.iter().try_fold(0_u64, |number, byte| match byte {
        b'0'..=b'9' => Ok(number.saturating_mul(10).saturating_add(u64::from(byte - b'0'))),
        _ => Err(Flaw::NotDigits),
    })
}

/// From the finest unit to the coarsest: letter, nanoseconds.
const UNITS: [(u8, u64); 6] = [
    (b'n', 1),
    (b'u', 1_000),
    (b'm', 1_000_000),
    (b'S', 1_000_000_000),
    (b'M', 60_000_000_000),
    (b'H', 3_600_000_000_000),
];

/// The eight digits that `grpc-timeout` has room for.
const MOST: u128 = 99_999_999;

fn duration(nanos: u128) -> Duration {
    const SECOND: u128 = 1_000_000_000;
    // The greatest value here is 99,999,999 hours: its seconds fit, and a remainder of a second's nanoseconds does too.
    Duration::new((nanos / SECOND) as u64, (nanos % SECOND) as u32)
}

/// Reads `grpc-timeout`: one to eight digits and a unit.
pub(super) fn parse_grpc(value: &[u8]) -> Result<Duration, Flaw> {
    let Some((&last, digits)) = value.split_last() else { return Err(Flaw::Empty) };
    let Some((_, unit)) = UNITS.iter().find(|(letter, _)| *letter == last) else { return Err(Flaw::NoUnit) };
    let number = number(digits)?;
    if digits.len() > 8 {
        return Err(Flaw::TooLong);
    }
    Ok(duration(u128::from(number) * u128::from(*unit)))
}

/// Writes `grpc-timeout`: rounded down, in the finest unit whose number has at most eight digits.
pub(super) fn encode_grpc(left: Duration) -> Option<Text> {
    let nanos = left.as_nanos();
    if nanos == 0 {
        return None;
    }
    let fits = UNITS.iter().find(|(_, unit)| nanos / u128::from(*unit) <= MOST);
    let (letter, unit) = *fits.unwrap_or(&UNITS[UNITS.len() - 1]);
    let number = (nanos / u128::from(unit)).min(MOST);
    Some(Text::new(number as u64, Some(letter), duration(number * u128::from(unit))))
}

/// Reads whole milliseconds; any number of digits, saturating. Zero means no limit, as Envoy takes it.
pub(super) fn parse_millis(value: &[u8]) -> Result<Option<Duration>, Flaw> {
    let number = number(value)?;
    Ok((number > 0).then(|| Duration::from_millis(number)))
}

/// Writes whole milliseconds, rounded down. Less than one cannot be said: `0` would lift the limit.
pub(super) fn encode_millis(left: Duration) -> Option<Text> {
    let millis = u64::try_from(left.as_millis()).unwrap_or(u64::MAX).min(u64::from(u32::MAX));
    (millis > 0).then(|| Text::new(millis, None, Duration::from_millis(millis)))
}
