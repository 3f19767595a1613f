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
//! server            ended by SIGTERM or ctrl-c; the cause names the signal: no more connections, drain
//!   . . . . . . .   without_cancel: what is being served outlives the signal by the grace
//!   work            ended when the grace is over
//!     connection    its idle deadline is pushed back by every request
//!       watch       a foreign parent: ends when the client's socket hangs up
//!         request   deadline, request id; held until the last byte of the response
//!           attempt a shorter deadline, for the response head; made again once when the first was lost
//!
//! pool              ended when the last connection has gone
//!   upstream        one connection to the upstream: idle deadline in the pool, none while it is lent,
//!                   ended by the request that borrowed it, when that ends early (after_func)
//! ```
//!
//! # The files
//!
//! | file        | what it shows                                                                |
//! |-------------|------------------------------------------------------------------------------|
//! | server.rs   | accepting, draining, the life of a client connection                         |
//! | hangup.rs   | seeing the client go, as a future                                            |
//! | forward.rs  | a request and its attempts                                                   |
//! | exchange.rs | a request held until its response body ends                                  |
//! | pool.rs     | connections to the upstream, lent to requests                                |
//! | cause.rs    | why things end, and the status a client is told                              |
//! | signals.rs  | a signal as a cause                                                          |
//! | headers.rs  | what a proxy changes in a head; args.rs, ledger.rs: options, books           |
//! | demo/       | the demonstration: a faulty origin, callers, scenes, the table               |

mod args;
mod cause;
mod demo;
mod exchange;
mod forward;
mod hangup;
mod headers;
mod ledger;
mod pool;
mod server;
mod signals;

use args::{Command, Options};
use exchange::Ended;
use forward::Proxy;
use ledger::Ledger;
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
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_io().build() {
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
        Command::Serve(options) => runtime.block_on(serve(options)).map(|()| true),
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

/// Runs for real until a signal. Says only what went wrong, one line each.
async fn serve(options: Options) -> Result<(), Box<dyn std::error::Error>> {
    let listener = server::listen(options.listen).map_err(|e| format!("cannot listen on {}: {e}", options.listen))?;
    let server = signals::server_context()?;
    println!("proxy: {} -> http://{}", listener.local_addr()?, options.upstream);

    let ledger = Arc::new(Ledger::default());
    let say = Arc::new(|ended: &Ended| {
        if let Some(cause) = &ended.cause {
            println!("proxy: {ended}: {cause}");
        }
    });
    let proxy = Proxy::new(options.upstream, options.limits, Arc::clone(&ledger), say);
    let drained = proxy.serve(&server, listener).await;
    println!("proxy: {drained}; contexts created: {}", ledger.created());
    Ok(())
}
