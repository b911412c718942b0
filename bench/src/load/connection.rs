//! One connection: what was asked on it, what has been answered, what still has to be sent.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};

use mio::net::TcpStream;

use super::replies::{Expected, Splitter, Verdict};
use super::requests::Requests;

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    splitter: Splitter,
    /// What was sent and is not answered, in order.
    outstanding: VecDeque<Batch>,
    in_flight: usize,
    /// When requests were due that wait for room.
    waiting: VecDeque<u64>,
    /// What the socket did not take yet.
    unsent: Vec<u8>,
    /// Replies that came in the measured time.
    pub(super) answered: u64,
    /// WHATSAT replies that say why there are no places.
    pub(super) without_places: u64,
    /// The server is to end it after each reply, and that is waited for.
    reads_to_end: bool,
}

/// Requests that were due at the same time and get the same kind of reply.
#[derive(Debug)]
struct Batch {
    due: u64,
    expected: Expected,
    count: u64,
}

/// Replies that came in one read, to requests that were due at the same time.
pub(super) struct Answered {
    pub(super) due: u64,
    pub(super) count: u64,
}

/// What a read brought.
pub(super) enum Came {
    /// The socket may hold more.
    Some,
    /// The socket is empty.
    All,
    /// The server ended the connection.
    End,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, reads_to_end: bool) -> Self {
        Self {
            stream,
            splitter: Splitter::default(),
            outstanding: VecDeque::new(),
            in_flight: 0,
            waiting: VecDeque::new(),
            unsent: Vec::new(),
            answered: 0,
            without_places: 0,
            reads_to_end,
        }
    }

    /// Goes on where a connection that ended was.
    pub(super) fn continue_from(&mut self, before: Self) {
        self.waiting = before.waiting;
        self.answered = before.answered;
        self.without_places = before.without_places;
    }

    /// True if all that was sent is answered.
    pub(super) fn is_quiet(&self) -> bool {
        self.in_flight == 0
    }

    /// Requests without a reply, sent or not.
    pub(super) fn unanswered(&self) -> usize {
        self.in_flight + self.waiting.len()
    }

    /// Puts a request off until there is room for it.
    pub(super) fn enqueue(&mut self, due: u64) {
        self.waiting.push_back(due);
    }

    /// True if requests wait for others to be answered.
    pub(super) fn is_behind(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// When the first of the requests that wait was due.
    pub(super) fn first_due(&self) -> Option<u64> {
        self.waiting.front().copied()
    }

    /// Sends what waits, as far as `most` outstanding requests allow, in one write; how many.
    pub(super) fn send_waiting(
        &mut self,
        most: usize,
        requests: &mut Requests,
        scratch: &mut Vec<u8>,
    ) -> io::Result<usize> {
        let count = self.waiting.len().min(most.saturating_sub(self.in_flight));
        if count == 0 {
            return Ok(0);
        }
        scratch.clear();
        requests.read_clock();
        for _ in 0..count {
            let due = self.waiting.pop_front().expect("as many wait");
            let expected = requests.write(scratch);
            self.expect(due, expected);
        }
        self.transmit(scratch)?;
        Ok(count)
    }

    /// Sends `count` requests, due now, in one write.
    pub(super) fn send(
        &mut self,
        count: usize,
        now: u64,
        requests: &mut Requests,
        scratch: &mut Vec<u8>,
    ) -> io::Result<()> {
        scratch.clear();
        requests.read_clock();
        for _ in 0..count {
            let expected = requests.write(scratch);
            self.expect(now, expected);
        }
        self.transmit(scratch)
    }

    fn expect(&mut self, due: u64, expected: Expected) {
        self.in_flight += 1;
        match self.outstanding.back_mut() {
            Some(batch) if batch.due == due && batch.expected == expected => batch.count += 1,
            _ => self.outstanding.push_back(Batch { due, expected, count: 1 }),
        }
    }

    fn transmit(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.unsent.is_empty() {
            self.unsent.extend_from_slice(bytes);
            return Ok(());
        }
        let sent = write_some(&mut self.stream, bytes)?;
        self.unsent.extend_from_slice(&bytes[sent..]);
        Ok(())
    }

    /// Sends on what the socket did not take before; it is writable now.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let sent = write_some(&mut self.stream, &self.unsent)?;
        self.unsent.drain(..sent);
        if self.unsent.is_empty() {
            // Ten thousand of these buffers would count.
            self.unsent = Vec::new();
        }
        Ok(())
    }

    /// Reads once. Hands over replies that were right in groups, and the others one by one.
    pub(super) fn read(
        &mut self,
        buffer: &mut [u8],
        mut answered: impl FnMut(Answered),
        mut wrong: impl FnMut(&[u8]),
    ) -> io::Result<Came> {
        let length = loop {
            match self.stream.read(buffer) {
                Ok(0) => return Ok(Came::End),
                Ok(length) => break length,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(Came::All),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        };
        let mut rest = &buffer[..length];
        while !rest.is_empty() {
            let Some(batch) = self.outstanding.front_mut() else {
                wrong(rest);
                break;
            };
            let mut count = 0;
            while count < batch.count && !rest.is_empty() {
                let (used, verdict) = self.splitter.take(rest, batch.expected);
                rest = &rest[used..];
                match verdict {
                    Some(Verdict::Right) => count += 1,
                    Some(Verdict::WithoutPlaces) => {
                        self.without_places += 1;
                        count += 1;
                    }
                    Some(Verdict::Wrong(head)) => {
                        wrong(&head);
                        count += 1;
                    }
                    None => {}
                }
            }
            batch.count -= count;
            self.in_flight -= count as usize;
            let due = batch.due;
            if batch.count == 0 {
                self.outstanding.pop_front();
            }
            if count > 0 {
                answered(Answered { due, count });
            }
        }
        let is_all = length < buffer.len() && !self.reads_to_end;
        Ok(if is_all { Came::All } else { Came::Some })
    }
}

/// Writes until the socket takes no more; how many bytes.
fn write_some(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut sent = 0;
    while sent < bytes.len() {
        match stream.write(&bytes[sent..]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => sent += count,
            Err(e) if e.kind() == ErrorKind::WouldBlock => break,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(sent)
}
