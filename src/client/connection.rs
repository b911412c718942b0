//! What the two halves of a client share: the socket and what each must know of the other.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use super::ClientError;

/// What the two halves share.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) timeout: Duration,
    /// Set before the sending side is shut down.
    pub(super) finished: AtomicBool,
    /// Bytes received, to tell a busy server from one that is stuck.
    pub(super) received: AtomicU64,
    /// Commands sent that must be answered.
    pub(super) asked: AtomicU64,
    /// UPDATEs sent, each of which the server may refuse once.
    pub(super) updates: AtomicU64,
    /// True while another thread has the receiver and does not wait in it: then it is this
    /// program, and not the server, that keeps the sender waiting.
    pub(super) paused: AtomicBool,
}

impl Connection {
    /// Connects to the first address that takes the connection.
    pub(super) fn open(
        address: impl ToSocketAddrs,
        timeout: Duration,
    ) -> Result<Self, ClientError> {
        if timeout.is_zero() {
            return Err(ClientError::ZeroTimeout);
        }
        let stream = dial(address, timeout)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        Ok(Self {
            stream,
            timeout,
            finished: AtomicBool::new(false),
            received: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            updates: AtomicU64::new(0),
            paused: AtomicBool::new(false),
        })
    }
}

/// A read or write that met its timeout: std has two names for it.
pub(super) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn dial(address: impl ToSocketAddrs, timeout: Duration) -> Result<TcpStream, ClientError> {
    let mut tried = Vec::new();
    let mut last = None;
    for address in address.to_socket_addrs().map_err(ClientError::Resolve)? {
        tried.push(address);
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => return Ok(stream),
            Err(e) => last = Some(e),
        }
    }
    let source = last.ok_or(ClientError::NoAddress)?;
    Err(ClientError::Connect { tried, source })
}
