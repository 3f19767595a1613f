//! A client on a bare socket. It sees what was sent, and whether it was all.

use super::AGES;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// A connection to a proxy, with a request sent.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    sent: Instant,
    bytes: Vec<u8>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// `None` if there was none.
    pub status: Option<u16>,
    /// Without the head, as it is on the wire.
    pub body: Vec<u8>,
    /// Whether the body came to an end, by its length or by its last chunk.
    pub whole: bool,
    /// Since the request was sent.
    pub took: Duration,
}

impl Client {
    /// Sends a request; `more` are further lines of its head.
    ///
    /// # Panics
    ///
    /// Here and below, if nothing comes for a minute, or the socket fails otherwise than by being closed.
    #[must_use]
    pub fn send(to: SocketAddr, method: &str, path: &str, more: &[&str]) -> Client {
        let stream = TcpStream::connect(to).expect("somebody listens");
        stream.set_read_timeout(Some(AGES)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut client = Client { stream, sent: Instant::now(), bytes: Vec::new() };
        client.again(method, path, more);
        client
    }

    /// Another request on the same connection.
    pub fn again(&mut self, method: &str, path: &str, more: &[&str]) {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: origin\r\n");
        for line in more {
            head += line;
            head += "\r\n";
        }
        self.sent = Instant::now();
        self.bytes.clear();
        self.stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
    }

    /// Reads what is there. False: no more will come.
    fn read(&mut self) -> bool {
        let mut buf = [0; 4096];
        match self.stream.read(&mut buf) {
            Ok(0) => false,
            Ok(read) => {
                self.bytes.extend_from_slice(&buf[..read]);
                true
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&self.bytes)),
        }
    }

    /// Waits until so many bytes of the body have come, for so long. Returns whether they have.
    pub fn wait_for_body(&mut self, many: usize) -> bool {
        while self.look().body.len() < many {
            if !self.read() {
                return false;
            }
        }
        true
    }

    /// Reads so many bytes and forgets them. Returns whether they have come.
    pub fn swallow(&mut self, many: usize) -> bool {
        let mut left = many;
        while left > 0 && self.read() {
            left = left.saturating_sub(self.bytes.len());
            self.bytes.clear();
        }
        left == 0
    }

    /// Reads to the end: of the response, or of what comes.
    pub fn finish(&mut self) -> Answer {
        loop {
            let answer = self.look();
            if answer.whole || !self.read() {
                return self.look();
            }
        }
    }

    /// Reads the head, for answers that are nothing else.
    pub fn until_head(&mut self) -> Answer {
        while self.look().status.is_none() && self.read() {}
        self.look()
    }

    /// Whether the connection is closed by the other side, with nothing more said.
    pub fn is_closed(&mut self) -> bool {
        self.bytes.clear();
        !self.read()
    }

    /// What has come so far.
    #[must_use]
    pub fn look(&self) -> Answer {
        let took = self.sent.elapsed();
        let Some(end) = self.bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Answer { status: None, body: Vec::new(), whole: false, took };
        };
        let head = String::from_utf8_lossy(&self.bytes[..end]).to_ascii_lowercase();
        let body = self.bytes[end + 4..].to_vec();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        let whole = match length {
            Some(length) => body.len() >= length,
            None => body.ends_with(b"0\r\n\r\n"),
        };
        Answer { status, body, whole, took }
    }
}

/// Sends a GET and reads the answer.
#[must_use]
pub fn get(to: SocketAddr, path: &str, more: &[&str]) -> Answer {
    Client::send(to, "GET", path, more).finish()
}
