//! The live tree of a small server, in every format.
//!
//! ```text
//! cargo run --example live_tree --features inspect             # as text
//! cargo run --example live_tree --features inspect -- html     # or dot, or json
//! ```

use ripcord::{Context, inspect};
use std::thread;
use std::time::Duration;

fn main() {
    let (server, _shutdown) = Context::background().with_name("server").with_cancel();
    let (admin, _admin) = server.with_name("admin endpoint").with_cancel();
    let (reload, _reload) = server.with_name("reload").with_timeout(Duration::from_secs(90));

    // A connection with two requests: one whose client has gone, one that is being retried.
    let (connection, _open) = server.with_name("connection 10.0.0.7:51234").with_timeout(Duration::from_secs(60));
    let (users, gone) = connection.with_name("GET /users").with_timeout(Duration::from_secs(2));
    let (attempt, _attempt) = users.with_name("try 1").with_timeout(Duration::from_millis(500));
    gone.cancel_cause("client gone");
    let (report, _report) =
        connection.with_name("GET /report?year=2026&for=<all>").with_timeout(Duration::from_secs(30));
    let (late, _late) = report.with_name("try 1").with_timeout_cause(Duration::from_millis(15), "per-try timeout");
    late.wait();
    let (second, _second) = report.with_name("try 2").with_timeout(Duration::from_secs(5));
    let (hedge, _hedge) = report.with_name("hedge").with_cancel_from(&reload);
    // Dropped too early: a relay, kept by what it fetches.
    let (session, session_handle) = connection.with_name("session").with_cancel();
    let (fetch, _fetch) = session.with_name("session fetch").with_cancel_on(std::future::pending::<()>());
    drop((session, session_handle));
    thread::sleep(Duration::from_millis(30));

    let tree = inspect::snapshot();
    match std::env::args().nth(1).as_deref() {
        Some("html") => print!("{}", tree.to_html()),
        Some("dot") => print!("{}", tree.to_dot()),
        Some("json") => print!("{}", tree.to_json()),
        _ => print!("{tree}"),
    }
    assert_eq!(tree.contexts().len(), 12);
    drop((admin, attempt, second, hedge, fetch));
}
