//! SIGTERM: what is idle goes at once, what is at work may finish, then it is told, and a second signal skips ahead.

use super::origin::{Origin, get, hear_all};
use super::proxy::Proxy;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

fn under_way(proxy: &Proxy, origin: &Origin) -> TcpStream {
    let mut stream = proxy.dial();
    write!(stream, "GET /stall HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    while !origin.asked().starts_with("GET /stall") {
        origin.saw();
    }
    stream
}

#[test]
fn idle_ones_close_at_once_and_those_at_work_go_on() {
    let origin = Origin::start();
    let proxy = Proxy::start(&origin.url(), &["--timeout", "300s", "--grace", "300s"]);
    let mut idle = proxy.dial();
    write!(idle, "GET /ok HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    assert!(idle.read(&mut [0; 1000]).unwrap() > 0);
    let mut busy = under_way(&proxy, &origin);
    proxy.signal();
    // Long before the end of the grace.
    hear_all(&mut idle);
    assert!(proxy.admin("/shutdown").unwrap().contains("SIGTERM: going down"));
    assert!(proxy.admin("/health").unwrap().starts_with("HTTP/1.1 503 "));
    // It waits for nobody but the other, which is told by a second signal.
    proxy.signal();
    assert!(hear_all(&mut busy).0.starts_with("HTTP/1.1 503 "));
    let log = proxy.stop();
    assert!(log.contains("running: 1 connection (oldest "), "{log}");
}

#[test]
fn those_at_work_are_told_when_the_grace_is_over() {
    let origin = Origin::start();
    let proxy = Proxy::start(&origin.url(), &["--timeout", "300s", "--grace", "500ms"]);
    let mut busy = under_way(&proxy, &origin);
    let signaled = Instant::now();
    proxy.signal();
    let answer = hear_all(&mut busy).0;
    assert!(signaled.elapsed() >= Duration::from_millis(500));
    assert!(
        answer.starts_with("HTTP/1.1 503 ") && answer.contains("going down (SIGTERM), not finished within"),
        "{answer}"
    );
    origin.lost("/stall");
    let log = proxy.stop();
    assert!(
        log.contains("SIGTERM: down after") && log.contains("cancel  after") && log.contains("left: nothing"),
        "{log}"
    );
    assert!(log.contains("running: 1 connection (oldest "), "{log}");
}

#[test]
fn a_second_signal_does_not_wait() {
    let origin = Origin::start();
    let proxy = Proxy::start(&origin.url(), &["--timeout", "300s", "--grace", "300s"]);
    let mut busy = under_way(&proxy, &origin);
    proxy.signal();
    while proxy.admin("/health").is_some_and(|health| health.contains("200 OK")) {
        std::thread::sleep(Duration::from_millis(5));
    }
    proxy.signal();
    let answer = hear_all(&mut busy).0;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("SIGTERM"), "{answer}");
    let log = proxy.stop();
    assert!(log.contains("left: nothing") && log.contains("\"shutdown\": 1"), "{log}");
}

#[test]
fn during_the_notice_it_says_no_and_still_serves() {
    let origin = Origin::start();
    let proxy = Proxy::start(&origin.url(), &["--notice", "300s", "--grace", "300s"]);
    proxy.signal();
    while proxy.admin("/health").unwrap().contains("200 OK") {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(get(&mut proxy.dial(), "/ok", "").0.starts_with("HTTP/1.1 200 "));
    // The second signal ends the notice. Nobody is there: it is over.
    proxy.signal();
    let log = proxy.stop();
    assert!(log.contains("SIGTERM: down after") && log.contains("left: nothing"), "{log}");
}

/// The listener's guard was taken after signals were heard: one that came in between found nobody at work, and it was over.
#[test]
fn a_signal_that_comes_at_once_does_not_skip_the_notice() {
    let origin = Origin::start();
    for _ in 0..20 {
        let proxy = Proxy::start(&origin.url(), &["--notice", "300s", "--grace", "300s"]);
        proxy.signal();
        while proxy.admin("/health").expect("it is still there").contains("200 OK") {
            std::thread::sleep(Duration::from_millis(1));
        }
        proxy.signal();
        proxy.stop();
    }
}
