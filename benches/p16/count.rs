//! Instructions per request, under callgrind: a figure that does not depend on who else uses the machine.
//!
//! Each way answers N and 2N requests; the difference over N is one request, start and end left out. All of the process is
//! counted, but not the kernel, whose calls are the same for all.

use crate::drive::Server;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, ExitCode};

const REQUESTS: usize = 4_000;
const CONNECTIONS: usize = 32;

pub(crate) fn count(ways: &[&str]) -> ExitCode {
    let origin = Server::start("origin", "");
    let directory = std::env::temp_dir().join(format!("ripcord-p16-{}", std::process::id()));
    let _ = std::fs::create_dir_all(&directory);
    println!("{:<16}{:>22}{:>12}", "proxy", "instructions/request", "to bare");
    let mut bare = None;
    for way in ways {
        let run = |requests| instructions(way, &origin.addr, requests, &directory);
        let (Some(once), Some(twice)) = (run(REQUESTS), run(2 * REQUESTS)) else {
            eprintln!("p16: valgrind is not here, or has not counted");
            return ExitCode::FAILURE;
        };
        let each = (twice - once) / REQUESTS as f64;
        println!("{way:<16}{each:>22.0}{:>+12.0}", each - *bare.get_or_insert(each));
    }
    let _ = std::fs::remove_dir_all(directory);
    ExitCode::SUCCESS
}

/// Of a whole process that answers so many.
fn instructions(way: &str, origin: &str, requests: usize, directory: &Path) -> Option<f64> {
    let out = directory.join("count");
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--tool=callgrind"]).arg(format!("--callgrind-out-file={}", out.display()));
    valgrind.arg(std::env::current_exe().expect("this program"));
    let server = Server::start_by(valgrind, way, origin)?;
    ask(&server.addr, requests);
    server.end();
    let text = std::fs::read_to_string(out).ok()?;
    text.lines().find_map(|line| line.strip_prefix("totals: "))?.trim().parse().ok()
}

/// Asks by all connections, then listens by all, until there have been so many answers.
fn ask(addr: &str, requests: usize) {
    let mut streams: Vec<TcpStream> = (0..CONNECTIONS).map(|_| TcpStream::connect(addr).expect("it listens")).collect();
    for _ in 0..requests / CONNECTIONS {
        for stream in &mut streams {
            stream.write_all(b"GET / HTTP/1.1\r\nhost: count\r\n\r\n").expect("it reads");
        }
        for stream in &mut streams {
            let mut heard = Vec::new();
            while !heard.ends_with(b"hello, proxy!") {
                let mut part = [0; 1024];
                let length = stream.read(&mut part).expect("it answers");
                assert!(length > 0, "closed");
                heard.extend_from_slice(&part[..length]);
            }
        }
    }
}
