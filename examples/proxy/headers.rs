//! What a proxy changes in a head.
//!
//! `Host` goes through as the client sent it, so that the upstream can tell its names apart; one is made up from the
//! upstream's address if there is none. `X-Forwarded-For` is continued, not replaced: only its last entry is this
//! proxy's own word. `TE: trailers` is asked again of an HTTP/2 upstream, because trailers are passed on. `Upgrade` is hop-by-hop and not carried on: this proxy does not tunnel.

use crate::upstream;
use http_body_util::{Either, Empty};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Uri, Version};
use std::net::IpAddr;

/// The body of a request on its way up: what the client sends, or nothing.
pub(crate) type Outgoing = Either<Incoming, Empty<Bytes>>;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Those that concern one connection only. `Expect` is among them because hyper has answered it by now.
const HOP_BY_HOP: [HeaderName; 10] = [
    header::CONNECTION,
    header::EXPECT,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Removes what concerns one connection only, and what `Connection` names.
pub(crate) fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// The request as it goes to the upstream.
pub(crate) fn outgoing(request: Request<Incoming>, peer: IpAddr, upstream: &str) -> Request<Outgoing> {
    let (mut head, body) = request.into_parts();
    // A full URL, as sent to a forward proxy, outranks the Host header.
    let host = match head.uri.authority() {
        Some(authority) => HeaderValue::from_str(authority.as_str()).ok(),
        None => head.headers.get(header::HOST).cloned(),
    };
    let trailers = head.headers.get(header::TE).is_some_and(|te| te.as_bytes().starts_with(b"trailers"));
    strip(&mut head.headers);
    if trailers {
        head.headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    if let Some(host) = host {
        head.headers.insert(FORWARDED_HOST, host.clone());
        head.headers.insert(header::HOST, host);
    } else if let Ok(host) = HeaderValue::from_str(upstream) {
        head.headers.insert(header::HOST, host);
    }
    let so_far = head.headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let trail: Vec<String> = so_far.map(str::to_owned).chain([peer.to_string()]).collect();
    if let Ok(trail) = HeaderValue::from_str(&trail.join(", ")) {
        head.headers.insert(FORWARDED_FOR, trail);
    }
    head.headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));

    head.uri = path_of(&head.uri);
    head.version = Version::HTTP_11;
    head.extensions.clear();
    let body = if body.is_end_stream() { Either::Right(Empty::new()) } else { Either::Left(body) };
    Request::from_parts(head, body)
}

/// As HTTP/1 wants it: the host in a header.
pub(crate) fn as_http1(mut request: Request<Outgoing>) -> Request<Outgoing> {
    *request.version_mut() = Version::HTTP_11;
    request.headers_mut().remove(header::TE);
    if request.uri().authority().is_some() {
        *request.uri_mut() = path_of(request.uri());
    }
    request
}

/// As HTTP/2 wants it: the host in the target.
pub(crate) fn as_http2(mut request: Request<Outgoing>) -> Request<Outgoing> {
    *request.version_mut() = Version::HTTP_2;
    let host = request.headers_mut().remove(header::HOST);
    let host = host.as_ref().and_then(|host| host.to_str().ok());
    if let Some(uri) = host.and_then(|host| upstream::absolute(request.uri(), host)) {
        *request.uri_mut() = uri;
    }
    request
}

/// What is asked for, without scheme and host.
pub(crate) fn path_of(uri: &Uri) -> Uri {
    uri.path_and_query().map_or(Uri::from_static("/"), |path| Uri::from(path.clone()))
}

/// The same request once more, if sending it twice does no more than sending it once and its body is not used up.
pub(crate) fn repeatable(request: &Request<Outgoing>) -> Option<Request<Outgoing>> {
    let idempotent = request.method().is_idempotent() && *request.method() != Method::CONNECT;
    if !idempotent || !request.body().is_end_stream() {
        return None;
    }
    let mut copy = Request::new(Either::Right(Empty::new()));
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}
