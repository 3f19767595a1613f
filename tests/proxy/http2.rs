//! The same over HTTP/2, where going away is about streams: on the client's side, and on the upstream's.

use super::h2::{self, Frame};
use super::origin::{Origin, get};
use super::proxy::{HANGS, Proxy};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);
const PATIENT: &[&str] = &["--timeout", "300s", "--idle", "300s"];

fn client(proxy: &Proxy) -> TcpStream {
    let mut stream = proxy.dial();
    h2::greet(&mut stream);
    stream
}

/// Reads until this stream ends: its data, and whether it came to its proper end.
fn hear(stream: &mut TcpStream, id: u32) -> (String, bool) {
    let mut body = Vec::new();
    loop {
        let frame = h2::read(stream).expect("the connection stays");
        if frame.stream != id {
            continue;
        }
        if frame.kind == h2::DATA {
            body.extend(&frame.payload);
        }
        if frame.ends_stream() {
            return (String::from_utf8(body).unwrap(), frame.kind != h2::RST_STREAM);
        }
    }
}

#[test]
fn a_client_is_served_and_its_reset_stream_reaches_the_upstream_alone() {
    let origin = Origin::start();
    let proxy = Proxy::start(&origin.url(), PATIENT);
    let mut stream = client(&proxy);
    h2::ask(&mut stream, 1, "/stall");
    origin.asked();
    h2::ask(&mut stream, 3, "/ok");
    let (body, whole) = hear(&mut stream, 3);
    assert!(body.starts_with("/ok") && whole, "{body}");
    h2::reset_stream(&mut stream, 1, h2::CANCEL).unwrap();
    origin.lost("/stall");
    h2::ask(&mut stream, 5, "/ok");
    assert!(hear(&mut stream, 5).1, "the connection goes on");
    drop(stream);
    let log = proxy.stop_quiet();
    assert!(log.contains("HTTP/2.0 request ") && log.contains("\"client_gone\": 1"), "{log}");
}

#[test]
fn a_client_that_goes_takes_all_its_streams_with_it() {
    let origin = Origin::start();
    let proxy = Proxy::start(&origin.url(), PATIENT);
    let mut stream = client(&proxy);
    for number in 0..5 {
        h2::ask(&mut stream, 1 + 2 * number, &format!("/stall?{number}"));
        origin.asked();
    }
    drop(stream);
    for _ in 0..5 {
        assert!(matches!(origin.saw(), super::origin::Seen::Lost(_)));
    }
    assert!(proxy.stop_quiet().contains("\"client_gone\": 5"));
}

#[test]
fn deadlines_hold_for_heads_and_bodies_of_streams() {
    let origin = Origin::start();
    let proxy = Proxy::start(&origin.url(), &["--timeout", "1500ms", "--attempt-timeout", "1s"]);
    let (began, mut stream) = (Instant::now(), client(&proxy));
    h2::ask(&mut stream, 1, "/stall");
    let (body, whole) = hear(&mut stream, 1);
    assert!(body.starts_with("504 ") && whole && began.elapsed() >= 1000 * MS, "{body}");
    let began = Instant::now();
    h2::ask(&mut stream, 3, "/drip");
    assert!(!hear(&mut stream, 3).1, "a body that is cut does not look whole");
    assert!(began.elapsed() >= 1500 * MS);
    drop(stream);
    proxy.stop_quiet();
}

#[test]
fn a_stream_that_its_client_does_not_read_is_reset_at_the_deadline_alone() {
    let origin = Origin::start();
    let proxy = Proxy::start(&origin.url(), &["--timeout", "1500ms", "--idle", "300s"]);
    let (began, mut stream) = (Instant::now(), client(&proxy));
    h2::widen(&mut stream, 1 << 20);
    // The window of a stream is never widened here: it takes 65535 bytes.
    h2::ask(&mut stream, 1, "/endless");
    let (mut heard, mut reset) = (0, None);
    while reset.is_none() {
        let frame = h2::read(&mut stream).expect("the connection stays");
        assert_eq!(frame.stream, 1);
        match frame.kind {
            h2::DATA => heard += frame.payload.len(),
            h2::RST_STREAM => reset = Some(frame.code()),
            _ => {}
        }
    }
    assert!(began.elapsed() >= 1500 * MS);
    assert_eq!((heard, reset), (65535, Some(h2::CANCEL)));
    origin.lost("/endless");
    proxy.until("in_flight", 0);
    h2::ask(&mut stream, 3, "/ok");
    assert!(hear(&mut stream, 3).1, "the connection goes on");
    drop(stream);
    let log = proxy.stop_quiet();
    assert!(log.contains("the request was not finished in 1.5s"), "{log}");
}

#[test]
fn an_idle_connection_is_told_to_go_by_sigterm_and_a_busy_one_when_it_is_done() {
    let origin = Origin::start();
    let proxy = Proxy::start(&origin.url(), &["--timeout", "300s", "--grace", "300ms"]);
    let (mut idle, mut busy) = (client(&proxy), client(&proxy));
    h2::ask(&mut idle, 1, "/ok");
    hear(&mut idle, 1);
    h2::ask(&mut busy, 1, "/stall");
    while !origin.asked().starts_with("GET /stall") {
        origin.saw();
    }
    proxy.signal();
    while h2::read(&mut idle).unwrap().kind != h2::GOAWAY {}
    // Answers the ping that tells the server that everything sent before has arrived.
    while h2::read(&mut idle).is_ok() {}
    let mut body = String::new();
    while let Ok(Frame { kind, payload, .. }) = h2::read(&mut busy) {
        if kind == h2::DATA {
            body += &String::from_utf8(payload).unwrap();
        }
    }
    assert!(body.starts_with("503 ") && body.contains("SIGTERM"), "{body}");
    let log = proxy.stop();
    assert!(log.contains("SIGTERM: down after ") && log.contains("left: nothing"), "{log}");
}

/// What an HTTP/2 upstream does with the requests that come to it, one after another.
#[derive(Copy, Clone)]
enum Does {
    Answer,
    /// Says that it has not looked at it, and closes.
    GoAway,
    /// Answers, says that there will be no more, and closes when asked to.
    AnswerAndGoAway,
    Refuse,
    Stall,
    /// A head, and a byte of the body.
    Begin,
    /// Closes the connection.
    Vanish,
}

struct Upstream {
    url: String,
    /// Resets of streams, by their code; 0 for a connection that was closed.
    resets: Receiver<u32>,
    asked: Receiver<()>,
}

fn upstream(script: &[Does]) -> Upstream {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("h2c://{}", listener.local_addr().unwrap());
    let (tell_reset, resets) = channel();
    let (tell_asked, asked) = channel();
    let script = script.to_vec();
    std::thread::spawn(move || {
        let mut script = script.into_iter();
        for mut stream in listener.incoming().flatten() {
            stream.set_nodelay(true).unwrap();
            let mut preface = [0; h2::PREFACE.len()];
            if std::io::Read::read_exact(&mut stream, &mut preface).is_err() {
                continue;
            }
            h2::write(&mut stream, h2::SETTINGS, 0, 0, &[]).unwrap();
            loop {
                let Ok(frame) = h2::read(&mut stream) else {
                    let _ = tell_reset.send(0);
                    break;
                };
                match frame.kind {
                    h2::RST_STREAM => drop(tell_reset.send(frame.code())),
                    h2::HEADERS => {
                        let _ = tell_asked.send(());
                        let id = frame.stream;
                        let done = match script.next().unwrap_or(Does::Answer) {
                            Does::Answer => h2::answer(&mut stream, id, b"answer"),
                            Does::GoAway => {
                                let _ = h2::go_away(&mut stream, 0);
                                break;
                            }
                            Does::AnswerAndGoAway => {
                                h2::answer(&mut stream, id, b"answer").and_then(|()| h2::go_away(&mut stream, id))
                            }
                            Does::Refuse => h2::reset_stream(&mut stream, id, h2::REFUSED_STREAM),
                            Does::Stall => Ok(()),
                            Does::Begin => h2::begin_answer(&mut stream, id, b"b"),
                            Does::Vanish => break,
                        };
                        if done.is_err() {
                            break;
                        }
                    }
                    _ => {}
                }
            }
        }
    });
    Upstream { url, resets, asked }
}

/// Asks so many times, each on a connection of its own: the answers; then everything is quiet.
fn ask(script: &[Does], options: &[&str], times: usize) -> (Vec<String>, Upstream, String) {
    let upstream = upstream(script);
    let proxy = Proxy::start(&upstream.url, options);
    let answers = (0..times).map(|_| get(&mut proxy.dial(), "/any", "").0).collect();
    let log = proxy.stop_quiet();
    (answers, upstream, log)
}

fn all_fine(answers: &[String]) -> bool {
    answers.iter().all(|answer| answer.starts_with("HTTP/1.1 200 ") && answer.contains("\r\nanswer\r\n"))
}

#[test]
fn an_upstream_carries_many_on_one_connection() {
    let (answers, _, log) = ask(&[], PATIENT, 5);
    assert!(all_fine(&answers), "{answers:?}");
    assert!(log.contains("\"upstream_connections\": 1,"), "{log}");
}

#[test]
fn one_that_goes_away_without_having_looked_is_asked_again_on_a_new_connection() {
    for does in [Does::GoAway, Does::Vanish] {
        let (answers, _, log) = ask(&[does], PATIENT, 1);
        assert!(all_fine(&answers), "{answers:?}");
        assert!(log.contains("\"upstream_connections\": 2,") && log.contains("2 attempt(s)"), "{log}");
    }
}

#[test]
fn one_that_goes_away_after_its_answer_costs_the_next_request_nothing() {
    let (answers, _, log) = ask(&[Does::AnswerAndGoAway], PATIENT, 3);
    assert!(all_fine(&answers), "{answers:?}\n{log}");
}

#[test]
fn a_refused_stream_is_asked_again() {
    let (answers, _, log) = ask(&[Does::Refuse], PATIENT, 1);
    assert!(all_fine(&answers), "{answers:?}");
    assert!(log.contains("2 attempt(s)"), "{log}");
}

#[test]
fn one_that_stalls_has_its_stream_reset_and_keeps_its_connection() {
    let options = ["--timeout", "2s", "--attempt-timeout", "1s"];
    let (answers, upstream, log) = ask(&[Does::Stall, Does::Answer], &options, 2);
    assert!(answers[0].starts_with("HTTP/1.1 504 ") && all_fine(&answers[1..]), "{answers:?}");
    assert_eq!(upstream.resets.recv_timeout(HANGS).unwrap(), h2::CANCEL);
    assert!(log.contains("\"upstream_connections\": 1,"), "{log}");
}

#[test]
fn a_client_that_goes_resets_the_stream_before_and_inside_the_answer() {
    for does in [Does::Stall, Does::Begin] {
        let upstream = upstream(&[does]);
        let proxy = Proxy::start(&upstream.url, PATIENT);
        let mut stream = proxy.dial();
        std::io::Write::write_all(&mut stream, b"GET /any HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
        upstream.asked.recv_timeout(HANGS).unwrap();
        if matches!(does, Does::Begin) {
            std::io::Read::read_exact(&mut stream, &mut [0; 20]).unwrap();
        }
        drop(stream);
        assert_eq!(upstream.resets.recv_timeout(HANGS).unwrap(), h2::CANCEL);
        assert!(proxy.stop_quiet().contains("\"client_gone\": 1"));
    }
}

#[test]
fn a_deadline_inside_the_answer_resets_the_stream_though_the_client_does_not_read() {
    let upstream = upstream(&[Does::Begin]);
    let proxy = Proxy::start(&upstream.url, &["--timeout", "1s"]);
    let mut stream = proxy.dial();
    std::io::Write::write_all(&mut stream, b"GET /any HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    assert_eq!(upstream.resets.recv_timeout(HANGS).unwrap(), h2::CANCEL);
    drop(stream);
    proxy.stop_quiet();
}
