//! An origin with every fault that a proxy meets, by hand over TCP so that it can misbehave.
//!
//! | path            | what it does                                                     |
//! |-----------------|------------------------------------------------------------------|
//! | `/fast`         | answers                                                          |
//! | `/slow`         | answers after [`SLOW`]                                           |
//! | `/echo`         | answers with the body it was sent                                |
//! | `/big`          | answers with [`BIG`] bytes                                       |
//! | `/gate`         | answers when the demonstration opens the gate                    |
//! | `/hang`         | never answers                                                    |
//! | `/drip`         | a head, then a byte now and then, for ever                       |
//! | `/endless`      | a head, then as many bytes as the reader takes                   |
//! | `/break`        | a head and half of the body, then closes                         |
//! | `/reset`        | resets the connection before a head                              |
//! | `/reset-once`   | the first time; answers the second                               |
//! | `/reset-hang`   | the first time, after [`LATE`]; never answers the second         |
//!
//! `?probe=N` lets the demonstration follow one request: that it arrived, and when its connection was lost.

use crate::hangup;
use crate::server::listen;
use crate::socket::Shared;
use ripcord::{CancelHandle, Context};
use socket2::SockRef;
use std::collections::{HashMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

pub(crate) const SLOW: Duration = Duration::from_millis(30);
pub(crate) const LATE: Duration = Duration::from_millis(500);
pub(crate) const BIG: usize = 8 << 20;
const DRIP: Duration = Duration::from_millis(20);

pub(crate) struct Origin {
    pub(crate) addr: SocketAddr,
    gate: CancelHandle,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Ends when the gate is opened.
    gate: Context,
    probes: Mutex<HashMap<u64, UnboundedSender<Event>>>,
    /// Requests that come twice and have come once.
    once: Mutex<HashSet<String>>,
    opened: AtomicU64,
    pushed: AtomicU64,
}

enum Event {
    Arrived,
    Lost(Instant),
}

/// One request, seen from the upstream.
pub(crate) struct Probe {
    pub(crate) number: u64,
    events: UnboundedReceiver<Event>,
}

impl Probe {
    pub(crate) async fn arrived(&mut self) {
        while !matches!(self.events.recv().await, Some(Event::Arrived) | None) {}
    }

    /// When the upstream saw that nobody waits any more.
    pub(crate) async fn lost(&mut self) -> Instant {
        loop {
            if let Some(Event::Lost(at)) = self.events.recv().await {
                return at;
            }
        }
    }
}

impl Origin {
    /// Serves until `ctx` ends.
    pub(crate) fn start(ctx: &Context) -> io::Result<Origin> {
        let listener = listen(([127, 0, 0, 1], 0).into())?;
        let addr = listener.local_addr()?;
        let (opened, gate) = ctx.with_cancel();
        let state = Arc::new(State { gate: opened, ..State::default() });
        let (ctx, shared) = (ctx.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            while let Ok(Ok((stream, _))) = ctx.run(listener.accept()).await {
                shared.opened.fetch_add(1, Relaxed);
                tokio::spawn(connection(ctx.clone(), Arc::clone(&shared), stream));
            }
        });
        Ok(Origin { addr, gate, state })
    }

    pub(crate) fn probe(&self) -> Probe {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let (number, (sender, events)) = (NEXT.fetch_add(1, Relaxed), unbounded_channel());
        self.state.probes.lock().expect("nobody panics with it").insert(number, sender);
        Probe { number, events }
    }

    pub(crate) fn open_gate(&self) {
        self.gate.cancel();
    }

    /// Connections so far.
    pub(crate) fn opened(&self) -> u64 {
        self.state.opened.load(Relaxed)
    }

    /// Bytes that readers of `/endless` have taken so far.
    pub(crate) fn pushed(&self) -> u64 {
        self.state.pushed.load(Relaxed)
    }
}

async fn connection(ctx: Context, state: Arc<State>, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let stream = Arc::new(stream);
    let (ctx, watch) = ctx.with_cancel_on(hangup::hung_up(Arc::clone(&stream)));
    let _watch = watch.drop_guard();
    let mut visit = Visit { io: BufReader::new(Shared(stream)), probe: None };
    let _ = ctx.run(async { while visit.request(&ctx, &state).await.is_ok() {} }).await;
    if let Some(probe) = visit.probe {
        let _ = probe.send(Event::Lost(Instant::now()));
    }
}

/// A connection, and who follows the request that it carries.
struct Visit {
    io: BufReader<Shared>,
    probe: Option<UnboundedSender<Event>>,
}

impl Visit {
    /// One request. An error ends the connection.
    async fn request(&mut self, ctx: &Context, state: &State) -> io::Result<()> {
        let (target, length) = self.head().await?;
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        if let Some(number) = query.strip_prefix("probe=").and_then(|number| number.parse().ok()) {
            self.probe = state.probes.lock().expect("nobody panics with it").get(&number).cloned();
        }
        if let Some(probe) = &self.probe {
            let _ = probe.send(Event::Arrived);
        }
        let mut body = vec![0; length];
        self.io.read_exact(&mut body).await?;
        let first = || state.once.lock().expect("nobody panics with it").insert(target.clone());
        match path {
            "/fast" => self.answer(b"fast").await?,
            "/slow" => {
                let _ = ctx.sleep(SLOW).await;
                self.answer(b"slow").await?;
            }
            "/echo" => self.answer(&body).await?,
            "/big" => self.answer(&vec![b'b'; BIG]).await?,
            "/gate" => {
                state.gate.done().await;
                self.answer(b"through the gate").await?;
            }
            "/hang" => std::future::pending().await,
            "/drip" => {
                self.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
                loop {
                    self.say(b"1\r\n.\r\n").await?;
                    let _ = ctx.sleep(DRIP).await;
                }
            }
            "/endless" => {
                self.say(b"HTTP/1.1 200 OK\r\n\r\n").await?;
                loop {
                    self.say(&[b'e'; 65536]).await?;
                    state.pushed.fetch_add(65536, Relaxed);
                }
            }
            "/break" => {
                self.say(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nbreak").await?;
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            "/reset" => return self.reset(),
            "/reset-once" if first() => return self.reset(),
            "/reset-once" => self.answer(b"second time").await?,
            "/reset-hang" if first() => {
                let _ = ctx.sleep(LATE).await;
                return self.reset();
            }
            "/reset-hang" => std::future::pending().await,
            _ => self.answer(b"nothing here").await?,
        }
        self.probe = None;
        Ok(())
    }

    /// The target and the length of the body.
    async fn head(&mut self) -> io::Result<(String, usize)> {
        let (mut target, mut length) = (None, 0);
        loop {
            let mut line = String::new();
            if self.io.read_line(&mut line).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end();
            match target {
                None => target = line.split(' ').nth(1).map(str::to_owned),
                Some(target) if line.is_empty() => return Ok((target, length)),
                Some(_) => {
                    if let Some((name, value)) = line.split_once(':').filter(|(name, _)| *name == "content-length") {
                        length = value.trim().parse().map_err(|_| io::Error::other(format!("{name}: {value}")))?;
                    }
                }
            }
        }
    }

    async fn answer(&mut self, body: &[u8]) -> io::Result<()> {
        self.say(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes()).await?;
        self.say(body).await
    }

    async fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.io.write_all(bytes).await
    }

    /// Ends the connection by RST rather than FIN.
    fn reset(&self) -> io::Result<()> {
        SockRef::from(&*self.io.get_ref().0).set_linger(Some(Duration::ZERO))?;
        Err(io::ErrorKind::ConnectionReset.into())
    }
}
