//! What can be wrong with an upstream, over HTTP/1: what the client is told, what the upstream sees, what is left.

use super::origin::{Origin, Seen, get};
use super::proxy::Proxy;
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);

fn start(options: &[&str]) -> (Origin, Proxy) {
    let origin = Origin::start();
    let proxy = Proxy::start(&origin.url(), options);
    (origin, proxy)
}

/// Asks once; the answer, how long it took, and afterwards everything is gone. What the origin saw is left to be read.
fn ask(options: &[&str], path: &str, headers: &str) -> (Origin, String, Duration, String) {
    let (origin, proxy) = start(options);
    let (answer, took) = get(&mut proxy.dial(), path, headers);
    let log = proxy.stop_quiet();
    (origin, answer, took, log)
}

fn saw(origin: &Origin, path: &str, what: &str) {
    for letter in what.chars() {
        let seen = origin.saw();
        let right = match (&seen, letter) {
            (Seen::Asked(head), 'a') => head.split(' ').nth(1) == Some(path),
            (Seen::Lost(seen), 'l') | (Seen::Answered(seen), 'A') => seen == path,
            _ => false,
        };
        assert!(right, "{seen:?} instead of {letter} of {path}: {what}");
    }
}

const STRICT: &[&str] = &["--timeout", "1500ms", "--attempt-timeout", "1s", "--tries", "2", "--retry-floor", "100"];

#[test]
fn one_that_stalls_is_given_up_after_the_attempt_not_early_and_not_asked_again() {
    let (origin, answer, took, log) = ask(STRICT, "/stall", "");
    assert!(answer.starts_with("HTTP/1.1 504 ") && answer.contains("the attempt was not finished in 1s"), "{answer}");
    assert!(took >= 1000 * MS);
    saw(&origin, "/stall", "al");
    assert!(log.contains("504, 0 bytes") && log.contains("1 attempt(s)"), "{log}");
}

#[test]
fn a_head_that_drips_is_no_head() {
    let (origin, answer, took, _) = ask(STRICT, "/slow-head", "");
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    assert!(took >= 1000 * MS);
    saw(&origin, "/slow-head", "al");
}

#[test]
fn a_body_that_drips_ends_with_the_request_not_early() {
    let (origin, answer, took, log) = ask(STRICT, "/drip", "");
    assert!(answer.starts_with("HTTP/1.1 200 ") && !answer.ends_with("0\r\n\r\n"), "{answer}");
    assert!(took >= 1500 * MS);
    saw(&origin, "/drip", "al");
    assert!(log.contains("the request was not finished in 1.5s"), "{log}");
}

#[test]
fn a_body_without_end_to_a_client_that_does_not_read_is_let_go_at_the_deadline() {
    let (origin, proxy) = start(STRICT);
    let mut client = proxy.dial();
    write!(client, "GET /endless HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    client.read_exact(&mut [0; 1000]).unwrap();
    saw(&origin, "/endless", "al");
    drop(client);
    assert!(proxy.stop_quiet().contains("not finished in 1.5s"));
}

#[test]
fn a_client_that_stops_reading_is_cut_off_at_the_deadline_while_it_is_still_there() {
    let (origin, proxy) = start(&[STRICT, &["--idle", "300s"]].concat());
    let mut client = proxy.dial();
    let asked = Instant::now();
    write!(client, "GET /endless HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    client.read_exact(&mut [0; 1000]).unwrap();
    saw(&origin, "/endless", "al");
    // Nothing is left of it, and the client has neither read on nor gone.
    proxy.until_quiet();
    assert!(asked.elapsed() >= 1500 * MS);
    let end = client.read_to_end(&mut Vec::new()).expect_err("reset, not closed");
    assert_eq!(end.kind(), ErrorKind::ConnectionReset);
    let log = proxy.stop();
    assert!(log.contains("200, ") && log.contains("the request was not finished in 1.5s"), "{log}");
}

#[test]
fn one_that_resets_is_asked_twice_and_a_post_once() {
    let (origin, answer, _, log) = ask(STRICT, "/reset", "");
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("the upstream broke off"), "{answer}");
    saw(&origin, "/reset", "alal");
    assert!(log.contains("\"retries\": 1"), "{log}");

    let (origin, proxy) = start(STRICT);
    let mut client = proxy.dial();
    write!(client, "POST /reset HTTP/1.1\r\nhost: test\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbody").unwrap();
    assert!(super::origin::hear_all(&mut client).0.starts_with("HTTP/1.1 502 "));
    saw(&origin, "/reset", "al");
    assert!(proxy.stop_quiet().contains("\"retries\": 0"));
}

#[test]
fn one_that_resets_once_is_asked_again_and_the_client_does_not_notice() {
    let (origin, answer, _, log) = ask(STRICT, "/first-reset", "");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("/first-reset"), "{answer}");
    saw(&origin, "/first-reset", "alaA");
    assert!(log.contains("2 attempt(s)") && log.contains("\"retries\": 1"), "{log}");
}

#[test]
fn without_a_budget_for_retries_it_is_not() {
    let (origin, answer, _, log) = ask(&["--retry-ratio", "0", "--retry-floor", "0"], "/first-reset", "");
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    saw(&origin, "/first-reset", "al");
    assert!(log.contains("\"retries\": 0") && log.contains("\"unaffordable_retries\": 1"), "{log}");
}

#[test]
fn a_reset_inside_the_body_reaches_the_client_as_a_cut() {
    let (origin, answer, _, log) = ask(STRICT, "/reset-body", "");
    assert!(answer.starts_with("HTTP/1.1 200 ") && !answer.contains("half.half"), "{answer}");
    assert!(log.contains("the upstream broke off"), "{log}");
    saw(&origin, "/reset-body", "al");
}

#[test]
fn one_that_closes_its_half_without_an_answer_has_broken_off() {
    let (origin, answer, _, _) = ask(STRICT, "/half-close", "");
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("the upstream broke off"), "{answer}");
    saw(&origin, "/half-close", "alal");
}

#[test]
fn a_body_shorter_than_announced_is_a_cut() {
    let (origin, answer, _, log) = ask(STRICT, "/short", "");
    assert!(answer.ends_with("\r\n\r\nshort") && answer.contains("content-length: 10"), "{answer}");
    assert!(log.contains("the upstream broke off"), "{log}");
    saw(&origin, "/short", "al");
}

#[test]
fn what_is_no_http_is_not_asked_for_again() {
    let (origin, answer, _, log) = ask(STRICT, "/garbage", "");
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    saw(&origin, "/garbage", "al");
    assert!(log.contains("1 attempt(s)"), "{log}");
}

#[test]
fn a_resting_connection_that_was_closed_costs_nothing() {
    let (origin, proxy) = start(&["--retry-ratio", "0", "--retry-floor", "0"]);
    for _ in 0..3 {
        let (answer, _) = get(&mut proxy.dial(), "/close", "");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        saw(&origin, "/close", "aA");
    }
    let log = proxy.stop_quiet();
    assert!(log.contains("\"unaffordable_retries\": 0"), "{log}");
}

#[test]
fn nobody_there_is_said_so() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let proxy = Proxy::start(&url, STRICT);
    let (answer, _) = get(&mut proxy.dial(), "/ok", "");
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("no connection to the upstream"), "{answer}");
    proxy.stop_quiet();
}

#[test]
fn a_hedge_overtakes_an_attempt_that_hangs_and_that_one_is_dropped() {
    let (origin, answer, took, log) = ask(&["--hedge", "50ms", "--timeout", "60s"], "/first-slow", "");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("/first-slow"), "{answer}");
    assert!(took >= 50 * MS);
    assert!(log.contains("\"hedges\": 1") && log.contains("2 attempt(s)"), "{log}");
    assert_eq!(origin.asked().split(' ').nth(1), origin.asked().split(' ').nth(1));
    let ends = [origin.saw(), origin.saw()];
    assert!(ends.contains(&Seen::Lost("/first-slow".into())) && ends.contains(&Seen::Answered("/first-slow".into())));
}

#[test]
fn a_client_may_ask_for_less_time_never_for_more() {
    let (origin, answer, took, _) = ask(STRICT, "/stall", "x-envoy-upstream-rq-timeout-ms: 700\r\n");
    assert!(
        answer.starts_with("HTTP/1.1 504 ") && answer.contains("the request was not finished in 700ms"),
        "{answer}"
    );
    assert!(took >= 700 * MS);
    let told = |head: &str| -> u64 {
        let value = head.lines().find_map(|line| line.strip_prefix("x-envoy-expected-rq-timeout-ms: "));
        value.expect("the upstream is told what is left").parse().unwrap()
    };
    let head = origin.asked();
    assert!(told(&head) <= 700 && !head.contains("x-envoy-upstream-rq-timeout-ms"), "{head}");

    let (origin, answer, took, _) = ask(STRICT, "/stall", "x-envoy-upstream-rq-timeout-ms: 60000\r\n");
    assert!(answer.contains("the attempt was not finished in 1s") && took >= 1000 * MS, "{answer}");
    assert!(told(&origin.asked()) <= 1000);
    let (_, answer, took, _) = ask(STRICT, "/stall", "x-envoy-upstream-rq-per-try-timeout-ms: 500\r\n");
    assert!(answer.contains("the attempt was not finished in 500ms") && took >= 500 * MS, "{answer}");
}

/// As Envoy means it.
#[test]
fn a_client_that_says_zero_has_asked_for_no_limit() {
    let zeros = "x-envoy-upstream-rq-timeout-ms: 0\r\nx-envoy-upstream-rq-per-try-timeout-ms: 0\r\n";
    let (origin, answer, took, _) = ask(STRICT, "/stall", zeros);
    assert!(answer.contains("the attempt was not finished in 1s") && took >= 1000 * MS, "{answer}");
    saw(&origin, "/stall", "al");
}

#[test]
fn a_grpc_client_is_told_in_its_own_words() {
    let grpc = "content-type: application/grpc\r\nte: trailers\r\ngrpc-timeout: 800m\r\n";
    let (origin, answer, took, _) = ask(STRICT, "/stall", grpc);
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("grpc-status: 4\r\n"), "{answer}");
    assert!(took >= 800 * MS);
    let head = origin.asked();
    let told = head.lines().find_map(|line| line.strip_prefix("grpc-timeout: ")).expect("the upstream is told");
    let (digits, unit) = told.split_at(told.len() - 1);
    let nanos = digits.parse::<u64>().unwrap() * if unit == "u" { 1000 } else { 1 };
    assert!(nanos <= 800_000_000 && matches!(unit, "u" | "n"), "{told}");
}
