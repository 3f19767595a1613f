//! Proxies that others have written, as far as they are installed, with one worker each; and the whole example proxy.

use crate::drive::Server;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A process and its children: some do their work in them.
pub(crate) fn family(pid: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    [pid].into_iter().chain(children.split_whitespace().filter_map(|word| word.parse().ok())).collect()
}

fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").to_string()
}

fn nginx(addr: &str, origin: &str) -> String {
    format!(
        "daemon off; worker_processes 1; pid /dev/null; error_log /dev/null;\n\
         events {{ worker_connections 1024; }}\n\
         http {{ access_log off; keepalive_requests 1000000000;\n\
           upstream o {{ server {origin}; keepalive 64; keepalive_requests 1000000000; }}\n\
           server {{ listen {addr}; location / {{ proxy_pass http://o; proxy_http_version 1.1;\n\
             proxy_set_header Connection \"\"; proxy_read_timeout 2s; }} }} }}\n"
    )
}

fn haproxy(addr: &str, origin: &str) -> String {
    format!(
        "global\n  nbthread 1\ndefaults\n  mode http\n  timeout client 60s\n  timeout connect 2s\n  timeout server 2s\n\
         frontend f\n  bind {addr}\n  default_backend b\nbackend b\n  http-reuse always\n  server o {origin}\n"
    )
}

/// Those that are there and answer.
pub(crate) fn start(origin: &str) -> Vec<Server> {
    let directory = std::env::temp_dir().join(format!("ripcord-p16-{}", std::process::id()));
    let _ = std::fs::create_dir_all(&directory);
    let written = |name: &str, text: String| -> String {
        let path = directory.join(name);
        let _ = std::fs::write(&path, text);
        path.to_string_lossy().into_owned()
    };
    let mut servers = Vec::new();
    let mut add = |name: &str, addr: String, command: &mut Command| {
        if let Ok(child) = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
            let server = Server { name: name.to_owned(), child, addr };
            let up = (0..200).any(|_| {
                std::thread::sleep(std::time::Duration::from_millis(10));
                std::net::TcpStream::connect(&server.addr).is_ok()
            });
            if up {
                servers.push(server);
            }
        }
    };
    let addr = free_port();
    let config = written("nginx.conf", nginx(&addr, origin));
    add("nginx", addr, Command::new("nginx").args(["-c", &config]));
    let addr = free_port();
    let config = written("haproxy.cfg", haproxy(&addr, origin));
    add("haproxy", addr, Command::new("haproxy").args(["-f", &config]));
    if let Some(example) = example() {
        let (addr, url) = (free_port(), format!("http://{origin}"));
        add(
            "the example",
            addr.clone(),
            Command::new(example).args(["--listen", &addr, "--upstream", &url, "--threads", "1"]),
        );
    }
    servers
}

/// If it was built in the same profile.
fn example() -> Option<PathBuf> {
    let this = std::env::current_exe().ok()?;
    let path = this.ancestors().nth(2)?.join("examples").join("proxy");
    path.exists().then_some(path)
}
