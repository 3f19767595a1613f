//! HTTP/2 on either side: a request is a stream of a connection that others use, too.

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use http::{Request, Response};
use pingora_tests::cause::Why;
use pingora_tests::kit::client::{Client, get};
use pingora_tests::kit::origin::{End, Origin};
use pingora_tests::kit::world::{LONG, World, settings};
use pingora_tests::kit::{AGES, eventually};
use pingora_tests::proxy::Settings;
use ripcord::Context;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::block_in_place;
use tokio::time::{sleep, timeout};

async fn connect(to: SocketAddr) -> SendRequest<Bytes> {
    let (sender, connection) = h2::client::handshake(TcpStream::connect(to).await.unwrap()).await.unwrap();
    // How it ends is what the streams see.
    tokio::spawn(async { drop(connection.await) });
    sender
}

fn request(path: &str, budget: Option<&str>) -> Request<()> {
    let mut request = Request::get(format!("http://origin{path}"));
    if let Some(budget) = budget {
        request = request.header("grpc-timeout", budget);
    }
    request.body(()).unwrap()
}

async fn ask(to: &mut SendRequest<Bytes>, request: Request<()>) -> Response<RecvStream> {
    let (response, _) = to.send_request(request, true).unwrap();
    timeout(AGES, response).await.expect("a head").expect("a head")
}

/// Reads to the end: how many bytes came, and the reset.
async fn read(mut body: RecvStream) -> (usize, Option<Reason>) {
    let mut bytes = 0;
    while let Some(data) = timeout(AGES, body.data()).await.expect("an end") {
        match data {
            Ok(data) => {
                bytes += data.len();
                // More than the window comes when somebody says that it was read.
                let _ = body.flow_control().release_capacity(data.len());
            }
            Err(error) => return (bytes, error.reason()),
        }
    }
    (bytes, None)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_stream_of_a_client_ends_for_itself() {
    let origin = Origin::start();
    let world = World::h2c(settings("h2c", origin.at, LONG), &Context::background());
    let mut client = connect(world.at).await;
    let stays = ask(&mut client, request("/drip", None)).await;

    // The deadline: a 504 before the head, a reset after it.
    for path in ["/stall", "/drip-raw"] {
        in_time(async |time| {
            let n = world.records().len();
            let answer = ask(&mut client, request(path, Some(&format!("{}m", time.as_millis())))).await;
            let status = answer.status().as_u16();
            let (bytes, reset) = read(answer.into_body()).await;
            let record = block_in_place(|| world.record(n));
            assert_eq!(record.cause.as_ref().unwrap().downcast_ref(), Some(&Why::TimeUp), "{record}");
            assert!(!record.dropped, "{record}");
            if path == "/stall" {
                assert_eq!(status, 504);
                return origin.was_asked(path).then_some(());
            }
            if status == 504 || bytes == 0 {
                return None;
            }
            assert!(status == 200 && reset.is_some(), "{status}, {bytes} bytes, then {reset:?}");
            Some(())
        })
        .await;
    }

    // The client resets a stream.
    let n = world.records().len();
    let (response, _) = client.send_request(request("/half", None), true).unwrap();
    block_in_place(|| origin.until_asked("/half", 1));
    drop(response);
    let record = block_in_place(|| world.record(n));
    assert_eq!(record.cause.as_ref().unwrap().downcast_ref(), Some(&Why::ClientGone), "{record}");
    for path in ["/stall", "/drip-raw", "/half"] {
        assert!(block_in_place(|| origin.ends(path)).iter().all(|end| *end == End::Closed), "{path}");
    }

    // All the while, and after it, the others go on.
    assert_eq!(read(ask(&mut client, request("/ok", None)).await.into_body()).await, (2, None));
    let mut stays = stays.into_body();
    assert!(timeout(AGES, stays.data()).await.unwrap().unwrap().is_ok());
    assert_eq!(origin.seen("/drip")[0].end, None);
    drop((stays, client));
    assert_eq!(block_in_place(|| origin.ends("/drip")), [End::Closed]);
    block_in_place(|| world.until_none_alive());
}

/// As `kit::in_time`, of what is awaited.
async fn in_time<R>(mut attempt: impl AsyncFnMut(Duration) -> Option<R>) -> R {
    let mut time = Duration::from_millis(300);
    while time < AGES {
        if let Some(result) = attempt(time).await {
            return result;
        }
        time *= 2;
    }
    panic!("not under way in time, however much there was");
}

/// A stream that has ended: its path, and the reset that ended it.
type Ended = (String, Option<Reason>);

/// An origin that speaks HTTP/2: how many streams have begun, and those that have ended.
#[derive(Clone, Default)]
struct Streams(Arc<Mutex<(usize, Vec<Ended>)>>);

impl Streams {
    async fn serve(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let streams = self.clone();
            tokio::spawn(async move {
                let mut requests = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((request, respond))) = requests.accept().await {
                    tokio::spawn(streams.clone().answer(request.uri().path().into(), respond));
                }
            });
        }
    }

    async fn answer(self, path: String, mut respond: h2::server::SendResponse<Bytes>) {
        self.0.lock().unwrap().0 += 1;
        let reset = if path == "/stall" {
            std::future::poll_fn(|cx| respond.poll_reset(cx)).await.ok()
        } else {
            let mut body = respond.send_response(Response::new(()), false).unwrap();
            match &*path {
                "/ok" => {
                    body.send_data(Bytes::from_static(b"ok"), true).unwrap();
                    None
                }
                pausing => {
                    body.send_data(Bytes::from_static(b"x"), false).unwrap();
                    loop {
                        let next = if pausing == "/drip" { Duration::from_millis(10) } else { AGES };
                        tokio::select! {
                            reset = std::future::poll_fn(|cx| body.poll_reset(cx)) => break reset.ok(),
                            // Refused if a reset has come in between: that is heard next.
                            () = sleep(next) => drop(body.send_data(Bytes::from_static(b"x"), false)),
                        }
                    }
                }
            }
        };
        self.0.lock().unwrap().1.push((path, reset));
    }

    fn begun(&self) -> usize {
        self.0.lock().unwrap().0
    }

    fn ended(&self) -> Vec<Ended> {
        self.0.lock().unwrap().1.clone()
    }

    fn all_ended_but(&self, many: usize) -> bool {
        self.ended().len() + many == self.begun()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_to_an_origin_is_reset_and_its_connection_is_not() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let streams = Streams::default();
    tokio::spawn(streams.clone().serve(listener));
    let world = World::start(Settings { http2: true, ..settings("h2", at, LONG) }, &Context::background());

    // Its stream is on the first connection, as the first of the others are.
    let mut stays = block_in_place(|| Client::send(world.at, "GET", "/drip", &[]));
    assert!(block_in_place(|| stays.wait_for_body(1)));
    let scenes = [("/ok", 200, true), ("/stall", 504, true), ("/drip", 200, false), ("/pause", 200, false)];
    for (path, status, whole) in scenes {
        in_time(async |time| {
            let (n, before) = (world.records().len(), streams.begun());
            let line = format!("grpc-timeout: {}m", time.as_millis());
            let answer = block_in_place(|| get(world.at, path, &[&line]));
            let record = block_in_place(|| world.record(n));
            if streams.begun() == before || (answer.status, status) == (Some(504), 200) {
                assert!(answer.took >= time, "{answer:?}");
                return None;
            }
            assert_eq!((answer.status, answer.whole), (Some(status), whole), "{record}");
            block_in_place(|| eventually("the stream to end", || streams.all_ended_but(1)));
            let (ended, reset) = streams.ended().pop().unwrap();
            assert_eq!(ended, path);
            if path == "/ok" {
                assert!(record.cause.is_none() && reset.is_none(), "{record}, {reset:?}");
            } else {
                assert!(answer.took >= time, "{answer:?}");
                assert_eq!(record.cause.as_ref().unwrap().downcast_ref(), Some(&Why::TimeUp), "{record}");
                assert_eq!(reset, Some(Reason::CANCEL), "{record}");
                // A drip ends at its next byte; nobody needs to drop it.
                assert!(path != "/drip" || !record.dropped, "{record}");
            }
            Some(())
        })
        .await;
    }
    let n = world.records().len();
    let so_far = stays.look().body.len();
    assert!(block_in_place(|| stays.wait_for_body(so_far + 1)), "its connection was not hung up");
    drop(stays);
    block_in_place(|| eventually("the last stream to end", || streams.all_ended_but(0)));
    let record = block_in_place(|| world.record(n));
    assert_eq!(record.cause.as_ref().unwrap().downcast_ref(), Some(&Why::ClientGone), "{record}");
    block_in_place(|| world.until_none_alive());
}
