//! Reading and encoding allocate nothing; writing pays for the header's value.

use crate::common::allocations::{Counting, count};
use crate::{EXPECTED, GRPC, UPSTREAM, headers};
use http::HeaderMap;
use ripcord::Context;
use ripcord::http::{Header, Policy, write};
use std::time::Duration;

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn reading_and_encoding_allocate_nothing() {
    assert_eq!(count(|| Box::new(1)), 1, "the counter counts");
    let map = headers(&[(GRPC, "30S"), (EXPECTED, "2000"), (UPSTREAM, "many"), (UPSTREAM, "more")]);
    let policy = Policy::untrusted().budget(Duration::from_secs(10)).at_most(Duration::from_secs(20));
    assert_eq!(count(|| policy.read(&map)), 0);
    assert_eq!(count(|| Header::GrpcTimeout.parse(b"12345678u")), 0);
    assert_eq!(count(|| Header::GrpcTimeout.parse(b"soon")), 0);
    for header in Header::ALL {
        assert_eq!(count(|| header.encode(Duration::from_millis(12_345))), 0);
    }
}

#[test]
fn a_child_costs_what_a_context_costs() {
    // The node is in the memory of the one before.
    let (root, _handle) = Context::background().with_cancel();
    let least = |f: &dyn Fn() -> usize| (0..100).map(|_| f()).min().unwrap();
    let none = headers(&[]);
    assert_eq!(least(&|| count(|| root.with_cancel())), 0);
    assert_eq!(least(&|| count(|| Policy::untrusted().child(&root, &none))), 0);
    // The timer's, unless its pool has one.
    let map = headers(&[(GRPC, "30S")]);
    assert!(least(&|| count(|| Policy::untrusted().child(&root, &map))) <= 1);
}

#[test]
fn writing_allocates_the_value_only() {
    let (ctx, _handle) = Context::background().with_timeout(Duration::from_secs(30));
    let mut map = HeaderMap::with_capacity(8);
    write(&ctx, Header::GrpcTimeout, &mut map).unwrap();
    let most = (0..100).map(|_| count(|| write(&ctx, Header::GrpcTimeout, &mut map))).max().unwrap();
    assert!(most <= 2, "{most} allocations for a header's value");
}
