//! What a peer asks for, and what it gets.

use crate::common::{assert_ended, far, wait_for};
use crate::{EXPECTED, GRPC, UPSTREAM, headers};
use ripcord::http::{Flaw, Header, Policy};
use ripcord::{Context, Error};
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

fn budget(policy: Policy, pairs: &[(&'static str, &str)]) -> Option<Duration> {
    policy.read(&headers(pairs)).budget
}

#[test]
fn an_untrusted_peer_only_shortens() {
    let policy = Policy::untrusted().budget(10 * SECOND);
    assert_eq!(budget(policy, &[]), Some(10 * SECOND));
    assert_eq!(budget(policy, &[(GRPC, "3S")]), Some(3 * SECOND));
    assert_eq!(budget(policy, &[(GRPC, "1H")]), Some(10 * SECOND));
    assert_eq!(budget(policy, &[(EXPECTED, "0")]), Some(10 * SECOND), "no limit asked for, none lifted");
    assert_eq!(budget(policy, &[(GRPC, "0S")]), Some(Duration::ZERO));
    assert_eq!(budget(policy.at_least(SECOND), &[(GRPC, "1m")]), Some(SECOND));
    assert_eq!(
        budget(policy.at_least(60 * SECOND), &[(GRPC, "1m")]),
        Some(10 * SECOND),
        "raised, but not above our own"
    );
    assert_eq!(budget(policy.at_most(2 * SECOND), &[(GRPC, "3S")]), Some(2 * SECOND));
    assert_eq!(budget(Policy::untrusted(), &[(GRPC, "3S")]), Some(3 * SECOND), "no budget of our own: any is shorter");
    assert_eq!(budget(Policy::untrusted(), &[]), None);
}

#[test]
fn a_trusted_peer_gets_what_it_asks_for_within_the_clamps() {
    let policy = Policy::trusted().budget(10 * SECOND).at_least(2 * SECOND).at_most(60 * SECOND);
    assert_eq!(budget(policy, &[]), Some(10 * SECOND));
    assert_eq!(budget(policy, &[(GRPC, "30S")]), Some(30 * SECOND));
    assert_eq!(budget(policy, &[(GRPC, "1H")]), Some(60 * SECOND));
    assert_eq!(budget(policy, &[(GRPC, "1n")]), Some(2 * SECOND));
    assert_eq!(budget(Policy::trusted().at_most(5 * SECOND), &[]), Some(5 * SECOND), "the cap holds for silence, too");
    assert_eq!(budget(Policy::trusted().at_least(5 * SECOND).at_most(SECOND), &[(GRPC, "3S")]), Some(SECOND));
    assert_eq!(budget(Policy::trusted(), &[(EXPECTED, "0")]), None);
}

#[test]
fn the_shortest_of_several_headers_counts() {
    let all = &[(GRPC, "3S"), (EXPECTED, "2000"), (UPSTREAM, "4000")];
    assert_eq!(budget(Policy::trusted(), all), Some(2 * SECOND));
    assert_eq!(budget(Policy::trusted().headers(&[Header::GrpcTimeout]), all), Some(3 * SECOND));
    assert_eq!(budget(Policy::trusted().headers(&[Header::EnvoyUpstream, Header::GrpcTimeout]), all), Some(3 * SECOND));
    assert_eq!(budget(Policy::trusted().headers(&[]), all), None);
}

#[test]
fn a_malformed_header_is_left_out_and_can_be_seen() {
    let policy = Policy::untrusted().budget(10 * SECOND);
    for (value, flaw) in
        [("", Flaw::Empty), ("3 S", Flaw::NotDigits), ("3", Flaw::NoUnit), ("123456789S", Flaw::TooLong)]
    {
        let reading = policy.read(&headers(&[(GRPC, value), (UPSTREAM, "4000")]));
        assert_eq!(reading.budget, Some(4 * SECOND), "the other one counts");
        assert_eq!(reading.asked, Some(4 * SECOND));
        let malformed = reading.malformed.unwrap();
        assert_eq!((malformed.header(), malformed.flaw()), (Header::GrpcTimeout, flaw));
    }
    let twice = policy.read(&headers(&[(GRPC, "3S"), (GRPC, "4S")]));
    assert_eq!((twice.budget, twice.malformed.unwrap().flaw()), (Some(10 * SECOND), Flaw::Repeated));
    let unread = policy.headers(&[Header::EnvoyUpstream]).read(&headers(&[(GRPC, "?")]));
    assert_eq!(unread.malformed, None, "not looked at, not malformed");
}

#[test]
fn refusing_is_an_error_that_names_the_header() {
    let ctx = Context::background();
    let bad = headers(&[(UPSTREAM, "4000"), (GRPC, "later")]);
    let error = Policy::untrusted().refuse_malformed().child(&ctx, &bad).unwrap_err();
    assert_eq!((error.header(), error.flaw()), (Header::GrpcTimeout, Flaw::NoUnit));
    let good = headers(&[(UPSTREAM, "4000")]);
    assert!(Policy::untrusted().refuse_malformed().child(&ctx, &good).is_ok());
    assert_eq!(Policy::untrusted().child(&ctx, &bad).unwrap().reading.malformed, Some(error));
}

#[test]
fn a_child_counts_from_its_making_and_never_past_its_parent() {
    let before = Instant::now();
    let child = Policy::untrusted().child(&Context::background(), &headers(&[(GRPC, "30S")])).unwrap();
    let deadline = child.context.deadline().unwrap();
    assert!(before + 30 * SECOND <= deadline && deadline <= Instant::now() + 30 * SECOND);

    let at = Instant::now() + 5 * SECOND;
    let (parent, _handle) = Context::background().with_deadline(at);
    let child = Policy::trusted().child(&parent, &headers(&[(GRPC, "99999999H")])).unwrap();
    assert_eq!(child.context.deadline(), parent.deadline());

    let child = Policy::trusted().child(&Context::background(), &headers(&[])).unwrap();
    assert_eq!(child.context.deadline(), None);
    child.handle.cancel();
    assert_eq!(child.context.err(), Some(Error::Canceled));
}

#[test]
fn a_child_ends_when_its_budget_is_spent_and_not_before() {
    let before = Instant::now();
    let child = Policy::untrusted().child(&Context::background(), &headers(&[(GRPC, "20m")])).unwrap();
    assert_eq!(wait_for(&child.context), Error::DeadlineExceeded);
    assert!(before.elapsed() >= Duration::from_millis(20));

    let nothing = Policy::untrusted().child(&Context::background(), &headers(&[(GRPC, "0n")])).unwrap();
    assert_ended(&nothing.context, Error::DeadlineExceeded, "context deadline exceeded");
}

#[test]
fn a_child_of_an_ended_context_is_born_ended() {
    let (parent, handle) = Context::background().with_deadline(far());
    handle.cancel_cause("shutting down");
    let child = Policy::untrusted().child(&parent, &headers(&[(GRPC, "1S")])).unwrap();
    assert_ended(&child.context, Error::Canceled, "shutting down");
}

#[test]
fn a_policy_says_what_it_is() {
    let policy = Policy::trusted().budget(SECOND).headers(&[Header::GrpcTimeout]);
    assert_eq!(
        format!("{policy:?}"),
        "Policy { trusted: true, budget: Some(1s), at_least: 0ns, at_most: None, headers: [GrpcTimeout], refuse_malformed: false }"
    );
    assert_eq!(format!("{:?}", Policy::default()), format!("{:?}", Policy::untrusted()));
}
