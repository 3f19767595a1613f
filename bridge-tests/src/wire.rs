//! A gRPC client on bare HTTP/2, which has no timer of its own: it sees what the server says, and nothing else.

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::{Shutdown, SocketAddr};
use tokio::net::TcpStream;

/// A connection.
#[derive(Debug)]
pub struct Wire {
    at: SocketAddr,
    sender: SendRequest<Full<Bytes>>,
    socket: std::net::TcpStream,
}

/// What a server said from beginning to end.
#[derive(Debug)]
pub struct Said {
    /// `grpc-status`, from the head or the trailers; `None` if there is none.
    pub status: Option<i32>,
    /// `grpc-message`.
    pub message: String,
    /// How many messages came before.
    pub messages: usize,
    /// Whether the stream was reset.
    pub reset: bool,
}

impl Wire {
    /// To this server.
    pub async fn connect(at: SocketAddr) -> Wire {
        let stream = TcpStream::connect(at).await.unwrap().into_std().unwrap();
        let socket = stream.try_clone().unwrap();
        let io = TokioIo::new(TcpStream::from_std(stream).unwrap());
        let (sender, connection) = handshake(TokioExecutor::new(), io).await.unwrap();
        // How it ends is what the calls see.
        tokio::spawn(async { drop(connection.await) });
        Wire { at, sender, socket }
    }

    /// Starts a call.
    pub async fn start(
        &mut self,
        path: &str,
        message: &'static str,
        headers: &[(&'static str, &'static str)],
    ) -> hyper::Result<Response<Incoming>> {
        let mut framed = BytesMut::new();
        framed.put_u8(0);
        framed.put_u32(message.len().try_into().unwrap());
        framed.put(message.as_bytes());
        let mut request = Request::post(format!("http://{}{path}", self.at))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(framed.freeze())).unwrap();
        self.sender.ready().await?;
        self.sender.send_request(request).await
    }

    /// Calls, and reads to the end.
    pub async fn call(&mut self, path: &str, message: &'static str, headers: &[(&'static str, &'static str)]) -> Said {
        let response = self.start(path, message, headers).await.expect("a response's head");
        assert_eq!(response.status(), 200, "gRPC speaks in trailers");
        read(response).await
    }

    /// A way to close the connection under whatever is going on.
    pub fn scissors(&self) -> impl FnOnce() + Send + 'static + use<> {
        let socket = self.socket.try_clone().unwrap();
        move || socket.shutdown(Shutdown::Both).unwrap()
    }
}

/// Reads a response to its end.
pub async fn read(response: Response<Incoming>) -> Said {
    let (head, mut body) = response.into_parts();
    let mut said = Said { status: None, message: String::new(), messages: 0, reset: false };
    let mut hear = |headers: &HeaderMap| {
        let text = |name| headers.get(name).map(|value| String::from_utf8(value.as_bytes().to_vec()).unwrap());
        if let Some(status) = text("grpc-status") {
            assert_eq!(said.status, None, "one status per call");
            said.status = Some(status.parse().unwrap());
            said.message = text("grpc-message").unwrap_or_default().replace("%20", " ");
        }
    };
    hear(&head.headers);
    let mut data = BytesMut::new();
    let mut reset = false;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => match frame.into_data() {
                Ok(bytes) => data.put(bytes),
                Err(frame) => hear(&frame.into_trailers().expect("data or trailers")),
            },
            Err(_) => {
                // hyper says the same again, at once, as often as it is asked.
                reset = true;
                break;
            }
        }
    }
    // Each message: a flag, its length, itself.
    let mut at = 0;
    while at + 5 <= data.len() {
        at += 5 + usize::try_from(u32::from_be_bytes(data[at + 1..at + 5].try_into().unwrap())).unwrap();
        said.messages += 1;
    }
    assert_eq!(at, data.len(), "whole messages only");
    Said { reset, ..said }
}
