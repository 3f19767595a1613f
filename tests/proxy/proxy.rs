//! The proxy as a process: started on free ports, asked by its admin endpoint, ended by SIGTERM.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What nothing here takes unless it hangs.
pub(crate) const HANGS: Duration = Duration::from_secs(60);

pub(crate) struct Proxy {
    child: Child,
    /// Its log, read all the time: a full pipe would hold it up.
    log: Option<JoinHandle<String>>,
    pub(crate) addr: SocketAddr,
    pub(crate) admin: SocketAddr,
}

/// The example beside this test, in the same profile. `cargo test` has built it; `cargo test --test proxy` has not.
fn binary() -> PathBuf {
    static BUILD: Once = Once::new();
    let test = std::env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let binary = profile.join("examples").join("proxy");
    BUILD.call_once(|| {
        let name = profile.file_name().unwrap().to_str().unwrap();
        let name = if name == "debug" { "dev" } else { name };
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--example", "proxy", "--profile", name])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("CARGO_TARGET_DIR", profile.parent().unwrap())
            .status();
        assert!(built.unwrap().success() && binary.exists(), "the example was not built");
    });
    binary
}

impl Proxy {
    pub(crate) fn start(upstream: &str, options: &[&str]) -> Proxy {
        let mut command = Command::new(binary());
        command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--upstream", upstream, "--access-log"]);
        let mut child = command.args(options).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut address = |start: &str| loop {
            let mut line = String::new();
            assert!(out.read_line(&mut line).unwrap() > 0, "the proxy did not start");
            if let Some(rest) = line.strip_prefix(start) {
                return rest.split_whitespace().next().unwrap().parse().unwrap();
            }
        };
        let addr = address("proxy: ");
        let admin = address("proxy: admin on ");
        let log = Some(thread::spawn(move || {
            let mut log = String::new();
            out.read_to_string(&mut log).unwrap();
            log
        }));
        Proxy { child, log, addr, admin }
    }

    pub(crate) fn dial(&self) -> TcpStream {
        let stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(HANGS)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// What the admin endpoint says; none once it is gone.
    pub(crate) fn admin(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.admin).ok()?;
        stream.set_read_timeout(Some(HANGS)).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text)
    }

    /// A counter of `/stats`.
    pub(crate) fn count(&self, name: &str) -> u64 {
        count(&self.admin("/stats").expect("the admin endpoint answers"), name)
    }

    /// Until a counter has come to this.
    pub(crate) fn until(&self, name: &str, value: u64) {
        for _ in 0..6000 {
            if self.count(name) == value {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{name} is not {value}: {:?}", self.admin("/stats"));
    }

    /// Until every request has ended and nothing of it is left: no context of any kind but those of the proxy itself and
    /// of the upstream connections that rest.
    pub(crate) fn until_quiet(&self) {
        self.until("in_flight", 0);
        self.until("open_connections", 0);
        for _ in 0..6000 {
            let contexts = self.admin("/contexts").unwrap();
            let left = |kind: &str| -> u64 {
                let line = contexts.lines().find(|line| line.starts_with(&format!("  {kind}"))).unwrap();
                let words: Vec<_> = line[line.find(kind).unwrap() + kind.len()..].split_whitespace().collect();
                words[2].parse().unwrap()
            };
            if ["connection", "client watch", "drain watch", "request", "attempt"].iter().all(|kind| left(kind) == 0) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("something is left: {}", self.admin("/contexts").unwrap());
    }

    pub(crate) fn signal(&self) {
        let kill = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status();
        assert!(kill.unwrap().success());
    }

    /// Ends it, if it has not been asked to end yet, and reads its log. Nothing is left alive in it.
    pub(crate) fn stop(mut self) -> String {
        if self.admin("/health").is_some_and(|health| health.contains("200 OK")) {
            self.signal();
        }
        let log = self.log.take().unwrap().join().unwrap();
        assert!(self.child.wait().unwrap().success(), "{log}");
        assert_eq!(count(&log, "in_flight"), 0, "{log}");
        log
    }

    /// [`stop`](Proxy::stop), once everything has been quiet; then no context is left at all.
    pub(crate) fn stop_quiet(self) -> String {
        self.until_quiet();
        self.stop()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Only of use when a test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn count(stats: &str, name: &str) -> u64 {
    let from = stats.find(&format!("\"{name}\": ")).unwrap_or_else(|| panic!("no {name} in {stats}")) + name.len() + 4;
    let digits: String = stats[from..].chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}
