//! P16: what a proxy pays for contexts. The same proxy three ways (see `life`; one of them twice), each a process of its own with one worker
//! thread, driven by `wrk` in short interleaved rounds of one sitting; then, for orientation, whatever else is there.
//!
//! ```text
//! cargo bench --bench p16                        20 rounds of 1 s each
//! cargo bench --bench p16 -- --rounds 60 --seconds 0.5
//! cargo bench --bench p16 -- --beside            nginx, haproxy, Envoy and the example proxy, too, if they are there
//! cargo bench --bench p16 -- --count             instructions per request instead, if valgrind is there
//! ```
//!
//! Two figures: requests per second, and CPU time per request of the proxy's process (user and system, from the kernel's
//! books), which suffers less from a busy machine. Both as the median over rounds of the ratio to the bare proxy in the
//! same round.

mod beside;
mod count;
mod drive;
mod life;
mod proxy;
mod scenes;
#[path = "../../examples/proxy/socket.rs"]
mod socket;

use life::contexts::Contexts;
use life::tokens::Tokens;
use life::{Bare, Life, Times};
use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpListener;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let after = |flag: &str| words.iter().position(|word| word == flag).and_then(|at| words.get(at + 1));
    if words.first().is_some_and(|word| word == "--serve") {
        serve(words[1].clone(), words.get(2).cloned().unwrap_or_default());
        return ExitCode::SUCCESS;
    }
    // `cargo test --benches` asks whether it works at all.
    if !words.iter().any(|word| word == "--bench") {
        play();
        return drive::check();
    }
    if words.iter().any(|word| word == "--count") {
        return count::count(&drive::WAYS);
    }
    let rounds = after("--rounds").and_then(|word| word.parse().ok()).unwrap_or(20);
    let seconds = after("--seconds").and_then(|word| word.parse().ok()).unwrap_or(1.0);
    drive::compare(rounds, Duration::from_secs_f64(seconds), words.iter().any(|word| word == "--beside"))
}

/// Each way keeps its promises.
fn play() {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(1).enable_all().build().expect("a runtime").block_on(async {
        scenes::play::<Contexts<false>>().await;
        println!("contexts end what they have to");
        scenes::play::<Contexts<true>>().await;
        println!("contexts, tied, end what they have to");
        scenes::play::<Tokens>().await;
        println!("tokens end what they have to");
    });
}

async fn forever<L: Life>(listener: TcpListener, upstream: SocketAddr) {
    proxy::serve(L::server(Times::default()), listener, upstream).await;
}

/// A child process: prints its address, and serves until it is killed or its input ends.
fn serve(what: String, upstream: String) {
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(1).enable_io();
    if what == "tokens" {
        // Only its timers are tokio's.
        runtime.enable_time();
    }
    runtime.build().expect("a runtime").block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        println!("{}", listener.local_addr().expect("it is bound"));
        let _ = std::io::stdout().flush();
        let serving = async move {
            let upstream = || upstream.parse().expect("an address");
            match what.as_str() {
                "origin" => drive::origin(listener).await,
                "bare" => forever::<Bare>(listener, upstream()).await,
                "contexts" => forever::<Contexts<false>>(listener, upstream()).await,
                "contexts, tied" => forever::<Contexts<true>>(listener, upstream()).await,
                "tokens" => forever::<Tokens>(listener, upstream()).await,
                other => panic!("what is '{other}'?"),
            }
        };
        // On the worker, not on the thread that blocks.
        tokio::spawn(serving).await.expect("no panic");
    });
}
