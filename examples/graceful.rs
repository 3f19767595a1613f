//! A server on tokio that leaves in order when it is told to: the first signal cancels, a second one forces.
//!
//! ```text
//! cargo run --example graceful --features tokio              # sends itself a SIGTERM
//! cargo run --example graceful --features tokio -- --wait    # waits for yours: Ctrl-C, or kill
//! ```

use ripcord::tokio::{FutureExt, Signaled, notify_context, on_second_signal};
use ripcord::{Context, Error};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Echoes until the client is through, or the end comes: then it says why.
async fn serve(ctx: Context, mut client: TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; 256];
    loop {
        match client.read(&mut buffer).with_context(&ctx).await {
            Ok(Ok(0)) => return Ok(()),
            Ok(Ok(read)) => client.write_all(&buffer[..read]).await?,
            Ok(Err(error)) => return Err(error),
            Err(Error::DeadlineExceeded) => return client.write_all(b"too slow\n").await,
            Err(_) => {
                let why = ctx.cause().map_or_else(String::new, |cause| cause.to_string());
                return client.write_all(format!("bye: {why}\n").as_bytes()).await;
            }
        }
    }
}

/// A part of the program that knows tokens only.
async fn old_code(token: CancellationToken) -> &'static str {
    token.cancelled().await;
    "old code has heard of it too"
}

async fn run() -> std::io::Result<()> {
    let (ctx, _handle) = notify_context(&Context::background())?;
    on_second_signal(|signal| {
        eprintln!("second {signal}: at once");
        std::process::exit(128 + signal.number());
    });

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    println!("listening on {address}");

    let token = ctx.cancel_token();
    let old = tokio::spawn(old_code(token.token().clone()));
    let clients = TaskTracker::new();
    // Two clients that talk, and then wait; the second to be answered brings the signal.
    let answered = Arc::new(Barrier::new(2));
    let talkers: Vec<_> = (0..2)
        .map(|n| {
            let answered = answered.clone();
            tokio::spawn(async move {
                let mut server = TcpStream::connect(address).await?;
                let hello = format!("client {n}\n");
                server.write_all(hello.as_bytes()).await?;
                let mut echo = vec![0; hello.len()];
                server.read_exact(&mut echo).await?;
                if answered.wait().await.is_leader() && std::env::args().all(|arg| arg != "--wait") {
                    send_ourselves_a_sigterm();
                }
                let mut said = String::from_utf8_lossy(&echo).into_owned();
                server.read_to_string(&mut said).await.map(|_| said)
            })
        })
        .collect();

    while let Ok(connection) = listener.accept().with_context(&ctx).await {
        let (client, _) = connection?;
        let (request, handle) = ctx.with_name("connection").with_timeout(Duration::from_secs(30));
        clients.spawn(async move {
            let _guard = handle.drop_guard();
            serve(request, client).await
        });
    }

    let cause = ctx.cause().expect("it has ended");
    println!("leaving: {cause}");
    assert!(cause.downcast_ref::<Signaled>().is_some());
    clients.close();
    // What is still to be done gets a deadline of its own, which the signal does not cut short.
    let (last, _) = Context::background().with_timeout_cause(Duration::from_secs(5), "did not drain in time");
    clients.wait().with_context(&last).await?;
    println!("{}", old.await?);
    for talker in talkers {
        let said = talker.await??;
        print!("{said}");
        assert!(said.ends_with("bye: received SIGTERM\n") || said.ends_with("bye: received SIGINT\n"));
    }
    Ok(())
}

#[cfg(unix)]
fn send_ourselves_a_sigterm() {
    let pid = std::process::id().to_string();
    let kill = std::process::Command::new("sh").args(["-c", "kill -TERM \"$0\"", &pid]).status();
    assert!(kill.expect("there is a shell").success());
}

#[cfg(not(unix))]
fn send_ourselves_a_sigterm() {}

fn main() -> std::io::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run())
}
