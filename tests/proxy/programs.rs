//! Clients that others have written, as far as they are installed.

use super::origin::Origin;
use super::proxy::Proxy;
use std::process::{Command, Output};

/// How slow the machine is does not matter to these.
const PATIENT: &[&str] = &["--timeout", "300s", "--attempt-timeout", "300s"];

/// Runs a program; none if it is not there.
fn run(program: &str, arguments: &[&str]) -> Option<Output> {
    match Command::new(program).args(arguments).output() {
        Ok(output) => Some(output),
        Err(error) => {
            println!("{program} is not here ({error}): not tested with it");
            None
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn curl_over_both_versions() {
    let origin = Origin::start();
    let proxy = Proxy::start(&origin.url(), PATIENT);
    let url = |path: &str| format!("http://{}{path}", proxy.addr);
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let ask = |path: &str, millis: u32| {
            let limit = format!("x-envoy-upstream-rq-timeout-ms: {millis}");
            run("curl", &["-sS", version, "-H", &limit, "-w", "\n%{http_code} %{http_version}", &url(path)])
        };
        let Some(fine) = ask("/ok", 300_000) else { return };
        assert!(text(&fine.stdout).starts_with("/ok\n"), "{fine:?}");
        let late = |output: &Output| text(&output.stdout).contains("\n504 ");
        let stalled = ask("/stall", 500).unwrap();
        assert!(late(&stalled), "{stalled:?}");
        // On a machine with much to do the time is up before the drip begins.
        let mut drips = [500, 2_000, 8_000, 32_000].into_iter().map(|millis| ask("/drip", millis).unwrap());
        let cut = drips.find(|output| !late(output)).expect("a beginning");
        assert!(!cut.status.success(), "curl sees that the body is not whole: {cut:?}");
        // curl gives up first.
        let gone = run("curl", &["-sS", version, "--max-time", "0.1", &url("/stall")]).unwrap();
        assert_eq!(gone.status.code(), Some(28), "{gone:?}");
    }
    let log = proxy.stop_quiet();
    assert!(log.contains("HTTP/2.0 request") && log.contains("HTTP/1.1 request"), "{log}");
}

#[test]
fn wrk_finds_no_error_and_leaves_nothing() {
    let origin = Origin::start();
    let proxy = Proxy::start(&origin.url(), PATIENT);
    let url = format!("http://{}/ok", proxy.addr);
    // By itself it calls it an error if an answer takes two seconds.
    let Some(output) = run("wrk", &["-t1", "-c16", "-d1s", "--timeout", "300s", &url]) else { return };
    let report = text(&output.stdout);
    assert!(output.status.success() && report.contains("Requests/sec"), "{report}");
    assert!(!report.contains("Non-2xx") && !report.contains("Socket errors"), "{report}");
    proxy.stop_quiet();
}

#[test]
fn h2load_finds_no_error_on_either_side_and_leaves_nothing() {
    let origin = Origin::start();
    let proxy = Proxy::start(&origin.url(), PATIENT);
    let arguments = |addr: &str| {
        ["-n500", "-c4", "-m8"].map(str::to_owned).into_iter().chain([format!("http://{addr}/ok")]).collect::<Vec<_>>()
    };
    let load = |proxy: &Proxy| {
        let arguments = arguments(&proxy.addr.to_string());
        let output = run("h2load", &arguments.iter().map(String::as_str).collect::<Vec<_>>())?;
        let report = text(&output.stdout);
        assert!(report.contains("500 succeeded, 0 failed, 0 errored, 0 timeout"), "{report}");
        Some(())
    };
    if load(&proxy).is_none() {
        return;
    }
    // A proxy before a proxy: HTTP/2 on both sides of the first.
    let front = Proxy::start(&format!("h2c://{}", proxy.addr), PATIENT);
    load(&front);
    front.stop_quiet();
    proxy.stop_quiet();
}

/// Python's gRPC through the proxy: deadlines and cancelations reach its server, and its client is told what it knows.
#[test]
fn grpcio_through_http2_on_both_sides() {
    let python = std::env::var("RIPCORD_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    match run(&python, &["-c", "import grpc"]) {
        Some(output) if output.status.success() => {}
        _ => return println!("grpcio is not here: not tested with it"),
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proxy/rpc.py");
    let mut server =
        Command::new(&python).args([script, "server"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(server.stdout.take().unwrap()));
    let port = lines.next().unwrap().unwrap();
    let proxy = Proxy::start(&format!("h2c://127.0.0.1:{port}"), PATIENT);
    let client = run(&python, &[script, "client", &proxy.addr.to_string()]).unwrap();
    let said = text(&client.stdout);
    assert!(client.status.success(), "{said}{}", text(&client.stderr));
    // Its own deadline may be noticed first by any of the three.
    assert_eq!(said, "ok hello\ndeadline DEADLINE_EXCEEDED\ncanceled CANCELLED\nstream 3\n");
    let heard: Vec<_> = (0..4).map(|_| lines.next().unwrap().unwrap()).collect();
    let mut heard: Vec<_> = heard.iter().map(String::as_str).collect();
    heard.sort_unstable();
    assert_eq!(
        heard,
        ["asked with at most 60 s", "asked with at most 60 s", "told that nobody waits", "told that nobody waits"]
    );
    let log = proxy.stop_quiet();
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(log.contains("\"requests\": 4"), "{log}");
}
