//! An origin that does what the path says, and remembers how each request ended.

use super::eventually;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How a request ended, as the origin saw it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With a whole response.
    Answered,
    /// The other side closed the connection before that.
    Closed,
    /// With a reset of its own.
    Reset,
}

/// A request, as the origin saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its path.
    pub path: String,
    /// Its head.
    pub head: String,
    /// The number of its connection.
    pub connection: usize,
    /// `None` while it goes on.
    pub end: Option<End>,
}

impl Seen {
    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// The origin. It listens as long as the process lives.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Where.
    pub at: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// Between two bytes that drip.
const DRIP: Duration = Duration::from_millis(10);

impl Origin {
    /// On a port of its own.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn start() -> Origin {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = Origin { at: listener.local_addr().unwrap(), seen: Arc::default() };
        let shared = origin.clone();
        thread::spawn(move || {
            for (number, stream) in listener.incoming().flatten().enumerate() {
                let origin = shared.clone();
                thread::spawn(move || origin.connection(stream, number));
            }
        });
        origin
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All requests for this path, in their order.
    #[must_use]
    pub fn seen(&self, path: &str) -> Vec<Seen> {
        self.lock().iter().filter(|seen| seen.path == path).cloned().collect()
    }

    /// Whether a request for this path has come yet.
    #[must_use]
    pub fn was_asked(&self, path: &str) -> bool {
        self.lock().iter().any(|seen| seen.path == path)
    }

    /// Waits until so many requests for this path have come.
    #[track_caller]
    pub fn until_asked(&self, path: &str, times: usize) {
        eventually("the origin to be asked", || self.seen(path).len() >= times);
    }

    /// Waits until there was a request for this path, and all have ended; how they did.
    #[track_caller]
    pub fn ends(&self, path: &str) -> Vec<End> {
        self.until_asked(path, 1);
        eventually("the origin's exchange to end", || self.seen(path).iter().all(|seen| seen.end.is_some()));
        self.seen(path).iter().filter_map(|seen| seen.end).collect()
    }

    /// Requests, until one ends otherwise than with a whole response.
    fn connection(&self, mut stream: TcpStream, connection: usize) {
        let _ = stream.set_nodelay(true);
        while let Ok(Some(head)) = read_head(&mut stream) {
            let path = head.split(' ').nth(1).unwrap_or_default().to_string();
            let (number, before) = {
                let mut seen = self.lock();
                let before = seen.iter().filter(|seen| seen.path == path).count();
                seen.push(Seen { path: path.clone(), head: head.clone(), connection, end: None });
                (seen.len() - 1, before)
            };
            let body = !head.starts_with("HEAD ");
            let end = answer(&mut stream, &path, before == 0, body).unwrap_or(End::Closed);
            if end == End::Reset {
                let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
            }
            self.lock()[number].end = Some(end);
            if end != End::Answered {
                return;
            }
        }
    }
}

/// `None` at the end of the connection.
fn read_head(stream: &mut TcpStream) -> io::Result<Option<String>> {
    stream.set_read_timeout(None)?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    Ok(Some(String::from_utf8_lossy(&head).into_owned()))
}

/// Whether the other side closes within this time; what it sends meanwhile is thrown away.
fn closed_within(stream: &mut TcpStream, time: Option<Duration>) -> bool {
    if stream.set_read_timeout(time).is_err() {
        return true;
    }
    let mut buf = [0; 1024];
    loop {
        match stream.read(&mut buf) {
            Ok(0) => return true,
            Ok(_) if time.is_none() => {}
            Ok(_) => return false,
            Err(error) => return !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }
}

/// Again and again, until the other side closes.
fn drip(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<End> {
    while !closed_within(stream, Some(DRIP)) {
        stream.write_all(bytes)?;
    }
    Ok(End::Closed)
}

fn stall(stream: &mut TcpStream) -> io::Result<End> {
    closed_within(stream, None);
    Ok(End::Closed)
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// An error is a connection that was closed.
fn answer(stream: &mut TcpStream, path: &str, first: bool, body: bool) -> io::Result<End> {
    match path {
        "/stall" => return stall(stream),
        "/drip-head" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nX-Slow: ")?;
            return drip(stream, b"a");
        }
        "/drip" => {
            stream.write_all(CHUNKED)?;
            return drip(stream, b"1\r\nx\r\n");
        }
        // Its body ends with its connection.
        "/drip-raw" => {
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n")?;
            return drip(stream, b"x");
        }
        "/pause" => {
            stream.write_all(CHUNKED)?;
            stream.write_all(b"1\r\nx\r\n")?;
            return stall(stream);
        }
        "/half" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx")?;
            return stall(stream);
        }
        "/flood" => {
            stream.write_all(CHUNKED)?;
            let mut chunk = b"10000\r\n".to_vec();
            chunk.resize(chunk.len() + 0x10000, b'x');
            chunk.extend_from_slice(b"\r\n");
            loop {
                stream.write_all(&chunk)?;
            }
        }
        "/reset" => return Ok(End::Reset),
        "/reset-once" if first => return Ok(End::Reset),
        "/stall-once" if first => return stall(stream),
        "/empty" => stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?,
        _ => stream.write_all(if body { OK } else { &OK[..OK.len() - 2] })?,
    }
    Ok(End::Answered)
}
