//! A connection to the server that is checked. Every wait ends at a deadline.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::Mismatch;

/// Longest single wait of a write, after which replies are read: who only writes can wait for ever
/// for a server that waits for its replies to be taken.
const WRITE_TURN: Duration = Duration::from_millis(10);

/// What is sent to a server, and what came back.
pub(super) struct Connection {
    /// As the case names it.
    pub(super) name: String,
    stream: TcpStream,
    /// The last write, for the message.
    pub(super) sent: Vec<u8>,
    /// What came; `taken` bytes of it are compared and done with.
    received: Vec<u8>,
    taken: usize,
    /// The server ended it, so nothing more can come.
    is_ended: bool,
}

impl Connection {
    pub(super) fn open(name: &str, addr: SocketAddr, deadline: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, deadline)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(WRITE_TURN))?;
        let (sent, received) = (Vec::new(), Vec::new());
        Ok(Self { name: name.into(), stream, sent, received, taken: 0, is_ended: false })
    }

    /// What came and is not compared yet.
    pub(super) fn untaken(&self) -> &[u8] {
        &self.received[self.taken..]
    }

    /// The first so many bytes of it are done with.
    pub(super) fn take(&mut self, length: usize) {
        self.taken += length;
    }

    /// Sends all, and takes replies meanwhile if the server would not read on without that. If the
    /// server has ended the connection, what is left is dropped: what was expected decides.
    pub(super) fn send(&mut self, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => {
                    if Instant::now() >= deadline {
                        return Err(error);
                    }
                    self.take_what_is_there()?;
                }
                Err(error) if is_gone(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads until nothing is there for a moment.
    fn take_what_is_there(&mut self) -> io::Result<()> {
        loop {
            match self.receive(Instant::now()) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if is_timeout(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads once. 0 is the end of the connection.
    pub(super) fn receive(&mut self, deadline: Instant) -> io::Result<usize> {
        if self.is_ended {
            return Ok(0);
        }
        let mut buffer = [0; 64 * 1024];
        loop {
            // std refuses a timeout of zero.
            let left = deadline.saturating_duration_since(Instant::now());
            self.stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
            match self.stream.read(&mut buffer) {
                Ok(count) => {
                    self.is_ended = count == 0;
                    self.received.drain(..std::mem::take(&mut self.taken));
                    self.received.extend_from_slice(&buffer[..count]);
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// An error here means that the connection is gone, which the next read tells.
    pub(super) fn half_close(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// What to say of a server that did not do what it must at this point.
    pub(super) fn mismatch(
        &mut self,
        line: Option<usize>,
        expected: String,
        problem: String,
    ) -> Mismatch {
        let problem = match self.name.as_str() {
            "" => problem,
            name => format!("connection `{name}`: {problem}"),
        };
        let sent = std::mem::take(&mut self.sent);
        Mismatch { line, sent, expected, got: self.untaken().to_vec(), problem }
    }
}

/// What to say of a read or write that failed.
pub(super) fn said(error: &io::Error, deadline: Duration) -> String {
    if is_timeout(error) {
        format!("nothing more came within {deadline:?}")
    } else {
        format!("the connection failed: {error}")
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted
    )
}
