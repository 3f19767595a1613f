//! Over hyper's HTTP/1 on real sockets: what the client sees, what the origin sees, and that nothing stays.

use crate::common::{Probe, Tale, eventually, in_time, wait_for, within_a_minute};
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use ripcord::http::Header;
use ripcord::tower::{BoxError, ContextLayer, DeadlineLayer, Gone};
use ripcord::{CancelHandle, Context, Error};
use std::future::{Future, pending};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{self, Poll};
use std::thread;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tower_layer::Layer;
use tower_service::Service;

/// A service made of a function.
#[derive(Clone)]
struct ServiceFn<F>(F);

impl<F, R, B> Service<Request<Incoming>> for ServiceFn<F>
where
    F: Fn(Request<Incoming>) -> R,
    R: Future<Output = Result<Response<B>, BoxError>>,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = R;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> R {
        (self.0)(request)
    }
}

/// A body that somebody else feeds, chunk by chunk.
struct Feed(UnboundedReceiver<&'static str>);

impl Body for Feed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.0.poll_recv(cx).map(|text| text.map(|text| Ok(Frame::data(Bytes::from_static(text.as_bytes())))))
    }
}

fn feed(chunks: &[&'static str]) -> (UnboundedSender<&'static str>, Response<Feed>) {
    let (feeder, fed) = unbounded_channel();
    for &chunk in chunks {
        feeder.send(chunk).unwrap();
    }
    (feeder, Response::new(Feed(fed)))
}

/// A server on loopback, the handle of all its requests, their contexts, and the tale of a value that each of them carries.
struct Server {
    _rt: Runtime,
    at: SocketAddr,
    root: CancelHandle,
    seen: Arc<Mutex<Vec<Context>>>,
    values: Arc<Tale>,
}

struct Value(#[expect(dead_code)] Probe);

fn serve<F, R, B>(f: F) -> Server
where
    F: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<Response<B>, BoxError>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = rt.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let at = listener.local_addr().unwrap();
    let (ctx, root) = Context::background().with_cancel();
    let (seen, values) = (Arc::new(Mutex::new(Vec::new())), Tale::new());
    let (kept, probes) = (seen.clone(), values.clone());
    let layer = ContextLayer::new(ctx).prepare(move |ctx, _| {
        // What is kept for the test sees the end, but not the value.
        kept.lock().unwrap().push(ctx.clone());
        let probe = probes.probe();
        probe.run();
        ctx.with_value(Value(probe))
    });
    let service = layer.layer(ServiceFn(f));
    rt.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service.clone();
            let service = hyper::service::service_fn(move |request| service.clone().call(request));
            // Its errors are what the clients see.
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    Server { _rt: rt, at, root, seen, values }
}

/// A server that answers with "first" and then what it is fed, by feeders that are told in the order of the requests; with
/// `x-stall` it has the body, and never begins.
fn serve_fed() -> (Server, mpsc::Receiver<UnboundedSender<&'static str>>) {
    let (keep, feeders) = mpsc::channel();
    let server = serve(move |request| {
        let (feeder, response) = feed(&["first"]);
        keep.send(feeder).unwrap();
        async move {
            if request.headers().contains_key("x-stall") {
                pending::<()>().await;
            }
            Ok(response)
        }
    });
    (server, feeders)
}

impl Server {
    fn connect(&self) -> Client {
        Client { stream: TcpStream::connect(self.at).unwrap(), got: String::new() }
    }

    /// The context of the n-th request.
    fn ctx(&self, n: usize) -> Context {
        eventually("the request to arrive", || self.seen.lock().unwrap().len() > n);
        self.seen.lock().unwrap()[n].clone()
    }

    /// Every request's value is gone, so no context that could see it is alive.
    fn assert_nothing_left(&self) {
        assert!(self.values.runs() > 0);
        eventually("all values to be dropped", || self.values.drops() == self.values.runs());
    }
}

struct Client {
    stream: TcpStream,
    got: String,
}

impl Client {
    fn get(&mut self, headers: &str) {
        write!(self.stream, "GET / HTTP/1.1\r\nhost: x\r\n{headers}\r\n").unwrap();
    }

    /// Reads until this has come.
    fn until(&mut self, enough: &str) {
        let mut buf = [0; 1024];
        while !self.got.contains(enough) {
            let n = self.stream.read(&mut buf).unwrap();
            assert!(n > 0, "closed after {:?}", self.got);
            self.got.push_str(std::str::from_utf8(&buf[..n]).unwrap());
        }
    }

    /// All that came of a response whose body is cut; none if the time was up before its head.
    fn cut(mut self) -> Option<String> {
        self.until("\r\n\r\n");
        (!self.got.starts_with("HTTP/1.1 504 ")).then(|| self.rest())
    }

    /// All that came until the server closed, cleanly or not.
    fn rest(mut self) -> String {
        let mut buf = [0; 1024];
        while let Ok(n @ 1..) = self.stream.read(&mut buf) {
            self.got.push_str(std::str::from_utf8(&buf[..n]).unwrap());
        }
        self.got
    }
}

/// The last chunk of a body that is whole.
const LAST: &str = "0\r\n\r\n";

#[test]
fn a_whole_response_and_the_next_one_on_the_same_connection() {
    within_a_minute(|| {
        let server = serve(|_| async { Ok(feed(&["first", "second"]).1) });
        let mut client = server.connect();
        for n in 0..2 {
            client.got.clear();
            client.get("");
            client.until(LAST);
            assert!(client.got.starts_with("HTTP/1.1 200 "), "{}", client.got);
            assert!(client.got.contains("5\r\nfirst\r\n6\r\nsecond\r\n"), "{}", client.got);
            assert_eq!(wait_for(&server.ctx(n)), Error::Canceled);
            assert!(server.ctx(n).cause().unwrap().downcast_ref::<Gone>().is_none(), "nobody is gone");
        }
        assert_ne!(server.ctx(0), server.ctx(1));
        server.assert_nothing_left();
    });
}

#[test]
fn a_deadline_before_the_response_is_a_504_and_the_connection_lives() {
    within_a_minute(|| {
        let server = serve(|_| pending::<Result<Response<Feed>, BoxError>>());
        let mut client = server.connect();
        for n in 0..2 {
            let before = Instant::now();
            client.got.clear();
            client.get("grpc-timeout: 30m\r\n");
            client.until("\r\n\r\n");
            assert!(before.elapsed() >= Duration::from_millis(30));
            assert!(client.got.starts_with("HTTP/1.1 504 Gateway Timeout\r\n"), "{}", client.got);
            assert!(client.got.contains("content-length: 0\r\n"), "{}", client.got);
            assert_eq!(server.ctx(n).err(), Some(Error::DeadlineExceeded));
        }
        server.assert_nothing_left();
    });
}

#[test]
fn a_shutdown_before_the_response_is_a_503() {
    within_a_minute(|| {
        let server = serve(|_| pending::<Result<Response<Feed>, BoxError>>());
        let mut client = server.connect();
        client.get("");
        drop(server.ctx(0));
        server.root.cancel_cause("shutting down");
        client.until("\r\n\r\n");
        assert!(client.got.starts_with("HTTP/1.1 503 "), "{}", client.got);
        assert_eq!(server.ctx(0).cause().unwrap().to_string(), "shutting down");
        server.assert_nothing_left();
    });
}

#[test]
fn a_deadline_in_the_body_cuts_it_so_that_the_client_sees_it() {
    within_a_minute(|| {
        in_time(Duration::from_millis(50), |time| {
            let (server, feeders) = serve_fed();
            let mut client = server.connect();
            let before = Instant::now();
            client.get(&format!("x-envoy-expected-rq-timeout-ms: {}\r\n", time.as_millis()));
            let got = client.cut();
            assert!(before.elapsed() >= time);
            let got = got?;
            assert!(got.starts_with("HTTP/1.1 200 "), "{got}");
            assert!(!got.contains(LAST), "cut short, and not as if it were whole: {got}");
            assert_eq!(server.ctx(0).err(), Some(Error::DeadlineExceeded));
            let feeder = feeders.recv().unwrap();
            eventually("the handler's body to be dropped", || feeder.is_closed());
            server.assert_nothing_left();
            got.contains("5\r\nfirst\r\n").then_some(())
        });
    });
}

#[test]
fn a_shutdown_in_the_body_cuts_it() {
    within_a_minute(|| {
        let (server, feeders) = serve_fed();
        let mut client = server.connect();
        client.get("");
        client.until("first");
        server.root.cancel();
        assert!(!client.rest().contains(LAST));
        eventually("the handler's body to be dropped", || feeders.recv().unwrap().is_closed());
        server.assert_nothing_left();
    });
}

#[test]
fn a_client_that_goes_ends_the_context_before_and_in_the_body() {
    within_a_minute(|| {
        let (server, feeders) = serve_fed();
        for (n, (headers, seen)) in [("x-stall: 1\r\n", ""), ("", "first")].into_iter().enumerate() {
            let mut client = server.connect();
            client.get(headers);
            client.until(seen);
            let ctx = server.ctx(n);
            assert_eq!(ctx.err(), None);
            drop(client);
            assert_eq!(wait_for(&ctx), Error::Canceled);
            assert!(ctx.cause().unwrap().downcast_ref::<Gone>().is_some());
            let feeder = feeders.recv().unwrap();
            eventually("the handler and its body to be dropped", || feeder.is_closed());
        }
        server.assert_nothing_left();
    });
}

/// An origin that answers one request with this and then nothing, until the other side closes. Tells the request's head,
/// and returns when the other side has closed.
fn origin(answer: &'static str) -> (SocketAddr, mpsc::Receiver<String>, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let (tell, told) = mpsc::channel();
    let serving = thread::spawn(move || {
        let mut client = Client { stream: listener.accept().unwrap().0, got: String::new() };
        client.until("\r\n\r\n");
        tell.send(client.got.clone()).unwrap();
        client.stream.write_all(answer.as_bytes()).unwrap();
        client.rest()
    });
    (at, told, serving)
}

/// A proxy of the two layers.
fn proxy_to(origin: SocketAddr) -> Server {
    let client = DeadlineLayer::new().layer(ServiceFn(move |request: Request<Incoming>| async move {
        let stream = tokio::net::TcpStream::connect(origin).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender.send_request(request).await?)
    }));
    serve(move |request| client.clone().call(request))
}

#[test]
fn a_proxy_of_both_layers_carries_the_deadline_on_and_gives_the_origin_up() {
    within_a_minute(|| {
        in_time(Duration::from_millis(500), |time| {
            let (at, heads, origin) = origin("");
            let proxy = proxy_to(at);
            let mut client = proxy.connect();
            client.get(&format!("x-envoy-upstream-rq-timeout-ms: {}\r\n", time.as_millis()));
            client.until("\r\n\r\n");
            assert!(client.got.starts_with("HTTP/1.1 504 "), "{}", client.got);
            proxy.assert_nothing_left();
            // If the proxy did not get as far, the origin has heard nothing, and then this. If it did, the origin may have gone.
            drop(TcpStream::connect(at));
            let head = heads.recv().ok()?;
            origin.join().expect("the origin saw its client close");
            let said = head.lines().find_map(|line| line.strip_prefix("grpc-timeout: ")).expect("a budget below");
            let said = Header::GrpcTimeout.parse(said.as_bytes()).unwrap().unwrap();
            assert!(said < time, "less than the client's: {said:?}");
            Some(())
        });
    });
}

#[test]
fn a_proxy_of_both_layers_cuts_a_drip() {
    within_a_minute(|| {
        in_time(Duration::from_millis(500), |time| {
            let (at, heads, origin) = origin("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\ndrip");
            let proxy = proxy_to(at);
            let mut client = proxy.connect();
            client.get(&format!("grpc-timeout: {}m\r\n", time.as_millis()));
            let got = client.cut()?;
            assert!(got.contains("content-length: 1000\r\n"), "{got}");
            assert!(heads.recv().unwrap().contains("grpc-timeout: "));
            origin.join().expect("the origin saw its client close");
            proxy.assert_nothing_left();
            got.ends_with("drip").then_some(())
        });
    });
}

#[test]
fn a_proxy_of_both_layers_hangs_up_when_its_client_does() {
    within_a_minute(|| {
        for answer in ["", "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\ndrip"] {
            let (at, heads, origin) = origin(answer);
            let proxy = proxy_to(at);
            let mut client = proxy.connect();
            client.get("");
            if !answer.is_empty() {
                client.until("drip");
            }
            heads.recv().unwrap();
            drop(client);
            origin.join().expect("the origin saw its client close");
            proxy.assert_nothing_left();
        }
    });
}
