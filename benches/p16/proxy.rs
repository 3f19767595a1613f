//! A small reverse proxy with a keep-alive pool, whose only question to [`Life`] is what ends when.

use crate::life::Life;
use crate::socket::Shared;
use http_body_util::{Either, Full};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Version, header};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::hint::black_box;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context as Task, Poll, ready};
use tokio::net::{TcpListener, TcpStream};

struct Proxy<L: Life> {
    life: L,
    upstream: SocketAddr,
    resting: Mutex<Vec<Line<L>>>,
}

struct Line<L: Life> {
    sender: SendRequest<Incoming>,
    line: L::Line,
}

/// A response body, with the request that it belongs to and the connection that it comes by.
struct Held<L: Life> {
    body: Incoming,
    request: L::Request,
    proxy: Arc<Proxy<L>>,
    line: Option<(Line<L>, L::Tie)>,
}

/// Serves until the server's life ends. The connections that rest go with the proxy.
pub(crate) async fn serve<L: Life>(life: L, listener: TcpListener, upstream: SocketAddr) {
    let proxy = Arc::new(Proxy { life, upstream, resting: Mutex::default() });
    while let Ok(accepted) = proxy.life.accept(listener.accept()).await {
        let Ok((stream, peer)) = accepted else { continue };
        let _ = stream.set_nodelay(true);
        let (proxy, stream) = (Arc::clone(&proxy), Arc::new(stream));
        tokio::spawn(async move {
            let client = proxy.life.client(&stream, peer);
            let service = {
                let client = client.clone();
                let number = AtomicU64::new(0);
                service_fn(move |request| {
                    let life = L::request(&client, number.fetch_add(1, Relaxed));
                    answer(Arc::clone(&proxy), life, request)
                })
            };
            let io = TokioIo::new(Shared(Arc::clone(&stream)));
            let connection = server::Builder::new().serve_connection(io, service);
            let connection = async { drop(connection.await) };
            L::serve(client, stream, connection).await;
        });
    }
}

type Answer<L> = Response<Either<Held<L>, Full<Bytes>>>;

async fn answer<L: Life>(
    proxy: Arc<Proxy<L>>,
    (life, attempt): (L::Request, L::Attempt),
    request: Request<Incoming>,
) -> Result<Answer<L>, Infallible> {
    let refuse = |status| {
        let mut response = Response::new(Either::Right(Full::default()));
        *response.status_mut() = status;
        Ok(response)
    };
    let (mut head, body) = request.into_parts();
    head.headers.remove(header::CONNECTION);
    head.version = Version::HTTP_11;
    let head = {
        // Pinned here, and lent from here on: a future that is handed on by value is copied at each step of the way.
        let exchange = pin!(exchange(&proxy, &life, Request::from_parts(head, body)));
        L::attempt(&life, &attempt, exchange).await
    };
    let (response, line) = match head {
        Ok(Ok(head)) if L::has_head(&life, attempt) => head,
        Ok(Err(_)) => return refuse(StatusCode::BAD_GATEWAY),
        _ => return refuse(StatusCode::GATEWAY_TIMEOUT),
    };
    let (mut head, body) = response.into_parts();
    head.headers.remove(header::CONNECTION);
    head.extensions.clear();
    let mut held = Held { body, request: life, proxy, line: Some(line) };
    if held.body.is_end_stream() {
        held.complete();
    }
    Ok(Response::from_parts(head, Either::Left(held)))
}

async fn exchange<L: Life>(
    proxy: &Arc<Proxy<L>>,
    life: &L::Request,
    request: Request<Incoming>,
) -> io::Result<(Response<Incoming>, (Line<L>, L::Tie))> {
    let rested = proxy.resting.lock().expect("nobody panics with it").pop();
    let mut line = match rested.filter(|line| !line.sender.is_closed()) {
        Some(line) => line,
        None => connect(proxy).await?,
    };
    let tie = L::tie(life, &line.line);
    // What a log or a header would be told.
    black_box(L::known(life));
    line.sender.ready().await.map_err(io::Error::other)?;
    let response = line.sender.send_request(request).await.map_err(io::Error::other)?;
    Ok((response, (line, tie)))
}

async fn connect<L: Life>(proxy: &Arc<Proxy<L>>) -> io::Result<Line<L>> {
    let stream = TcpStream::connect(proxy.upstream).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let line = proxy.life.line();
    tokio::spawn(L::keep(line.clone(), async move {
        let _ = connection.await;
    }));
    Ok(Line { sender, line })
}

impl<L: Life> Held<L> {
    fn complete(&mut self) {
        if let Some((line, tie)) = self.line.take() {
            if L::untie(tie) {
                self.proxy.resting.lock().expect("nobody panics with it").push(line);
            }
        }
    }
}

impl<L: Life> Unpin for Held<L> {}

impl<L: Life> Body for Held<L> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let held = self.get_mut();
        let cut = || Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
        if held.line.is_some() && L::is_over(&held.request) {
            held.line = None;
            return cut();
        }
        let frame = match Pin::new(&mut held.body).poll_frame(task) {
            Poll::Ready(frame) => frame.map(|frame| frame.map_err(io::Error::other)),
            // Only who has to wait listens for the end.
            Poll::Pending => {
                ready!(L::poll_end(&mut held.request, task));
                held.line = None;
                return cut();
            }
        };
        if frame.is_none() || held.body.is_end_stream() {
            held.complete();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
