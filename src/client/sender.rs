//! The half of a connection that commands go out of.

use std::io::{self, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use socket2::SockRef;

use crate::protocol::{fields, reply};

use super::connection::{Connection, is_timeout};
use super::{ClientError, MAX_COMMAND_BYTES};

/// Commands are collected up to so many bytes before they are written, so that a long pipeline
/// costs few system calls.
const WRITE_BYTES: usize = 64 << 10;

/// Sends commands; the other half of a [`super::Client`] that was split is the
/// [`super::Receiver`].
///
/// Dropping it does what [`Sender::finish`] does and says nothing of failures.
#[derive(Debug)]
pub struct Sender {
    connection: Arc<Connection>,
    expected: crossbeam_channel::Sender<Expected>,
    out: Vec<u8>,
    /// True once a write failed: nobody knows how much of the last line went out.
    is_broken: bool,
}

/// What the next reply but `? UPDATE ...` answers. UPDATE is not among these: it has a reply only
/// when it is not valid, and then the copy in that reply says so itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// One line.
    Line,
    /// One line, or an AT line and JSON up to an empty line.
    Nearby,
    /// One line that, were it not asked for, would say that the server is full.
    SaysFull,
}

impl Sender {
    pub(super) fn new(
        connection: Arc<Connection>,
        expected: crossbeam_channel::Sender<Expected>,
    ) -> Self {
        Self { connection, expected, out: Vec::new(), is_broken: false }
    }

    /// Sends one line, of any bytes; an LF is added if it has none. It may stay in a buffer until
    /// [`Sender::flush`].
    ///
    /// Waits while [`super::MAX_OUTSTANDING`] commands have no reply yet, and while the socket is
    /// full: at most for twice the timeout in which the receiver waits and nothing comes. While
    /// the receiver is there and is not asked to receive, for as long as that lasts.
    ///
    /// # Errors
    ///
    /// [`ClientError::LineFeed`] and [`ClientError::CommandTooLong`] before anything is sent;
    /// [`ClientError::WriteTimeout`] and [`ClientError::Io`].
    pub fn send(&mut self, line: impl AsRef<[u8]>) -> Result<(), ClientError> {
        let line = line.as_ref();
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        self.put(line)?;
        self.out.push(b'\n');
        if self.out.len() >= WRITE_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Hands what is in the buffer to the socket.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    pub fn flush(&mut self) -> Result<(), ClientError> {
        if self.is_broken {
            return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
        }
        let out = std::mem::take(&mut self.out);
        let result = self.write(&out);
        self.out = out;
        self.out.clear();
        if result.is_err() {
            self.is_broken = true;
            // An orderly end would end the line that is half sent, and half a report may be a valid
            // one. So it is reset when both halves are dropped. Fails only if it is gone already.
            let _ = SockRef::from(&self.connection.stream).set_linger(Some(Duration::ZERO));
        }
        result
    }

    /// Sends what is left and shuts the sending side down: the server answers everything and
    /// closes.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    pub fn finish(mut self) -> Result<(), ClientError> {
        self.close()
    }

    /// As [`Sender::finish`], after a last line without an LF: the end of the input ends it. (An
    /// empty one is no line.)
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    pub fn finish_with(mut self, last: impl AsRef<[u8]>) -> Result<(), ClientError> {
        if !last.as_ref().is_empty() {
            self.put(last.as_ref())?;
        }
        self.close()
    }

    /// True if the next [`Sender::send`] of a command that must be answered would wait.
    pub(super) fn is_full(&self) -> bool {
        self.expected.is_full()
    }

    fn put(&mut self, line: &[u8]) -> Result<(), ClientError> {
        if line.len() > MAX_COMMAND_BYTES {
            return Err(ClientError::CommandTooLong(line.len()));
        }
        if memchr::memchr(b'\n', line).is_some() {
            return Err(ClientError::LineFeed);
        }
        match Expected::of(line) {
            Some(expected) => self.expect(expected)?,
            None => {
                self.connection.updates.fetch_add(1, Ordering::SeqCst);
            }
        }
        self.out.extend_from_slice(line);
        Ok(())
    }

    /// Says what is expected before the command goes out, so that no reply comes before it.
    fn expect(&mut self, expected: Expected) -> Result<(), ClientError> {
        if self.expected.is_full() {
            // The replies that make room answer commands that are still in the buffer.
            self.flush()?;
        }
        self.expected.send(expected).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        self.connection.asked.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn write(&self, mut rest: &[u8]) -> Result<(), ClientError> {
        while !rest.is_empty() {
            let replied = self.connection.received.load(Ordering::Relaxed);
            match (&self.connection.stream).write(rest) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                Ok(written) => rest = &rest[written..],
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if is_timeout(&e) => {
                    // A server that is busy with what it has, and answers, is not stuck; and one
                    // whose replies are not taken has a reason to be.
                    let is_moving = self.connection.received.load(Ordering::Relaxed) != replied
                        || self.connection.paused.load(Ordering::Relaxed);
                    if !is_moving {
                        return Err(ClientError::WriteTimeout(self.connection.timeout));
                    }
                }
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), ClientError> {
        // Said before the last bytes go: when the server ends the connection, it is not early.
        if self.connection.finished.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let flushed = self.flush();
        if !self.is_broken {
            // Fails only if the connection is gone, which the receiver says better.
            let _ = self.connection.stream.shutdown(Shutdown::Write);
        }
        flushed
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        // There is nobody to tell; the receiver sees what became of it.
        let _ = self.close();
    }
}

impl Expected {
    /// What a line must be answered with; `None` for UPDATE.
    fn of(line: &[u8]) -> Option<Self> {
        match fields(line).next() {
            Some(b"UPDATE") => None,
            Some(b"WHATSAT") => Some(Self::Nearby),
            _ if reply::TOO_MANY_CONNECTIONS.get(2..).and_then(|text| text.strip_suffix(b"\n"))
                == Some(line) =>
            {
                Some(Self::SaysFull)
            }
            _ => Some(Self::Line),
        }
    }
}
