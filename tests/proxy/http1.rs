//! What can be wrong with a client, over HTTP/1: how long it is borne, and that its going reaches the upstream.

use super::origin::{Origin, get, hear_all, reset};
use super::proxy::Proxy;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);
/// What no test waits for: whoever goes is noticed long before.
const PATIENT: &[&str] = &["--timeout", "300s", "--idle", "300s"];

fn start(options: &[&str]) -> (Origin, Proxy) {
    let origin = Origin::start();
    let proxy = Proxy::start(&origin.url(), options);
    (origin, proxy)
}

const STALL: &str = "GET /stall HTTP/1.1\r\nhost: test\r\n\r\n";

#[test]
fn one_that_goes_takes_its_request_with_it() {
    let (origin, proxy) = start(PATIENT);
    for behind in ["", STALL] {
        let mut client = proxy.dial();
        write!(client, "{STALL}{behind}").unwrap();
        origin.asked();
        drop(client);
        origin.lost("/stall");
    }
    let log = proxy.stop_quiet();
    assert_eq!(log.matches(": the client has gone").count(), 2, "{log}");
    assert!(log.contains("\"client_gone\": 2"), "{log}");
}

#[test]
fn one_that_resets_does_too() {
    let (origin, proxy) = start(PATIENT);
    let mut client = proxy.dial();
    write!(client, "{STALL}").unwrap();
    origin.asked();
    reset(&client);
    drop(client);
    origin.lost("/stall");
    proxy.stop_quiet();
}

#[test]
fn one_that_closes_its_sending_half_is_taken_to_be_gone() {
    let (origin, proxy) = start(PATIENT);
    let mut client = proxy.dial();
    write!(client, "{STALL}").unwrap();
    origin.asked();
    client.shutdown(Shutdown::Write).unwrap();
    origin.lost("/stall");
    assert_eq!(hear_all(&mut client).0, "");
    proxy.stop_quiet();
}

#[test]
fn one_that_goes_inside_the_answer_stops_the_upstream() {
    let (origin, proxy) = start(PATIENT);
    for path in ["/drip", "/endless"] {
        let mut client = proxy.dial();
        write!(client, "GET {path} HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
        client.read_exact(&mut [0; 100]).unwrap();
        drop(client);
        origin.lost(path);
    }
    proxy.stop_quiet();
}

#[test]
fn a_head_that_drips_has_its_time_as_a_whole() {
    let (_origin, proxy) = start(&["--head-timeout", "300ms", "--idle", "300s"]);
    let began = Instant::now();
    let mut client = proxy.dial();
    client.set_read_timeout(Some(10 * MS)).unwrap();
    let mut byte = [0];
    let closed = (0..).any(|_| client.write_all(b"G").is_err() || matches!(client.read(&mut byte), Ok(0)));
    assert!(closed && began.elapsed() >= 300 * MS);
    assert_eq!(proxy.count("requests"), 0);
    proxy.stop_quiet();
}

#[test]
fn a_body_that_drips_up_is_the_requests_time() {
    let (origin, proxy) = start(&["--timeout", "400ms"]);
    let began = Instant::now();
    let mut client = proxy.dial();
    write!(client, "POST /ok HTTP/1.1\r\nhost: test\r\ncontent-length: 100000\r\n\r\n").unwrap();
    let mut reader = client.try_clone().unwrap();
    let answer = std::thread::spawn(move || hear_all(&mut reader).0);
    while !answer.is_finished() {
        // Fails once the proxy has closed.
        let _ = client.write_all(b"d");
        std::thread::sleep(10 * MS);
    }
    let answer = answer.join().unwrap();
    assert!(began.elapsed() >= 400 * MS * 3 / 4);
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    drop(client);
    origin.asked();
    proxy.stop_quiet();
}

#[test]
fn an_idle_connection_is_closed_not_early() {
    // Where the machine is so slow that a request comes after the idle time, there is more of it the next time.
    let served = [300, 1_200, 4_800, 19_200].into_iter().any(|idle| {
        let (_origin, proxy) = start(&["--idle", &format!("{idle}ms")]);
        let began = Instant::now();
        let mut silent = proxy.dial();
        let mut served = proxy.dial();
        let asked = write!(served, "GET /ok HTTP/1.1\r\nhost: test\r\n\r\n");
        let heard = hear_all(&mut served).0;
        assert!(began.elapsed() >= idle * MS);
        assert_eq!(hear_all(&mut silent).0, "");
        proxy.stop_quiet();
        asked.is_ok() && heard.contains("/ok")
    });
    assert!(served);
}

#[test]
fn a_connection_that_is_used_now_and_then_is_kept() {
    const IDLE: Duration = Duration::from_millis(600);
    let (_origin, proxy) = start(&["--idle", "600ms"]);
    // Where the machine is so slow that a pause comes near the idle time, nothing is learned, and it is tried again.
    loop {
        let (began, mut client, mut longest) = (Instant::now(), proxy.dial(), Duration::ZERO);
        let mut connections = None;
        while began.elapsed() < 2 * IDLE && longest < IDLE / 2 {
            let asked = Instant::now();
            write!(client, "GET /ok HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
            let heard = client.read(&mut [0; 4096]).unwrap_or(0);
            connections = connections.or_else(|| Some(proxy.count("connections")));
            std::thread::sleep(20 * MS);
            longest = longest.max(asked.elapsed());
            assert!(heard > 0 || longest >= IDLE / 2, "closed while it was used");
        }
        if longest < IDLE / 2 {
            assert_eq!(Some(proxy.count("connections")), connections);
            break;
        }
    }
    proxy.stop_quiet();
}

#[test]
fn many_at_once_leave_nothing() {
    let (_origin, proxy) = start(&["--timeout", "400ms"]);
    std::thread::scope(|scope| {
        for number in 0..60 {
            let proxy = &proxy;
            scope.spawn(move || {
                let path = ["/ok", "/stall", "/drip", "/reset", "/close", "/short"][number % 6];
                let mut client = proxy.dial();
                if number % 4 == 0 {
                    write!(client, "GET {path} HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
                } else {
                    assert!(get(&mut client, path, "").0.starts_with("HTTP/1.1 "), "{path}");
                }
            });
        }
    });
    let log = proxy.stop_quiet();
    assert!(log.contains("\"requests\": "), "{log}");
}
