//! tonic's server and client on real sockets: statuses, deadlines and cancelations, both ways.

mod client;
mod interceptors;
mod onward;
mod server;
mod status;

/// Runs a test on a thread of its own, beside two for its tasks: it may block. Not for ever.
fn run<F: Future<Output = ()>>(test: F) {
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    rt.block_on(async { tokio::time::timeout(std::time::Duration::from_secs(60), test).await.expect("hangs") });
}
