//! Pinned mode: a worker keeps one connection until it closes, in blocking reads, writes and calls.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::connection::{describe, would_block};
use super::exceeded::Limit;
use super::exchange::Exchange;
use super::lot::log_closed;
use super::open::Open;
use super::session::{Next, Session};
use super::shared::{
    CLIENT_ENDED, IDLE, LINE_TOO_SLOW, LINGER, LINGER_BYTES, LOST, SERVER_STOPS, Shared,
};
use super::ticket::{Ticket, Turned};
use super::turn::Turn;
use crate::places::Lookup;
use crate::places::lookups::{Answer, Asked, Call};
use crate::waits;

/// Room for input beside the longest line, in bytes: what a read brings at least when half a line
/// waits. Each connection has it, so less than a turn in lots mode may read.
const ROOM_BYTES: usize = 8 * 1024;

/// How often a connection without input looks whether the server stops. Freeing its read by shutting
/// the socket would be prompter, but then whatever the client sends resets the connection, and
/// replies on their way are lost. Longer takes a stop longer; shorter costs idle threads more.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The connections that are served now, so that a stop can cut them.
#[derive(Debug, Default)]
pub struct Pinned {
    streams: Mutex<HashMap<u64, Arc<TcpStream>>>,
    numbers: AtomicU64,
}

impl Pinned {
    /// The job of one worker: a connection from its first byte to its last. Every wait is bounded,
    /// by the idle, line and write limits of the conf and by the provider's timeout.
    pub fn serve(&self, shared: &Shared, stream: TcpStream, session: Session, open: Open) {
        let peer = session.peer.clone();
        if shared.is_stopping() {
            log_closed(shared, &peer, SERVER_STOPS);
            return;
        }
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let stream = Arc::new(stream);
        self.streams.lock().insert(number, Arc::clone(&stream));
        let mut conversation = Conversation::new(shared, &stream, session);
        let ended = catch_unwind(AssertUnwindSafe(|| conversation.run()));
        let reason = match ended {
            Ok(Ok(reason)) => reason,
            Ok(Err(error)) => describe(&error),
            Err(_) => {
                shared.counters.panics.add(1);
                LOST
            }
        };
        self.streams.lock().remove(&number);
        log_closed(shared, &peer, reason);
        drop(open);
    }

    /// Ends every conversation, also in the middle of a read or a write.
    pub fn cut(&self) {
        for stream in self.streams.lock().values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

struct Conversation<'a> {
    shared: &'a Shared,
    stream: &'a TcpStream,
    session: Session,
    turn: Turn,
    exchange: Exchange,
    input: Vec<u8>,
    filled: usize,
    has_ended: bool,
    /// When the line that is half here has to be whole.
    line_deadline: Option<Instant>,
    timeout: Option<Duration>,
}

impl<'a> Conversation<'a> {
    fn new(shared: &'a Shared, stream: &'a TcpStream, session: Session) -> Self {
        Self {
            shared,
            stream,
            session,
            turn: Turn::default(),
            exchange: Exchange::default(),
            input: vec![0; shared.limits.max_line + 1 + ROOM_BYTES],
            filled: 0,
            has_ended: false,
            line_deadline: None,
            timeout: None,
        }
    }

    fn run(&mut self) -> io::Result<&'static str> {
        self.stream.set_write_timeout(Some(self.shared.limits.write_timeout))?;
        loop {
            match self.handle()? {
                Next::Close(reason) => return self.close(reason),
                Next::TurnFull => continue,
                Next::NeedInput if self.has_ended => return self.close(CLIENT_ENDED),
                Next::NeedInput | Next::AskPlaces(_) => {}
            }
            if let Err(reason) = self.read()? {
                return self.close(reason);
            }
        }
    }

    /// Handles what is there, and writes the replies.
    fn handle(&mut self) -> io::Result<Next> {
        let Self { shared, session, turn, exchange, .. } = self;
        exchange.begin();
        let input = &self.input[..self.filled];
        let (taken, mut next) = session.handle(shared, input, self.has_ended, turn, exchange);
        session.settle(shared, input, turn, exchange);
        self.input.copy_within(taken..self.filled, 0);
        self.filled -= taken;
        if taken > 0 || self.filled == 0 {
            self.line_deadline = None;
        }
        self.write_replies()?;
        if let Next::AskPlaces(lookup) = next {
            let answer = self.ask_places(lookup)?;
            let Self { shared, session, turn, exchange, .. } = self;
            exchange.begin();
            next = session.answer(shared, &answer, turn, exchange);
            self.write_replies()?;
        }
        Ok(next)
    }

    fn write_replies(&mut self) -> io::Result<()> {
        self.turn.hand_over(self.shared);
        self.await_commit();
        let written = self.write_by(Instant::now() + self.shared.limits.write_timeout);
        if let Err(error) = &written
            && would_block(error)
        {
            self.shared.exceeded(Limit::Untaken, &self.session.peer);
        }
        written
    }

    /// Waits until what the replies show is on disk. If that takes too long they become denials.
    fn await_commit(&mut self) {
        let (Some(round), Some(store)) =
            (self.exchange.awaits_commit(self.shared), &self.shared.store)
        else {
            return;
        };
        let deadline = Instant::now() + store.commit_timeout();
        while !store.wait(round, deadline.min(Instant::now() + LOOK_EVERY)) {
            if Instant::now() >= deadline || self.shared.is_stopping() {
                std::mem::swap(&mut self.exchange.replies, &mut self.exchange.denials);
                self.shared.commit_was_late(&self.session.peer, self.exchange.shown);
                return;
            }
        }
    }

    /// Writes all replies. The deadline is for the whole: taking some of it wins no time, or a byte
    /// now and then would hold the rest, and this thread, for ever.
    fn write_by(&self, deadline: Instant) -> io::Result<()> {
        let mut stream = self.stream;
        let mut rest = &self.exchange.replies[..];
        while !rest.is_empty() {
            match stream.write(rest) {
                Ok(length) if length == rest.len() => return Ok(()),
                // The time of this write was up, or nearly so.
                Ok(length) => rest = &rest[length..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if Instant::now() >= deadline {
                return Err(ErrorKind::WouldBlock.into());
            }
        }
        Ok(())
    }

    /// Waits for input; a reason to close if the client has waited too long with it, or the server
    /// stops.
    fn read(&mut self) -> io::Result<Result<(), &'static str>> {
        let mut now = Instant::now();
        let (deadline, limit, reason) = if self.filled > 0 {
            let deadline = now + self.shared.limits.line_timeout;
            let deadline = *self.line_deadline.get_or_insert(deadline);
            (Some(deadline), Limit::LineTime, LINE_TOO_SLOW)
        } else if self.session.is_neighbor() {
            (None, Limit::Idle, IDLE)
        } else {
            (Some(now + self.shared.pool.idle_timeout), Limit::Idle, IDLE)
        };
        loop {
            let left = deadline.map_or(LOOK_EVERY, |at| at.saturating_duration_since(now));
            if self.shared.is_stopping() {
                return Ok(Err(SERVER_STOPS));
            }
            if left.is_zero() {
                self.shared.exceeded(limit, &self.session.peer);
                return Ok(Err(reason));
            }
            self.set_read_timeout(left.min(LOOK_EVERY))?;
            let mut stream = self.stream;
            match stream.read(&mut self.input[self.filled..]) {
                Ok(0) => self.has_ended = true,
                Ok(length) => self.filled += length,
                Err(error) if would_block(&error) => {
                    now = Instant::now();
                    continue;
                }
                Err(error) => return Err(error),
            }
            return Ok(Ok(()));
        }
    }

    fn set_read_timeout(&mut self, timeout: Duration) -> io::Result<()> {
        if self.timeout != Some(timeout) {
            self.stream.set_read_timeout(Some(timeout))?;
            self.timeout = Some(timeout);
        }
        Ok(())
    }

    /// Asks for places: calls the provider when it is this thread's turn, else waits for who does.
    fn ask_places(&self, lookup: Lookup) -> io::Result<Answer> {
        let (sender, turned) = waits::bounded(2);
        match self.shared.lookups.ask(lookup, Ticket::Pinned(sender)) {
            Asked::Answered(_, answer) => {
                self.shared.exceeded(Limit::PlacesQueue, &self.session.peer);
                return Ok(answer);
            }
            Asked::Waiting => {}
            Asked::Call(call) => run_call(self.shared, call),
        }
        loop {
            // Who calls is bounded by the provider's timeouts, and answers everyone.
            match turned.recv() {
                Ok(Turned::Answer(answer)) => return Ok(answer),
                Ok(Turned::Call(call)) => run_call(self.shared, call),
                Err(_) => return Err(io::Error::other("nobody looks its places up")),
            }
        }
    }

    /// Lets the last reply arrive: a close with unread input would reset the connection.
    fn close(&mut self, reason: &'static str) -> io::Result<&'static str> {
        let mut stream = self.stream;
        stream.shutdown(Shutdown::Write)?;
        let deadline = Instant::now() + LINGER;
        let mut discarded = 0;
        while !self.has_ended && discarded <= LINGER_BYTES {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            self.set_read_timeout(left)?;
            match stream.read(&mut self.input) {
                Ok(0) => self.has_ended = true,
                Ok(length) => discarded += length,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        Ok(reason)
    }
}

fn run_call(shared: &Shared, call: Call<Ticket>) {
    let finished = call.run();
    shared.waited_too_long(finished.late);
    for (ticket, answer) in finished.answered {
        if let Ticket::Pinned(waiter) = ticket {
            // A connection that is gone does not wait any more.
            let _ = waiter.send(Turned::Answer(answer));
        }
    }
    if let Some(call) = finished.next
        && let Ticket::Pinned(waiter) = &call.ticket
    {
        let waiter = waiter.clone();
        let _ = waiter.send(Turned::Call(call));
    }
}
