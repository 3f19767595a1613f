//! A reverse proxy in which every cancelation and every deadline is a ripcord context.
//!
//! ```text
//! cargo run --release --example proxy                     a demonstration on loopback, checked and summed up in a table
//! cargo run --release --example proxy -- --listen 127.0.0.1:8080 --upstream http://127.0.0.1:9000
//! ```
//!
//! # The tree
//!
//! ```text
//! server            ended by SIGTERM or ctrl-c; the cause names the signal, and the shutdown begins
//!
//! abort             the stages of the shutdown: each is a child of the next, and ends when it comes
//!   cancel          the grace is over
//!     drain         no more connections, no more requests on the ones there are
//!     connection    one deadline: idle, head, busy; moved by one store
//!       watch       a foreign parent: ends when the client's socket hangs up
//!         request   deadline (the client may shorten it), request id; held until the last byte of the response
//!           attempt a shorter deadline, for the response head; made again when the first was lost, or beside it
//!   upstream        one connection to the upstream: idle deadline in the pool, none while it is lent,
//!                   ended by the request that borrowed it, when that ends early (after_func)
//! ```
//!
//! # The files
//!
//! | file        | what it shows                                                                |
//! |-------------|------------------------------------------------------------------------------|
//! | server.rs   | accepting, draining in stages, the life of a client connection               |
//! | pace.rs     | the one deadline of a connection, which means something else in each phase   |
//! | hangup.rs   | seeing the client go, as a future                                            |
//! | socket.rs   | a stream that is watched while it is read and written                        |
//! | unread.rs   | a client that does not read its answer                                       |
//! | forward.rs  | a request and its attempts: retries and hedges on one budget                 |
//! | timeouts.rs | time on the wire: what clients ask for, what the upstream is told            |
//! | exchange.rs | a request held until its response body ends                                  |
//! | pool.rs     | connections to the upstream, lent to requests                                |
//! | upstream.rs | HTTP/1 and HTTP/2 behind one face                                            |
//! | cause.rs    | why things end, and the status a client is told                              |
//! | signals.rs  | a signal as a cause                                                          |
//! | clock.rs    | hyper's timers, made of contexts                                             |
//! | log.rs      | a log whose reader holds up nobody                                           |
//! | admin.rs    | health, counters, the shutdown's report; counters.rs, ledger.rs: what it tells |
//! | headers.rs  | what a proxy changes in a head; args.rs: options                             |
//! | demo/       | the demonstration: a faulty origin, callers, scenes, the table               |

mod admin;
mod args;
mod cause;
mod clock;
mod counters;
mod demo;
mod exchange;
mod forward;
mod hangup;
mod headers;
mod ledger;
mod log;
mod pace;
mod pool;
mod server;
mod signals;
mod socket;
mod timeouts;
mod unread;
mod upstream;

use args::{Command, Options};
use cause::Why;
use exchange::Ended;
use forward::Proxy;
use ledger::Ledger;
use log::Log;
use ripcord::Context;
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    let command = match args::parse(std::env::args().skip(1)) {
        Ok(command) => command,
        Err(mistake) => {
            eprintln!("proxy: {mistake} (--help explains)");
            return ExitCode::from(2);
        }
    };
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Command::Serve(options) = &command {
        options.threads.map(|threads| builder.worker_threads(threads));
    }
    let runtime = match builder.enable_io().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("proxy: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = match command {
        Command::Help => {
            print!("{}", args::HELP);
            Ok(true)
        }
        Command::Demonstrate => runtime.block_on(demo::run()),
        Command::Serve(options) => runtime.block_on(serve(*options)).map(|()| true),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("proxy: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs for real until a signal.
async fn serve(options: Options) -> Result<(), Box<dyn std::error::Error>> {
    let Options { listen, upstream, admin, access_log, limits, .. } = options;
    let listener = server::listen(listen).map_err(|e| format!("cannot listen on {listen}: {e}"))?;
    let protocol = if upstream.h2 { "h2c" } else { "http" };
    let log = Log::start();
    log.say(format!("proxy: {} -> {protocol}://{}", listener.local_addr()?, upstream.authority));

    let (server, handle) = Context::background().with_cancel();
    let shutdown = Proxy::staged(&server, limits.notice, limits.grace);
    // Before the first signal can come: a shutdown for which nobody is waited for is over at once.
    let accepting = shutdown.guard("listener");
    let further = shutdown.clone();
    signals::listen(handle, move |name| {
        let _ = further.advance(Why::Signal(name));
    })?;

    let ledger = Arc::new(Ledger::default());
    let access = log.clone();
    let say = Arc::new(move |ended: &Ended| {
        if access_log || ended.cause.is_some() {
            access.say(format!("proxy: {ended}"));
        }
    });
    let proxy = Proxy::new(upstream, limits, Arc::clone(&ledger), shutdown, say);
    if let Some(addr) = admin {
        let listener = server::listen(addr).map_err(|e| format!("cannot listen on {addr}: {e}"))?;
        log.say(format!("proxy: admin on {}", listener.local_addr()?));
        tokio::spawn(admin::serve(Arc::clone(&proxy), listener));
    }
    let report = Arc::clone(&proxy).serve(listener, accepting).await;
    log.close(format!("proxy: {report}\nproxy: {}", admin::stats(&proxy).trim_end()));
    Ok(())
}
