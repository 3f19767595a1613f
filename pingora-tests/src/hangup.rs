//! Ending a connection that pingora reads and writes, from outside.
//!
//! pingora has no hook between two bytes: a filter runs when something has come. But it waits for its upstream's socket,
//! and a socket can be shut down by anybody who holds it. Then pingora's read returns, and everything goes its usual way
//! from there: the error, the answer, the log.

use std::net::{Shutdown, TcpStream};
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

/// A handle of our own on a connection of pingora's. Ours stays valid when pingora closes its own, so nobody else's
/// connection is hit who got the same number; for the same reason **the connection is closed only when both are**.
///
/// `None` for what is no socket, and if no descriptor is to be had: then there is no hanging up.
pub(crate) fn hold(connection: RawFd) -> Option<OwnedFd> {
    if connection < 0 {
        return None;
    }
    // SAFETY: pingora names the connection in a call that borrows it, and keeps it open until that returns.
    let lent = unsafe { BorrowedFd::borrow_raw(connection) };
    lent.try_clone_to_owned().ok()
}

/// Both ways: whoever reads it finds the end, whoever writes it an error, and the other side a FIN.
pub(crate) fn hang_up(connection: OwnedFd) {
    // Shutting down knows no families: a Unix socket would do as well. An error means that the other side was first.
    let _ = TcpStream::from(connection).shutdown(Shutdown::Both);
}
