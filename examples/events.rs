//! What a log says of a tree that ends bit by bit.
//!
//! ```text
//! cargo run --example events --features tracing
//! ```

use ripcord::Context;
use std::time::Duration;

fn main() {
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_ansi(false).without_time();
    subscriber.init();

    let (server, shutdown) = Context::background().with_name("server").with_cancel();

    // A client that hangs up: its request, and the two attempts below.
    let (request, gone) = server.with_name("GET /users").with_timeout(Duration::from_secs(2));
    let attempts = [request.with_cancel(), request.with_cancel()];
    gone.cancel_cause("client gone");

    // One that takes too long: said by the timer's thread.
    let (slow, _handle) =
        server.with_name("GET /report").with_timeout_cause(Duration::from_millis(30), "the report's budget is spent");
    slow.wait();

    // A thousand that are there when the server goes: one event.
    let many: Vec<_> = (0..1_000).map(|_| server.with_cancel()).collect();
    shutdown.cancel_cause("shutting down");

    assert!(attempts.iter().chain(&many).all(|(ctx, _)| ctx.is_done()));
}
