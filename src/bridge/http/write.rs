//! What remains of a context's budget, onto the wire.

use super::digits::Text;
use super::header::Header;
use crate::context::Context;
use crate::error::Error;
use ::http::{HeaderMap, HeaderValue};
use std::time::Duration;

/// Writes what remains until the context's deadline, in place of what the map said before. Returns what a reader will take
/// it for: never more than remains, so that the deadline on the other side is not later than here (but for the way).
///
/// `Ok(None)` if the context has no deadline; then the header is removed.
///
/// # Errors
///
/// Nothing remains: the context's error if it has ended, else [`Error::DeadlineExceeded`]. The map is left as it is; there
/// is no use in sending it.
///
/// ```
/// use http::HeaderMap;
/// use ripcord::http::{Header, write};
/// use ripcord::{Context, Error};
/// use std::time::Duration;
///
/// let (ctx, handle) = Context::background().with_timeout(Duration::from_secs(5));
/// let mut headers = HeaderMap::new();
/// let said = write(&ctx, Header::GrpcTimeout, &mut headers).unwrap().unwrap();
/// assert!(said <= Duration::from_secs(5));
/// assert!(headers["grpc-timeout"].to_str().unwrap().ends_with('u'));
///
/// handle.cancel();
/// assert_eq!(write(&ctx, Header::GrpcTimeout, &mut headers), Err(Error::Canceled));
/// ```
pub fn write(ctx: &Context, header: Header, headers: &mut HeaderMap) -> Result<Option<Duration>, Error> {
    match left(ctx, header)? {
        Some(text) => Ok(Some(put(header, text, headers))),
        None => {
            headers.remove(header.name());
            Ok(None)
        }
    }
}

/// [`write()`], but a well-formed header that asks for less, or the absence of a deadline, leaves the map as it is. For
/// layers on the way out: whoever set a shorter timeout for one call meant it.
///
/// Returns what the header says afterwards; `Ok(None)` if it says nothing.
///
/// # Errors
///
/// As [`write()`].
pub fn shorten(ctx: &Context, header: Header, headers: &mut HeaderMap) -> Result<Option<Duration>, Error> {
    let text = left(ctx, header)?;
    // A malformed value is no limit.
    let said = header.read(headers).unwrap_or(None);
    Ok(match (text, said) {
        (Some(text), Some(said)) if said <= text.duration() => Some(said),
        (Some(text), _) => Some(put(header, text, headers)),
        (None, said) => said,
    })
}

/// What remains, in words; `None` without a deadline.
fn left(ctx: &Context, header: Header) -> Result<Option<Text>, Error> {
    match (ctx.err(), ctx.remaining()) {
        (Some(error), _) => Err(error),
        (None, None) => Ok(None),
        (None, Some(left)) => header.encode(left).map(Some).ok_or(Error::DeadlineExceeded),
    }
}

fn put(header: Header, text: Text, headers: &mut HeaderMap) -> Duration {
    let value = HeaderValue::from_bytes(&text).expect("digits and a letter make a header's value");
    headers.insert(header.name(), value);
    text.duration()
}
