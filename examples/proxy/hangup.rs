//! Seeing the client go, as a future - while its socket is read and written by somebody else.
//!
//! An HTTP server finds out that its client has gone by reading. While a request is being answered it reads only as
//! long as nothing is buffered: a second request pipelined behind the first hides the hang-up until the first has been
//! answered, however long the upstream takes. So the socket itself is asked.
//!
//! # What counts as gone
//!
//! The client's FIN or RST. A FIN may also mean "I have said all I have to say" (`shutdown(SHUT_WR)`), and nothing
//! tells the two apart before something is written. Like most proxies, and like hyper unless told otherwise, this one
//! takes it for a good-bye.
//!
//! # Not here
//!
//! A client whose machine or network vanished: no packet says so. And a client that has sent ahead more than the
//! socket takes in: its FIN stands in line behind that. Deadlines end their requests.

use crate::cause::Why;
use std::sync::Arc;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// On Linux the kernel reports a hang-up beside the unread bytes (`EPOLLRDHUP`), and tokio keeps it. Interest in
/// priority data is the one that includes "closed for reading" and leaves out "readable", so it sleeps through them.
#[cfg(target_os = "linux")]
pub(crate) async fn hung_up(stream: Arc<TcpStream>) -> Why {
    while stream.ready(Interest::PRIORITY).await.is_ok_and(|ready| !ready.is_read_closed()) {}
    Why::ClientGone
}

/// Elsewhere unread bytes keep a socket ready, so it is looked at now and then while there are any.
#[cfg(not(target_os = "linux"))]
pub(crate) async fn hung_up(stream: Arc<TcpStream>) -> Why {
    const LOOK: std::time::Duration = std::time::Duration::from_millis(5);
    while stream.ready(Interest::READABLE).await.is_ok_and(|ready| !ready.is_read_closed()) {
        let _ = ripcord::Context::background().sleep(LOOK).await;
    }
    Why::ClientGone
}
