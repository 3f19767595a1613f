//! Counters of a small load, as a scrape would read them.
//!
//! ```text
//! cargo run --example numbers --features metrics
//! ```

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use ripcord::{Context, metrics};
use std::thread;
use std::time::Duration;

/// Requests of a budget of 20 ms, of which every tenth takes longer, and every seventh is given up.
fn load(server: &Context, requests: u32) {
    for n in 1..=requests {
        let (request, handle) = server.with_timeout(Duration::from_millis(20));
        match n {
            n if n % 10 == 0 => drop(request.wait()),
            n if n % 7 == 0 => handle.cancel_cause("client gone"),
            _ => thread::sleep(Duration::from_micros(300)),
        }
    }
}

fn main() {
    let recorder = DebuggingRecorder::new();
    let scrape = recorder.snapshotter();
    recorder.install().expect("the first recorder of the process");
    metrics::describe();

    let (server, _shutdown) = Context::background().with_cancel();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| load(&server, 50));
        }
    });

    // What an endpoint does before it renders.
    metrics::publish();
    for (key, unit, description, value) in scrape.snapshot().into_vec() {
        let labels: Vec<_> = key.key().labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let value = match value {
            DebugValue::Counter(n) => n.to_string(),
            DebugValue::Gauge(n) => n.to_string(),
            DebugValue::Histogram(values) => {
                let median = values.get(values.len() / 2).map_or(0.0, |value| value.0);
                format!("{} values, the one in the middle {median:.6}", values.len())
            }
        };
        let unit = unit.map_or("", |unit| unit.as_str());
        println!(
            "{} {{{}}}: {value}  ({unit}: {})",
            key.key().name(),
            labels.join(","),
            description.unwrap_or_default()
        );
    }

    let counts = metrics::counts();
    assert_eq!((counts.live, counts.deadlines), (1, 0), "the server is left");
    assert_eq!(counts.created, 151);
    assert!(counts.deadline_exceeded >= 15, "on a busy machine some more");
}
