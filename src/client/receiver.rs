//! The half of a connection that replies come in by, and where each reply ends.

use std::io::{self, Read};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::protocol::{fields, reply};

use super::connection::{Connection, is_timeout};
use super::error::excerpt;
use super::reply::{RawReply, Reply, Shape};
use super::sender::Expected;
use super::{ClientError, MAX_REPLY_BYTES};

/// Room for one read, in bytes. Larger makes fewer system calls of a long pipeline.
const READ_BYTES: usize = 64 << 10;

/// Receives replies, in the order of the commands; the other half of a [`super::Client`] that
/// was split is the [`super::Sender`].
#[derive(Debug)]
pub struct Receiver {
    connection: Arc<Connection>,
    expected: crossbeam_channel::Receiver<Expected>,
    /// Bytes that came; those from `start` on belong to no reply yet.
    input: Vec<u8>,
    start: usize,
    /// How many bytes from `start` on need not be searched again.
    searched: usize,
    /// Length of the AT line, once it has come, of a reply whose JSON is still to come.
    at_line: Option<usize>,
    answered: u64,
    /// UPDATEs that the server refused.
    refused: u64,
    /// True once a failure closed the connection.
    is_abandoned: bool,
    /// True if the sender is on another thread.
    is_apart: bool,
}

impl Receiver {
    pub(super) fn new(
        connection: Arc<Connection>,
        expected: crossbeam_channel::Receiver<Expected>,
    ) -> Self {
        Self {
            connection,
            expected,
            input: Vec::new(),
            start: 0,
            searched: 0,
            at_line: None,
            answered: 0,
            refused: 0,
            is_abandoned: false,
            is_apart: false,
        }
    }

    /// The same, for a thread other than the sender's.
    pub(super) fn apart(mut self) -> Self {
        self.is_apart = true;
        self.pause(true);
        self
    }

    /// The next reply; `None` when the sender has finished and the server has answered all of it.
    ///
    /// An UPDATE that the server accepts has no reply. One that it does not accept has a `? `
    /// reply, in its place among the others.
    ///
    /// Waits for as long as nothing is due; from when a reply is due, at most twice the timeout.
    ///
    /// # Errors
    ///
    /// [`ClientError::ReadTimeout`], [`ClientError::EndedEarly`], [`ClientError::CutShort`],
    /// [`ClientError::ReplyTooLong`], [`ClientError::NotAReply`], [`ClientError::Unexpected`],
    /// [`ClientError::TooManyConnections`], [`ClientError::Io`]. Each closes the connection, both
    /// ways, so that a sender which waits is freed; after it there is only
    /// [`ClientError::EndedEarly`].
    pub fn receive(&mut self) -> Result<Option<Reply>, ClientError> {
        self.receive_raw()?.map(RawReply::parse).transpose()
    }

    /// As [`Receiver::receive`], with the reply as it came.
    ///
    /// # Errors
    ///
    /// As [`Receiver::receive`].
    pub fn receive_raw(&mut self) -> Result<Option<RawReply>, ClientError> {
        self.wait().inspect_err(|_| self.abandon())
    }

    /// The next reply if it is here as a whole already. Never waits.
    ///
    /// # Errors
    ///
    /// As [`Receiver::receive`], but for timeouts and the end.
    pub fn buffered_raw(&mut self) -> Result<Option<RawReply>, ClientError> {
        self.take().inspect_err(|_| self.abandon())
    }

    /// Commands that were sent and must be answered: all but UPDATE.
    pub fn asked(&self) -> u64 {
        self.connection.asked.load(Ordering::Relaxed)
    }

    /// Replies to such commands that were received.
    pub fn answered(&self) -> u64 {
        self.answered
    }

    /// Replies that are due.
    pub(super) fn outstanding(&self) -> usize {
        self.expected.len() + usize::from(self.at_line.is_some())
    }

    /// True once a failure closed the connection.
    pub(super) fn is_abandoned(&self) -> bool {
        self.is_abandoned
    }

    fn wait(&mut self) -> Result<Option<RawReply>, ClientError> {
        if self.is_abandoned {
            let unanswered = self.asked().saturating_sub(self.answered);
            return Err(ClientError::EndedEarly { unanswered: unanswered as usize });
        }
        let timeout = self.connection.timeout;
        let mut since = Instant::now();
        loop {
            if let Some(reply) = self.take()? {
                return Ok(Some(reply));
            }
            // Judged before the wait: what was asked during it has not had its whole time.
            let is_due = self.is_due();
            if is_due && since.elapsed() > timeout {
                return Err(ClientError::ReadTimeout(timeout));
            }
            match self.read() {
                Ok(0) => return self.at_end(),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if is_timeout(&e) => {
                    if is_due {
                        return Err(ClientError::ReadTimeout(timeout));
                    }
                }
                Err(e) => return Err(e.into()),
            }
            if !is_due {
                since = Instant::now();
            }
        }
    }

    /// True if the server owes us something: a reply, the rest of one, or the end.
    fn is_due(&self) -> bool {
        self.start < self.input.len() || self.outstanding() > 0 || self.is_finished()
    }

    fn is_finished(&self) -> bool {
        self.connection.finished.load(Ordering::SeqCst)
    }

    fn at_end(&self) -> Result<Option<RawReply>, ClientError> {
        let rest = self.input.len() - self.start;
        if rest > 0 {
            return Err(ClientError::CutShort(rest));
        }
        let unanswered = self.outstanding();
        if unanswered > 0 || !self.is_finished() {
            return Err(ClientError::EndedEarly { unanswered });
        }
        Ok(None)
    }

    fn read(&mut self) -> io::Result<usize> {
        if self.start > 0 {
            self.input.drain(..self.start);
            self.start = 0;
        }
        let old = self.input.len();
        self.input.resize(old + READ_BYTES, 0);
        self.pause(false);
        let result = (&self.connection.stream).read(&mut self.input[old..]);
        self.pause(self.is_apart);
        let count = *result.as_ref().unwrap_or(&0);
        self.input.truncate(old + count);
        self.connection.received.fetch_add(count as u64, Ordering::Relaxed);
        result
    }

    /// Takes the first reply out of the input, if it is whole.
    fn take(&mut self) -> Result<Option<RawReply>, ClientError> {
        let input = &self.input[self.start..];
        let at_line = match self.at_line {
            Some(length) => length,
            None => {
                let Some(end) = memchr::memchr(b'\n', &input[self.searched..]) else {
                    self.searched = input.len();
                    return self.partial();
                };
                let length = self.searched + end + 1;
                match self.classify(length)? {
                    Shape::Nearby(length) => length,
                    shape => return Ok(Some(self.cut(length, shape))),
                }
            }
        };
        self.at_line = Some(at_line);
        // The LF of the AT line is no part of the JSON, so none of the two that end it.
        let from = self.searched.max(at_line);
        let input = &self.input[self.start..];
        match memchr::memmem::find(&input[from..], b"\n\n") {
            Some(end) => Ok(Some(self.cut(from + end + 2, Shape::Nearby(at_line)))),
            None => {
                // The last byte may be the first LF of the two.
                self.searched = input.len().saturating_sub(1);
                self.partial()
            }
        }
    }

    fn partial(&self) -> Result<Option<RawReply>, ClientError> {
        if self.input.len() - self.start > MAX_REPLY_BYTES {
            return Err(ClientError::ReplyTooLong);
        }
        Ok(None)
    }

    /// What the reply is that starts with a line of `length` bytes, and takes note of what it
    /// answers.
    fn classify(&mut self, length: usize) -> Result<Shape, ClientError> {
        let line = &self.input[self.start..self.start + length];
        let shape = match line {
            [b'?', b' ', ..] => Shape::Invalid,
            [b'A', b'T', b' ', ..] => Shape::At,
            _ => return Err(ClientError::NotAReply(excerpt(line))),
        };
        if shape == Shape::Invalid && fields(&line[2..]).next() == Some(b"UPDATE") {
            // Counted, since a server that says this for ever would keep a call waiting for ever.
            if self.refused == self.connection.updates.load(Ordering::SeqCst) {
                return Err(ClientError::Unexpected(excerpt(line)));
            }
            self.refused += 1;
            return Ok(shape);
        }
        let expected = self.expected.try_recv().ok();
        let is_full = self.answered == 0
            && line == reply::TOO_MANY_CONNECTIONS
            && expected != Some(Expected::SaysFull);
        if is_full {
            return Err(ClientError::TooManyConnections);
        }
        let expected = expected.ok_or_else(|| ClientError::Unexpected(excerpt(line)))?;
        self.answered += 1;
        match (shape, expected) {
            (Shape::At, Expected::Nearby) => Ok(Shape::Nearby(length)),
            _ => Ok(shape),
        }
    }

    fn cut(&mut self, length: usize, shape: Shape) -> RawReply {
        let bytes = self.input[self.start..self.start + length].to_vec();
        self.start += length;
        self.searched = 0;
        self.at_line = None;
        RawReply::new(bytes, shape)
    }

    fn pause(&self, paused: bool) {
        self.connection.paused.store(paused, Ordering::Relaxed);
    }

    fn abandon(&mut self) {
        if std::mem::replace(&mut self.is_abandoned, true) {
            return;
        }
        // The reply that was cut short answers nothing.
        self.answered -= u64::from(self.at_line.take().is_some());
        // Frees a sender that waits for room.
        self.expected = crossbeam_channel::never();
        // Fails only if the connection is gone already.
        let _ = self.connection.stream.shutdown(Shutdown::Both);
        self.input.clear();
        self.start = 0;
        self.searched = 0;
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // Nobody receives any more, so the sender waits for the server alone.
        self.pause(false);
    }
}
