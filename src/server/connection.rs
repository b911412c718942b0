//! One client's connection as an owned value: who has it may touch it, and no lock guards it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Instant;

use super::exceeded::Limit;
use super::exchange::Exchange;
use super::open::Open;
use super::session::{Next, Session};
use super::shared::{CLIENT_ENDED, IDLE, LINE_TOO_SLOW, LINGER, LINGER_BYTES, Shared};
use super::turn::Turn;
use crate::places::Lookup;
use crate::places::lookups::Answer;
use crate::store::Round;
use crate::waits::{Awaits, Event};

/// Bytes read in one turn, at most.
pub const READ_BYTES: usize = 64 * 1024;

/// Why a client over `write_timeout` is gone.
const TOOK_NO_REPLIES: &str = "took no replies";

/// A connection in lots mode. Its socket does not block. While it is idle it holds no buffer.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    session: Session,
    /// Read and not handled: the start of a line, or, after a full turn, whole lines too.
    input: Vec<u8>,
    /// Replies that the socket did not take yet.
    output: Vec<u8>,
    phase: Phase,
    /// Why it ends, once it does.
    reason: &'static str,
    /// The last turn was full: `input` may hold whole lines.
    is_full: bool,
    /// The client has shut its sending side.
    has_ended: bool,
    /// Since when it waits for what it waits for now.
    since: Instant,
    /// A look-up that is asked for once the client has taken the replies before it.
    lookup: Option<Lookup>,
    /// Replies that wait for the commit of what they show.
    withheld: Option<Box<Withheld>>,
    /// The socket may hold input, or its end: its lot was told so, and no read since came back short.
    may_hold_input: bool,
    /// Input ends behind what the socket holds.
    ends_behind: bool,
    /// Which readiness its lot waits for.
    pub awaits: Awaits,
    _open: Open,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serving,
    /// What is left to write is written, nothing more is handled.
    Ending,
    /// All is written and said to be: input is discarded until the client closes too.
    Lingering {
        discarded: usize,
    },
}

/// Replies of a turn that wait for the commit of what they show, and how the connection goes on then.
#[derive(Debug)]
struct Withheld {
    replies: Vec<u8>,
    /// Sent instead if the commit comes late.
    denials: Vec<u8>,
    /// How many of them show a record.
    shown: u64,
    next: Next,
}

/// What a connection needs next.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// To wait for its socket.
    Wait(Awaits),
    /// Another turn, without waiting.
    Again,
    /// Places from the provider, before anything else.
    AskPlaces(Lookup),
    /// The commit of what its replies show, before anything else; see [`Connection::commit_ends`].
    AwaitCommit(Round),
    /// To be dropped, for this reason.
    Gone(&'static str),
}

impl Connection {
    /// A client that was just accepted.
    ///
    /// # Errors
    ///
    /// When the socket is gone already.
    pub fn new(stream: TcpStream, session: Session, open: Open) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            session,
            input: Vec::new(),
            output: Vec::new(),
            phase: Phase::Serving,
            reason: CLIENT_ENDED,
            is_full: false,
            has_ended: false,
            since: Instant::now(),
            lookup: None,
            withheld: None,
            may_hold_input: true,
            ends_behind: false,
            awaits: Awaits::Readable,
            _open: open,
        })
    }

    /// Takes note of what its lot was told of the socket.
    pub fn becomes_ready(&mut self, event: Event) {
        self.may_hold_input = true;
        self.ends_behind |= event.has_ended;
    }

    /// The socket, to wait for.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// `ADDRESS:PORT` of the client.
    pub fn peer(&self) -> &str {
        &self.session.peer
    }

    /// The first part of a turn: writes what waits, reads once, and handles lines. What comes of it is in the exchange,
    /// for [`Connection::reply`] and [`Connection::send`]; a step instead if there is nothing to reply. Does not block.
    pub fn begin_turn(
        &mut self,
        shared: &Shared,
        input: &mut [u8],
        turn: &mut Turn,
        exchange: &mut Exchange,
    ) -> Result<Next, Step> {
        exchange.begin();
        self.try_begin_turn(shared, input, turn, exchange)
            .unwrap_or_else(|error| Err(Step::Gone(describe(&error))))
    }

    /// Replies to the reports in the exchange, once they are merged. `input` as it was for `begin_turn`.
    pub fn reply(
        &mut self,
        shared: &Shared,
        input: &[u8],
        turn: &mut Turn,
        exchange: &mut Exchange,
    ) {
        self.session.reply_to_reports(shared, input, turn, exchange);
    }

    /// Goes on with the places that it waited for. Blocks at most as [`Turn::hand_over`] does.
    pub fn answer(
        &mut self,
        shared: &Shared,
        places: &Answer,
        turn: &mut Turn,
        exchange: &mut Exchange,
    ) -> Step {
        // Neither the client's line nor its taking of replies was waited for meanwhile.
        self.since = Instant::now();
        exchange.begin();
        let next = self.session.answer(shared, places, turn, exchange);
        turn.hand_over(shared);
        self.send(shared, exchange, next)
    }

    /// Goes on after [`Step::AwaitCommit`]: what the replies show is on disk, or it took too long.
    pub fn commit_ends(&mut self, shared: &Shared, has_committed: bool) -> Step {
        self.since = Instant::now();
        let withheld = self.withheld.take().expect("only one that waits for a commit goes on");
        let Withheld { replies, denials, shown, next } = *withheld;
        let replies = if has_committed { replies } else { denials };
        if !has_committed {
            shared.commit_was_late(self.peer(), shown);
        }
        let step = self.write_replies(&replies).and_then(|()| self.follow(next));
        step.unwrap_or_else(|error| Step::Gone(describe(&error)))
    }

    /// The last part of a turn: sends the replies, or withholds them until what they show is on disk.
    pub fn send(&mut self, shared: &Shared, exchange: &mut Exchange, next: Next) -> Step {
        if let Some(round) = exchange.awaits_commit(shared) {
            self.withheld = Some(Box::new(Withheld {
                replies: std::mem::take(&mut exchange.replies),
                denials: std::mem::take(&mut exchange.denials),
                shown: exchange.shown,
                next,
            }));
            return Step::AwaitCommit(round);
        }
        let step = self.write_replies(&exchange.replies).and_then(|()| self.follow(next));
        step.unwrap_or_else(|error| Step::Gone(describe(&error)))
    }

    fn try_begin_turn(
        &mut self,
        shared: &Shared,
        input: &mut [u8],
        turn: &mut Turn,
        exchange: &mut Exchange,
    ) -> io::Result<Result<Next, Step>> {
        if let Phase::Lingering { discarded } = self.phase {
            return self.linger(discarded, input).map(Err);
        }
        if !self.flush()? {
            return Ok(Err(Step::Wait(Awaits::Writable)));
        }
        if let Some(lookup) = self.lookup.take() {
            return Ok(Err(Step::AskPlaces(lookup)));
        }
        if self.phase == Phase::Ending {
            return self.end().map(Err);
        }
        let carried = self.input.len();
        input[..carried].copy_from_slice(&self.input);
        let mut filled = carried;
        if !self.is_full {
            match self.read(&mut input[carried..])? {
                Some(0) => self.has_ended = true,
                length => filled += length.unwrap_or(0),
            }
        }
        let input = &input[..filled];
        let (taken, next) = self.session.handle(shared, input, self.has_ended, turn, exchange);
        self.keep_input(&input[taken..], taken > 0 || carried == 0);
        Ok(Ok(next))
    }

    /// Reads once, if there may be something. `None` if there is nothing now; 0 is the end.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        if !self.may_hold_input {
            return Ok(None);
        }
        match (&self.stream).read(buffer) {
            Ok(length) => {
                // After a short read there is no more, which another read would only confirm.
                self.may_hold_input = length > 0 && (length == buffer.len() || self.ends_behind);
                Ok(Some(length))
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(None),
            Err(error) if would_block(&error) => {
                self.may_hold_input = false;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn wait_for_input(&self) -> Step {
        if self.may_hold_input { Step::Again } else { Step::Wait(Awaits::Readable) }
    }

    fn follow(&mut self, next: Next) -> io::Result<Step> {
        self.is_full = next == Next::TurnFull;
        match next {
            // Else who takes no replies would have neither a deadline nor a bound meanwhile.
            Next::AskPlaces(lookup) if !self.output.is_empty() => self.lookup = Some(lookup),
            Next::AskPlaces(lookup) => return Ok(Step::AskPlaces(lookup)),
            Next::Close(reason) => {
                self.phase = Phase::Ending;
                self.reason = reason;
            }
            Next::NeedInput if self.has_ended => self.phase = Phase::Ending,
            Next::NeedInput | Next::TurnFull => {}
        }
        if !self.output.is_empty() {
            return Ok(Step::Wait(Awaits::Writable));
        }
        match self.phase {
            Phase::Ending => self.end(),
            _ if self.is_full => Ok(Step::Again),
            _ => Ok(self.wait_for_input()),
        }
    }

    /// Keeps what is not handled; the time of a line counts from its first byte.
    fn keep_input(&mut self, rest: &[u8], is_new_wait: bool) {
        if rest.is_empty() {
            self.input = Vec::new();
        } else {
            self.input.clear();
            self.input.extend_from_slice(rest);
        }
        if is_new_wait {
            self.since = Instant::now();
        }
    }

    /// Writes what the socket takes, and keeps the rest.
    fn write_replies(&mut self, replies: &[u8]) -> io::Result<()> {
        if !self.output.is_empty() {
            self.output.extend_from_slice(replies);
            return Ok(());
        }
        let written = write_some(&self.stream, replies)?;
        if written < replies.len() {
            self.output = replies[written..].to_vec();
            self.since = Instant::now();
        }
        Ok(())
    }

    /// Writes what waits; true if nothing waits any more.
    fn flush(&mut self) -> io::Result<bool> {
        if self.output.is_empty() {
            return Ok(true);
        }
        let written = write_some(&self.stream, &self.output)?;
        self.output.drain(..written);
        if !self.output.is_empty() {
            // Taking some of it wins no time, or a byte now and then would hold the rest for ever.
            return Ok(false);
        }
        self.output = Vec::new();
        self.since = Instant::now();
        Ok(true)
    }

    /// All is written: says so, and lets the client close first, unless it has ended already.
    fn end(&mut self) -> io::Result<Step> {
        self.stream.shutdown(Shutdown::Write)?;
        if self.has_ended {
            return Ok(Step::Gone(self.reason));
        }
        self.phase = Phase::Lingering { discarded: 0 };
        self.input = Vec::new();
        self.since = Instant::now();
        Ok(self.wait_for_input())
    }

    fn linger(&mut self, discarded: usize, input: &mut [u8]) -> io::Result<Step> {
        match self.read(input)? {
            Some(0) => Ok(Step::Gone(self.reason)),
            Some(length) if discarded + length > LINGER_BYTES => {
                Ok(Step::Gone("sent on after its end"))
            }
            length => {
                let discarded = discarded + length.unwrap_or(0);
                self.phase = Phase::Lingering { discarded };
                Ok(self.wait_for_input())
            }
        }
    }

    /// Looks at the clock, about once a second: a step if the connection waited too long.
    pub fn check_time(&mut self, now: Instant, shared: &Shared) -> Option<Step> {
        let waited = now.saturating_duration_since(self.since);
        if let Phase::Lingering { .. } = self.phase {
            return (waited > LINGER).then_some(Step::Gone(self.reason));
        }
        let (longest, limit, reason) = match self.input.is_empty() {
            _ if !self.output.is_empty() => {
                (shared.limits.write_timeout, Limit::Untaken, TOOK_NO_REPLIES)
            }
            _ if self.is_full => return None,
            false => (shared.limits.line_timeout, Limit::LineTime, LINE_TOO_SLOW),
            true if self.session.is_neighbor() => return None,
            true => (shared.pool.idle_timeout, Limit::Idle, IDLE),
        };
        if waited <= longest {
            return None;
        }
        shared.exceeded(limit, self.peer());
        if limit == Limit::Untaken {
            return Some(Step::Gone(reason));
        }
        Some(self.stop(reason))
    }

    /// Ends the conversation as soon as what was read is answered and written.
    pub fn stop(&mut self, reason: &'static str) -> Step {
        if self.is_full || self.lookup.is_some() {
            return Step::Wait(self.awaits);
        }
        if self.phase == Phase::Serving {
            self.phase = Phase::Ending;
            self.reason = reason;
        }
        if self.phase == Phase::Ending && self.output.is_empty() {
            return self.end().unwrap_or_else(|error| Step::Gone(describe(&error)));
        }
        Step::Wait(self.awaits)
    }
}

fn write_some(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match stream.write(&bytes[written..]) {
            Ok(length) => written += length,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if would_block(&error) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

/// True if there is nothing to read, or no room to write, for now.
pub fn would_block(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Why a connection that failed is gone, in the words of the log.
pub fn describe(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::ConnectionReset => "reset by the client",
        ErrorKind::BrokenPipe | ErrorKind::NotConnected => "gone before its replies",
        ErrorKind::WouldBlock | ErrorKind::TimedOut => TOOK_NO_REPLIES,
        _ => "failed",
    }
}

#[cfg(test)]
mod tests;
