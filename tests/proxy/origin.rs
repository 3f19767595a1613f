//! An origin with faults, by hand over blocking sockets, one thread for each connection.
//!
//! | path          | what it does                                                              |
//! |---------------|---------------------------------------------------------------------------|
//! | `/ok`         | answers, with what it was told in the request's headers                   |
//! | `/stall`      | never answers                                                             |
//! | `/slow-head`  | a head, one byte at a time, for ever                                      |
//! | `/drip`       | a head, then a byte now and then, for ever                                |
//! | `/endless`    | a head, then as much as the reader takes                                  |
//! | `/reset`      | resets (SO_LINGER 0) instead of answering                                 |
//! | `/reset-body` | a head and half of the body, then resets                                  |
//! | `/half-close` | closes its sending half instead of answering, and goes on listening       |
//! | `/short`      | announces more than it sends, then closes                                 |
//! | `/garbage`    | something that is no HTTP                                                 |
//! | `/first-slow` | stalls the first time it is asked for this, answers afterwards            |
//! | `/first-reset`| resets the first time, answers afterwards                                 |
//! | `/close`      | answers and closes without having said so                                 |
//! | `/deaf`       | reads the head and never the body                                         |

use super::proxy::HANGS;
use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) struct Origin {
    pub(crate) addr: SocketAddr,
    seen: Receiver<Seen>,
}

/// What the origin saw of a request.
#[derive(Debug, PartialEq)]
pub(crate) enum Seen {
    /// The request, with its head.
    Asked(String),
    /// Its connection was closed or reset by the other side while it was being answered.
    Lost(String),
    /// It was answered, and the answer was taken.
    Answered(String),
}

struct Visit {
    reader: BufReader<TcpStream>,
    seen: Sender<Seen>,
    times: Arc<Mutex<HashMap<String, u32>>>,
}

impl Origin {
    pub(crate) fn start() -> Origin {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let (tell, seen) = channel();
        let times = Arc::default();
        // Ends with the process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, times) = (tell.clone(), Arc::clone(&times));
                thread::spawn(move || {
                    let _ = stream.set_nodelay(true);
                    let mut visit = Visit { reader: BufReader::new(stream), seen, times };
                    while visit.request().is_ok() {}
                });
            }
        });
        Origin { addr, seen }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What it saw next.
    pub(crate) fn saw(&self) -> Seen {
        self.seen.recv_timeout(HANGS).expect("the origin saw nothing more")
    }

    /// The head of the next request.
    pub(crate) fn asked(&self) -> String {
        match self.saw() {
            Seen::Asked(head) => head,
            other => panic!("no request, but {other:?}"),
        }
    }

    /// Until the request for this path was lost.
    pub(crate) fn lost(&self, path: &str) {
        while self.saw() != Seen::Lost(path.to_owned()) {}
    }
}

pub(crate) fn reset(stream: &TcpStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let size = size_of::<libc::linger>() as libc::socklen_t;
    // SAFETY: the option's type and size are the system's, and the descriptor is open.
    let set = unsafe {
        libc::setsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, (&raw const linger).cast(), size)
    };
    assert_eq!(set, 0);
}

impl Visit {
    fn request(&mut self) -> io::Result<()> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.reader.read_line(&mut head)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let _ = self.seen.send(Seen::Asked(head.clone()));
        if path != "/deaf" {
            self.body(&head)?;
        }
        let result = self.answer(&path, &head);
        let what = if result.is_ok() { Seen::Answered(path) } else { Seen::Lost(path) };
        let _ = self.seen.send(what);
        result
    }

    fn body(&mut self, head: &str) -> io::Result<()> {
        let head = head.to_ascii_lowercase();
        if head.contains("transfer-encoding: chunked") {
            let mut line = String::new();
            while line != "0\r\n" {
                line.clear();
                if self.reader.read_line(&mut line)? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            self.reader.read_line(&mut line)?;
            return Ok(());
        }
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
        io::copy(&mut (&mut self.reader).take(length.unwrap_or(0)), &mut io::sink()).map(|_| ())
    }

    fn answer(&mut self, path: &str, head: &str) -> io::Result<()> {
        let first = {
            let mut times = self.times.lock().unwrap();
            let time = times.entry(path.to_owned()).or_default();
            *time += 1;
            *time == 1
        };
        let broken = || Err(io::ErrorKind::ConnectionAborted.into());
        let name = path.split('?').next().unwrap_or_default();
        match name {
            "/stall" | "/deaf" => return self.until_gone(),
            "/first-slow" if first => return self.until_gone(),
            "/slow-head" => {
                self.say(b"HTTP/1.1 200 OK\r\nx-slow: ")?;
                loop {
                    self.say(b"s")?;
                    thread::sleep(Duration::from_millis(10));
                }
            }
            "/drip" => {
                self.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
                loop {
                    self.say(b"1\r\n.\r\n")?;
                    thread::sleep(Duration::from_millis(10));
                }
            }
            "/endless" => {
                self.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
                let mut chunk = b"4000\r\n".to_vec();
                chunk.extend([b'e'; 0x4000]);
                chunk.extend(b"\r\n");
                loop {
                    self.say(&chunk)?;
                }
            }
            "/first-reset" if first => {
                reset(self.stream());
                return broken();
            }
            "/reset" => {
                reset(self.stream());
                return broken();
            }
            "/reset-body" => {
                self.say(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf.")?;
                // A reset may overtake what was said before.
                thread::sleep(Duration::from_millis(30));
                reset(self.stream());
                return broken();
            }
            "/half-close" => {
                self.stream().shutdown(Shutdown::Write)?;
                return self.until_gone();
            }
            "/short" => {
                self.say(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort")?;
                return broken();
            }
            "/garbage" => {
                self.say(b"\x16\x03\x01 this is no HTTP\r\n\r\n")?;
                return broken();
            }
            _ => {}
        }
        let told: Vec<_> = head.lines().filter(|line| line.contains("timeout") || line.starts_with("te:")).collect();
        let body = format!("{name}\n{}\n", told.join("\n"));
        self.say(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).as_bytes())?;
        if name == "/close" { self.stream().shutdown(Shutdown::Both) } else { Ok(()) }
    }

    fn stream(&self) -> &TcpStream {
        self.reader.get_ref()
    }

    fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    /// Listens until the other side goes: that is being lost.
    fn until_gone(&mut self) -> io::Result<()> {
        while self.reader.read(&mut [0; 4096])? > 0 {}
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

/// Reads everything until the other side closes, by FIN (true) or otherwise.
pub(crate) fn hear_all(stream: &mut TcpStream) -> (String, bool) {
    let mut heard = Vec::new();
    let fine = stream.read_to_end(&mut heard).is_ok();
    (String::from_utf8_lossy(&heard).into_owned(), fine)
}

/// Asks for a path on a connection of its own, and hears the whole answer; and how long that took.
pub(crate) fn get(stream: &mut TcpStream, path: &str, headers: &str) -> (String, Duration) {
    let asked = Instant::now();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{headers}\r\n").unwrap();
    (hear_all(stream).0, asked.elapsed())
}
