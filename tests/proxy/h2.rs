//! Just enough HTTP/2 to misbehave on purpose: frames, and header blocks that need no table.

use std::io::{self, Read, Write};
use std::net::TcpStream;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

pub(crate) const REFUSED_STREAM: u32 = 7;
pub(crate) const CANCEL: u32 = 8;

#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn ends_stream(&self) -> bool {
        self.kind == RST_STREAM || matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }

    pub(crate) fn code(&self) -> u32 {
        u32::from_be_bytes(self.payload[..4].try_into().unwrap())
    }
}

pub(crate) fn write(stream: &mut TcpStream, kind: u8, flags: u8, id: u32, payload: &[u8]) -> io::Result<()> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(id.to_be_bytes());
    frame.extend(payload);
    stream.write_all(&frame)
}

/// The next frame that is of any interest: settings and pings are answered on the way.
pub(crate) fn read(stream: &mut TcpStream) -> io::Result<Frame> {
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let id = u32::from_be_bytes(head[5..].try_into().unwrap()) & 0x7fff_ffff;
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload)?;
        let frame = Frame { kind: head[3], flags: head[4], stream: id, payload };
        match frame.kind {
            SETTINGS | PING if frame.flags & ACK == 0 => {
                let payload = if frame.kind == PING { &frame.payload[..] } else { &[] };
                write(stream, frame.kind, ACK, 0, payload)?;
            }
            DATA | HEADERS | RST_STREAM | GOAWAY => return Ok(frame),
            _ => {}
        }
    }
}

/// Asks for a path: a GET without a body.
pub(crate) fn ask(stream: &mut TcpStream, id: u32, path: &str) {
    // :method GET, :scheme http, and :path and :authority as they are written here.
    let mut block = vec![0x82, 0x86];
    for (index, text) in [(0x04, path), (0x01, "test")] {
        block.extend([index, text.len() as u8]);
        block.extend(text.bytes());
    }
    write(stream, HEADERS, END_HEADERS | END_STREAM, id, &block).unwrap();
}

/// Begins as a client does.
pub(crate) fn greet(stream: &mut TcpStream) {
    stream.write_all(PREFACE).unwrap();
    write(stream, SETTINGS, 0, 0, &[]).unwrap();
}

/// `:status 200`, and a body.
pub(crate) fn answer(stream: &mut TcpStream, id: u32, body: &[u8]) -> io::Result<()> {
    write(stream, HEADERS, END_HEADERS, id, &[0x88])?;
    write(stream, DATA, END_STREAM, id, body)
}

/// `:status 200`, and a body that goes on.
pub(crate) fn begin_answer(stream: &mut TcpStream, id: u32, body: &[u8]) -> io::Result<()> {
    write(stream, HEADERS, END_HEADERS, id, &[0x88])?;
    write(stream, DATA, 0, id, body)
}

/// Lets the connection as a whole take this much more; each stream still has its own window.
pub(crate) fn widen(stream: &mut TcpStream, by: u32) {
    write(stream, WINDOW_UPDATE, 0, 0, &by.to_be_bytes()).unwrap();
}

pub(crate) fn reset_stream(stream: &mut TcpStream, id: u32, code: u32) -> io::Result<()> {
    write(stream, RST_STREAM, 0, id, &code.to_be_bytes())
}

/// Nothing after `last` has been looked at, and nothing more will be.
pub(crate) fn go_away(stream: &mut TcpStream, last: u32) -> io::Result<()> {
    let mut payload = last.to_be_bytes().to_vec();
    payload.extend(0u32.to_be_bytes());
    write(stream, GOAWAY, 0, 0, &payload)
}
