//! The headers that carry a budget, against a second reading of their rules: written from the rules, on text and wide
//! integers, sharing nothing with the crate.
//!
//! The first byte says what the others are: a value to read, a duration to write, or a policy and a map of values.

use crate::{Outcome, Target};
use http::{HeaderMap, HeaderValue};
use ripcord::Context;
use ripcord::http::{Flaw, Header, Policy, shorten, write};
use std::time::Duration;

pub const TARGET: Target = Target { name: "http", run };

/// The units of `grpc-timeout`, the coarsest first, in nanoseconds.
const UNITS: [(char, u128); 6] =
    [('H', 3_600_000_000_000), ('M', 60_000_000_000), ('S', 1_000_000_000), ('m', 1_000_000), ('u', 1_000), ('n', 1)];

const HOUR: Duration = Duration::from_secs(3600);

fn run(data: &[u8], show: bool) -> Outcome {
    let Some((what, rest)) = data.split_first() else { return Ok(()) };
    match what % 4 {
        0 | 1 => Header::ALL.iter().try_for_each(|header| read(*header, rest, show)),
        2 => encode(rest, show),
        _ => policy(rest, show),
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, is: T, must: T) -> Outcome {
    if is == must { Ok(()) } else { Err(format!("{what}: is {is:?}, must be {must:?}")) }
}

/// What a value says, by the rules.
fn meaning(header: Header, value: &[u8]) -> Result<Option<Duration>, Flaw> {
    // What is not text is not a digit either: any sign that is none will do.
    let text: Vec<char> = value.iter().map(|byte| char::from(*byte)).collect();
    let (digits, unit) = match (header, text.split_last()) {
        (_, None) => return Err(Flaw::Empty),
        (Header::GrpcTimeout, Some((last, digits))) => {
            let unit = UNITS.iter().find(|(letter, _)| letter == last).ok_or(Flaw::NoUnit)?;
            (digits, unit.1)
        }
        _ => (&text[..], 1_000_000),
    };
    if digits.is_empty() {
        return Err(Flaw::Empty);
    }
    if !digits.iter().all(char::is_ascii_digit) {
        return Err(Flaw::NotDigits);
    }
    if header == Header::GrpcTimeout && digits.len() > 8 {
        return Err(Flaw::TooLong);
    }
    let digits: String = digits.iter().collect();
    let digits = digits.trim_start_matches('0');
    // Twenty digits may be more than 64 bits; so may twenty-one, and no more fit anywhere.
    let number = if digits.len() > 21 { u128::MAX } else { digits.parse().unwrap_or(0) };
    if header == Header::GrpcTimeout {
        return Ok(Some(of_nanos(number * unit)));
    }
    let millis = u64::try_from(number).unwrap_or(u64::MAX);
    Ok((millis > 0).then(|| Duration::from_millis(millis)))
}

fn of_nanos(nanos: u128) -> Duration {
    let seconds = u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX);
    Duration::from_secs(seconds) + Duration::from_nanos((nanos % 1_000_000_000) as u64)
}

fn read(header: Header, value: &[u8], show: bool) -> Outcome {
    let (is, must) = (header.parse(value), meaning(header, value));
    if show {
        println!("  {header}: {:?} is {is:?}", String::from_utf8_lossy(value));
    }
    same(header.name().as_str(), is, must)
}

/// What is written is never more than what is left, as much of it as the notation can say, and is read as the same.
fn encode(data: &[u8], show: bool) -> Outcome {
    let byte = |n: usize| data.get(n).copied().unwrap_or(0);
    let seconds = u64::from_le_bytes(std::array::from_fn(byte)) >> (byte(12) % 64);
    let left = Duration::new(seconds, u32::from_le_bytes(std::array::from_fn(|n| byte(8 + n))) % 1_000_000_000);
    for header in Header::ALL {
        let text = header.encode(left);
        if show {
            println!("  {header} of {left:?}: {text:?}");
        }
        // As the notation has it: the number, and a step.
        let (number, step) = if *header == Header::GrpcTimeout {
            let fits = UNITS.iter().rev().find(|(_, unit)| left.as_nanos() / unit < 100_000_000);
            let step = fits.map_or(UNITS[0].1, |unit| unit.1);
            ((left.as_nanos() / step).min(99_999_999), step)
        } else {
            (left.as_millis().min(u128::from(u32::MAX)), 1_000_000)
        };
        let must = (number > 0).then(|| of_nanos(number * step));
        same("what is said", text.map(|text| text.duration()), must)?;
        let Some(text) = text else { continue };
        same("what is read again", meaning(*header, &text), Ok(must))?;
        same("by the crate too", header.parse(text.as_str().as_bytes()), Ok(must))?;
        if text.duration() > left {
            return Err(format!("{header} says {text} of {left:?}: more than is left"));
        }
    }
    Ok(())
}

/// Settings, then values: each a header's number, a length, and that many bytes.
fn policy(data: &[u8], show: bool) -> Outcome {
    let byte = |n: usize| data.get(n).copied().unwrap_or(0);
    let settings = byte(0);
    let limit = |bit: u8, n: usize| (settings >> bit & 1 == 1).then(|| Duration::from_millis(u64::from(byte(n)) * 40));
    let (own, least, most) = (limit(0, 1), limit(1, 2), limit(2, 3));
    let trust = settings >> 3 & 1 == 1;
    let looked_at: Vec<Header> =
        Header::ALL.iter().copied().enumerate().filter(|(n, _)| settings >> (4 + n) & 1 == 0).map(|it| it.1).collect();
    let mut headers = HeaderMap::new();
    let mut rest = data.get(4..).unwrap_or_default();
    while let [which, len, values @ ..] = rest {
        let (value, after) = values.split_at(usize::from(*len % 16).min(values.len()));
        let header = Header::ALL[usize::from(*which) % Header::ALL.len()];
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(header.name(), value);
        }
        rest = after;
    }
    let mut policy = if trust { Policy::trusted() } else { Policy::untrusted() }.headers(&looked_at);
    policy = own.map_or(policy, |own| policy.budget(own));
    policy = least.map_or(policy, |least| policy.at_least(least));
    policy = most.map_or(policy, |most| policy.at_most(most));
    let reading = policy.read(&headers);
    if show {
        println!("  {policy:?}\n  {headers:?}\n  {reading:?}");
    }
    let (mut asked, mut flaw) = (None, None);
    for header in &looked_at {
        let values: Vec<_> = headers.get_all(header.name()).iter().collect();
        let said = match values[..] {
            [] => Ok(None),
            [value] => meaning(*header, value.as_bytes()),
            _ => Err(Flaw::Repeated),
        };
        match said {
            Ok(said) => asked = [asked, said].into_iter().flatten().min(),
            Err(found) => flaw = flaw.or(Some((*header, found))),
        }
    }
    same("asked", reading.asked, asked)?;
    same("malformed", reading.malformed.map(|malformed| (malformed.header(), malformed.flaw())), flaw)?;
    // The table of `Policy`, row by row.
    let least = least.unwrap_or_default();
    let granted = match (asked, trust) {
        (None, true) => own.map(|own| own.max(least)),
        (None, false) => own,
        (Some(asked), true) => Some(asked.max(least)),
        (Some(asked), false) => Some(asked.max(least).min(own.unwrap_or(Duration::MAX))),
    };
    same("budget", reading.budget, [granted, most].into_iter().flatten().min())?;
    if !trust && reading.budget > own && own.is_some() {
        return Err(format!("an untrusted peer got {:?} of {own:?}", reading.budget));
    }
    child(&policy, &headers, flaw.is_some())?;
    outward(&headers)
}

/// The child has that budget, under its parent's.
fn child(policy: &Policy, headers: &HeaderMap, flawed: bool) -> Outcome {
    let (parent, _held) = Context::background().with_timeout(HOUR);
    same("refused", policy.refuse_malformed().child(&parent, headers).is_err(), flawed)?;
    let child = policy.child(&parent, headers).map_err(|error| error.to_string())?;
    let budget = child.reading.budget.unwrap_or(Duration::MAX).min(HOUR);
    match child.context.remaining() {
        Some(left) if left <= budget => Ok(()),
        left => Err(format!("{left:?} remain of {budget:?}")),
    }
}

/// What goes out is never more than remains, and shortening never lengthens.
fn outward(headers: &HeaderMap) -> Outcome {
    let (ctx, _handle) = Context::background().with_timeout(HOUR);
    for header in Header::ALL {
        let mut out = headers.clone();
        let before = header.read(&out).unwrap_or(None);
        let said = shorten(&ctx, *header, &mut out).map_err(|error| error.to_string())?;
        same("what was written", header.read(&out).map_err(|error| error.to_string())?, said)?;
        if said.is_none() || said > Some(HOUR) || before.is_some_and(|before| said > Some(before)) {
            return Err(format!("{header}: {before:?} was made {said:?}"));
        }
        let said = write(&ctx, *header, &mut out).map_err(|error| error.to_string())?;
        if said.is_none() || said > Some(HOUR) {
            return Err(format!("{header}: {said:?} was written of an hour"));
        }
        same("what a reader takes it for", header.read(&out).map_err(|error| error.to_string())?, said)?;
    }
    Ok(())
}
