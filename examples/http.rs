//! A budget through three hops: each one reads what it was given, spends some, and passes on what remains.
//!
//! ```text
//! cargo run --example http --features http
//! ```

use http::{HeaderMap, HeaderValue};
use ripcord::http::{Header, Policy, write};
use ripcord::{Context, Error};
use std::time::Duration;

/// From outside: our own two seconds, or less if the caller says so.
const EDGE: Policy = Policy::untrusted().budget(Duration::from_secs(2));
/// Inside: what the hop above says, but never more than a minute.
const INSIDE: Policy = Policy::trusted().at_most(Duration::from_secs(60));

/// One hop: its context, a little work, and what it tells the next.
fn hop(name: &str, policy: &Policy, incoming: &HeaderMap, work: Duration) -> Result<HeaderMap, Error> {
    let request = policy.child(&Context::background(), incoming).expect("this policy ignores malformed headers");
    if let Some(malformed) = request.reading.malformed {
        println!("{name:>8}: {malformed}, left out");
    }
    println!("{name:>8}: asked {:?}, gets {:?}", request.reading.asked, request.reading.budget);
    if let Some(error) = request.context.wait_timeout(work) {
        return Err(error);
    }
    let mut outgoing = HeaderMap::new();
    write(&request.context, Header::GrpcTimeout, &mut outgoing)?;
    Ok(outgoing)
}

fn main() {
    let mut headers = HeaderMap::new();
    headers.insert("grpc-timeout", HeaderValue::from_static("1H"));
    headers.insert("x-envoy-expected-rq-timeout-ms", HeaderValue::from_static("150 ms"));

    // The client wants an hour, and gets our two seconds.
    let work = Duration::from_millis(20);
    let mut headers = hop("edge", &EDGE, &headers, work).expect("two seconds are enough");
    for name in ["cart", "stock"] {
        println!("{:>8}  grpc-timeout: {}", "", headers["grpc-timeout"].to_str().expect("digits and a unit"));
        headers = hop(name, &INSIDE, &headers, work).expect("what remains is enough");
    }
    let left = Header::GrpcTimeout.read(&headers).expect("well-formed").expect("there is a limit");
    assert!(left <= Duration::from_secs(2) - 3 * work, "every hop's time is off the budget: {left:?}");

    // A hop that cannot make it says so by itself, and asks nobody below.
    headers.insert("grpc-timeout", HeaderValue::from_static("10m"));
    let error = hop("billing", &INSIDE, &headers, Duration::from_secs(60)).expect_err("ten milliseconds are not");
    println!("{:>8}: {error}", "billing");
    assert_eq!(error, Error::DeadlineExceeded);
}
