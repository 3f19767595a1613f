//! How a context was made, in words: `context.Background.WithCancel.WithValue(RequestId)`, as Go prints it.
//!
//! The way up is collected in a list and printed from the top: no recursion, however deep the tree.

use super::{Context, Is};
use crate::clock::{self, NEVER, Tick};
use crate::node::{Above, Derived, Extra, Node};
use crate::value::Binding;
use std::fmt::{self, Write};
use std::time::{Duration, SystemTime};

/// Names of ancestors that a detached context keeps; what lies further up is left out.
const KEPT: usize = 32;

/// Bytes of the name of what a detached context was detached from.
const LONG: usize = 1024;

/// One derivation.
enum Part<'a> {
    Node(&'a Node),
    Value(&'a Binding),
}

/// The derivations of a context, the last first, and what they stand on. `None` on top: there are more than asked for.
fn parts(ctx: &Context, most: usize) -> (Vec<Part<'_>>, Option<&str>) {
    let mut parts = Vec::new();
    let mut at = ctx.is();
    while parts.len() < most {
        at = match at {
            Is::Value(binding) => {
                parts.push(Part::Value(binding));
                let base = Context::is_word(&binding.base);
                let inherited = match base {
                    Is::Node(node) => node.values(),
                    // SAFETY: the binding's holders count for it.
                    Is::Base(base) => unsafe { base.values() },
                    Is::Value(_) => unreachable!("a binding's base is never a binding"),
                };
                below(binding.next(), inherited).unwrap_or(base)
            }
            Is::Node(node) => {
                parts.push(Part::Node(node));
                let own = if node.owns_values() { node.values() } else { std::ptr::null() };
                let above = match node.above() {
                    // SAFETY: what is above a node lives as long as the node.
                    Above::Slot(above) | Above::Strong(above) => Is::Node(unsafe { &*above.as_ptr().cast_const() }),
                    Above::Base(base) => Is::Base(base),
                };
                let inherited = match above {
                    Is::Node(above) => above.values(),
                    // SAFETY: as above.
                    Is::Base(base) => unsafe { base.values() },
                    Is::Value(_) => std::ptr::null(),
                };
                below(own, inherited).unwrap_or(above)
            }
            // SAFETY: as above.
            Is::Base(base) => return (parts, Some(unsafe { base.name() })),
        };
    }
    (parts, None)
}

/// The binding that a context was derived from, if it was derived from one and not from what the binding stands on.
fn below<'a>(next: *const Binding, inherited: *const Binding) -> Option<Is<'a>> {
    if next.is_null() || std::ptr::eq(next, inherited) {
        return None;
    }
    // SAFETY: whoever derives from a binding keeps a share of it.
    Some(Is::Value(unsafe { &*next }))
}

fn write_parts(f: &mut impl Write, parts: &[Part<'_>], times: bool) -> fmt::Result {
    for part in parts.iter().rev() {
        match part {
            Part::Value(binding) => write!(f, ".WithValue({})", binding.type_name())?,
            Part::Node(node) => {
                match (node.extra().map_or(Derived::Cancel, |extra: &Extra| extra.kind), node.own_deadline()) {
                    (Derived::CancelFrom, _) => f.write_str(".WithCancelFrom")?,
                    (Derived::CancelOn, _) => f.write_str(".WithCancelOn")?,
                    (Derived::Cancel, NEVER) => f.write_str(".WithCancel")?,
                    (Derived::Cancel, _) if !times => f.write_str(".WithDeadline(..)")?,
                    (Derived::Cancel, at) => write_deadline(f, at)?,
                }
            }
        }
    }
    Ok(())
}

/// The name under which a context without its tree goes.
pub(super) fn detached_name(ctx: &Context) -> String {
    let (parts, top) = parts(ctx, KEPT);
    // A name that has grown long by detaching again and again begins anew.
    let top = top.filter(|top| top.len() <= LONG).unwrap_or("context..");
    let mut name = top.to_owned();
    write_parts(&mut name, &parts, false).expect("a string takes everything");
    name.push_str(".WithoutCancel");
    name
}

/// The instant by the wall clock, and how far it is.
fn write_deadline(f: &mut impl Write, at: Tick) -> fmt::Result {
    let now = clock::now();
    let (ahead, behind) = (Duration::from_nanos(at.saturating_sub(now)), Duration::from_nanos(now.saturating_sub(at)));
    let wall = SystemTime::now();
    let wall = if behind.is_zero() { wall.checked_add(ahead) } else { wall.checked_sub(behind) };
    f.write_str(".WithDeadline(")?;
    match wall.and_then(|wall| wall.duration_since(SystemTime::UNIX_EPOCH).ok()) {
        Some(since) => write_utc(f, since)?,
        None => f.write_str("..")?,
    }
    if behind.is_zero() { write!(f, " [in {ahead:?}])") } else { write!(f, " [{behind:?} ago])") }
}

/// `2026-11-21T22:36:29.123Z`: days to a date as in Howard Hinnant's "chrono-compatible low-level date algorithms".
pub(crate) fn write_utc(f: &mut impl Write, since: Duration) -> fmt::Result {
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", since.subsec_millis())
}

/// Like Go's `String()`: how the context was made, from the root down. Time and memory proportional to the depth.
///
/// ```
/// use ripcord::Context;
///
/// let (ctx, _handle) = Context::background().with_value(7_u32).with_cancel();
/// assert_eq!(ctx.to_string(), "context.Background.WithValue(u32).WithCancel");
/// ```
impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parts, top) = parts(self, usize::MAX);
        f.write_str(top.unwrap_or_default())?;
        write_parts(f, &parts, true)
    }
}

/// [`Display`](fmt::Display), and the state.
impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Context");
        debug.field("made", &format_args!("{self}"));
        match self.cause() {
            None => debug.field("state", &format_args!("live")),
            Some(cause) => debug.field("state", &cause.error()).field("cause", &format_args!("{cause}")),
        };
        debug.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let text = |secs| {
            let mut out = String::new();
            write_utc(&mut out, Duration::from_secs(secs)).unwrap();
            out
        };
        assert_eq!(text(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(text(951_782_400), "2000-02-29T00:00:00.000Z");
        assert_eq!(text(1_795_300_589), "2026-11-21T22:36:29.000Z");
        assert_eq!(text(4_107_542_399), "2100-02-28T23:59:59.000Z");
    }
}
