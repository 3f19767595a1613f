//! Proxies that others have written, as far as they are installed, with one worker each; and the whole example proxy. None of
//! them is tuned: each has what it needs to do the same work as the others, and what it does by default.
//!
//! nginx and haproxy are looked for in `PATH`. So is Envoy, unless `RIPCORD_ENVOY` names one: `ci/envoy` installs it, to
//! `target/venv/lib/python3.*/site-packages/envoy/_bin/envoy`.

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

/// Its retries, circuit breakers and statistics are what they are without a word about them.
fn envoy(addr: &str, origin: &str) -> String {
    let socket = |addr: &str| {
        let (host, port) = addr.rsplit_once(':').expect("host and port");
        format!("{{ socket_address: {{ address: {host}, port_value: {port} }} }}")
    };
    let (addr, origin) = (socket(addr), socket(origin));
    let filters = "type.googleapis.com/envoy.extensions.filters";
    format!(
        r#"
static_resources:
  listeners:
  - address: {addr}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": {filters}.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: f
          stream_idle_timeout: 60s
          http_filters:
          - {{ name: router, typed_config: {{ "@type": {filters}.http.router.v3.Router }} }}
          route_config:
            virtual_hosts:
            - {{ name: all, domains: ["*"], routes: [{{ match: {{ prefix: / }}, route: {{ cluster: o, timeout: 2s }} }}] }}
  clusters:
  - name: o
    type: STATIC
    load_assignment:
      cluster_name: o
      endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {origin} }} }}] }}]
"#
    )
}

/// Those that are there and answer; and what became of the others.
pub(crate) fn start(origin: &str) -> (Vec<Server>, Vec<(String, String)>) {
    let directory = std::env::temp_dir().join(format!("ripcord-p16-{}", std::process::id()));
    let _ = std::fs::create_dir_all(&directory);
    let written = |name: &str, text: String| -> String {
        let path = directory.join(name);
        let _ = std::fs::write(&path, text);
        path.to_string_lossy().into_owned()
    };
    let (mut servers, mut absent) = (Vec::new(), Vec::new());
    let mut add = |name: &str, addr: String, command: &mut Command| {
        let program = command.get_program().to_string_lossy().into_owned();
        let server = match command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
            Ok(child) => Server { name: name.to_owned(), child, addr },
            Err(error) => return absent.push((name.to_owned(), format!("not here: {program}: {error}"))),
        };
        let up = (0..1000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            std::net::TcpStream::connect(&server.addr).is_ok()
        });
        if up {
            servers.push(server);
        } else {
            absent.push((server.name.clone(), format!("{program} does not listen")));
        }
    };
    let addr = free_port();
    let config = written("nginx.conf", nginx(&addr, origin));
    add("nginx", addr, Command::new("nginx").args(["-c", &config]));
    let addr = free_port();
    let config = written("haproxy.cfg", haproxy(&addr, origin));
    add("haproxy", addr, Command::new("haproxy").args(["-f", &config]));
    let (addr, program) = (free_port(), std::env::var_os("RIPCORD_ENVOY").unwrap_or_else(|| "envoy".into()));
    let config = envoy(&addr, origin);
    add(
        "envoy",
        addr,
        Command::new(program).args(["--config-yaml", &config, "--concurrency", "1", "--disable-hot-restart"]),
    );
    let (addr, url) = (free_port(), format!("http://{origin}"));
    let arguments = ["--listen", &addr, "--upstream", &url, "--threads", "1"];
    add("the example", addr.clone(), Command::new(example()).args(arguments));
    (servers, absent)
}

/// There if it was built in the same profile: `cargo build --release --example proxy`.
fn example() -> PathBuf {
    let this = std::env::current_exe().expect("this program");
    this.ancestors().nth(2).expect("it is in deps").join("examples").join("proxy")
}
