//! The tests' own client.

use bridge_tests::bounded::run;
use bridge_tests::wire::{Wire, read};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::channel::Channel;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::sync::mpsc;
use tokio::net::TcpListener;

/// A reset other than NO_ERROR is an error of the body, and hyper repeats that at every look: a reader that waited for the
/// body's end spun, and no timeout was looked at any more. Envoy resets so.
#[test]
fn reading_a_stream_that_was_reset_comes_to_an_end() {
    run(async || {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (keep, kept) = mpsc::channel();
        tokio::spawn(async move {
            let begins = service_fn(|_: Request<Incoming>| {
                let (sender, body) = Channel::<Bytes, &str>::new(1);
                keep.send(sender).unwrap();
                async { Ok::<_, Infallible>(Response::new(body)) }
            });
            let stream = listener.accept().await.unwrap().0;
            http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), begins).await
        });
        let mut wire = Wire::connect(at).await;
        let response = wire.start("/", "", &[]).await.expect("a head");
        kept.recv().unwrap().abort("broken off");
        let said = read(response).await;
        assert_eq!((said.reset, said.messages, said.status), (true, 0, None));
    });
}
