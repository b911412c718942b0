//! What one turn of a connection gathers: replies, accepted records, log lines.

use ::log::Level;

use super::shared::{Clock, Shared};
use crate::counters::Counters;
use crate::flood::{Accepted, Batch, NeighborId};
use crate::log::{self, Stamp, escape_into};
use crate::protocol::reply::write_invalid;
use crate::records::{Merged, Record};
use crate::store::Round;

/// What one turn of a connection gathers, to be handed over at its end: one send to the flooder,
/// one to the log, one write to the socket. A worker keeps one and uses it again.
#[derive(Debug)]
pub struct Turn {
    /// The clock as the turn began: a clock read a turn, not a command.
    pub now: Clock,
    /// Replies, in order.
    pub replies: Vec<u8>,
    /// What is sent instead if the commit of what they show comes late: `? ` and the line for those
    /// that show a record, the same bytes for others. Kept only where replies wait for commits.
    pub denials: Vec<u8>,
    /// Replies that show a record.
    pub shown: u64,
    /// Commands, by what became of them.
    pub tally: Tally,
    /// What became of reports that were merged together; empty in between.
    pub merged: Vec<Merged>,
    /// Records to flood.
    accepted: Batch,
    lines: Vec<u8>,
    line_count: usize,
    log_clock: log::Clock,
    /// The text of `now`, once a line needs it.
    stamp: Option<Stamp>,
}

/// Commands of one turn: they are counted in the turn and added to the counters of the server at its
/// end, as atomics that all workers share cost more than the rest of a command's counting.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// IAMAT that were answered with AT.
    pub iamat: u64,
    /// WHATSAT that were answered with AT.
    pub whatsat: u64,
    /// UPDATE.
    pub update: u64,
    /// Lines that were answered with `? `.
    pub invalid: u64,
}

impl Tally {
    fn add_to(self, counters: &Counters) {
        let Self { iamat, whatsat, update, invalid } = self;
        let counts = [
            (&counters.iamat, iamat),
            (&counters.whatsat, whatsat),
            (&counters.update, update),
            (&counters.invalid, invalid),
        ];
        for (count, more) in counts.into_iter().filter(|(_, more)| *more > 0) {
            count.add(more);
        }
    }
}

/// A buffer that grew beyond this (bytes) is given back after the turn.
const KEPT_BYTES: usize = 512 * 1024;

impl Default for Turn {
    fn default() -> Self {
        Self {
            now: Clock::now(),
            replies: Vec::new(),
            denials: Vec::new(),
            shown: 0,
            tally: Tally::default(),
            merged: Vec::new(),
            accepted: Batch::new(),
            lines: Vec::new(),
            line_count: 0,
            log_clock: log::Clock::new(),
            stamp: None,
        }
    }
}

impl Turn {
    /// Begins anew: reads the clock.
    pub fn begin(&mut self) {
        self.now = Clock::now();
        self.stamp = None;
        for bytes in [&mut self.replies, &mut self.denials] {
            bytes.clear();
            bytes.shrink_to(KEPT_BYTES);
        }
        self.shown = 0;
    }

    /// Takes note of the reply to a line, which stands in `replies` from `start` on.
    pub fn reply_ends(&mut self, shared: &Shared, line: &[u8], start: usize, shows_record: bool) {
        if shared.awaited_store().is_none() {
            return;
        }
        if shows_record {
            self.shown += 1;
            write_invalid(line, &mut self.denials);
        } else {
            self.denials.extend_from_slice(&self.replies[start..]);
        }
    }

    /// The commit that the replies have to wait for; `None` if they may be sent: nobody waits for
    /// commits, they show no record, or all of them are on disk.
    pub fn awaits_commit(&self, shared: &Shared) -> Option<Round> {
        if self.shown == 0 { None } else { shared.awaited_store()?.want() }
    }

    /// Takes note of a record that was accepted as newer, and has to be flooded. A server without
    /// neighbors floods nothing.
    pub fn accept(&mut self, shared: &Shared, record: &Record, from: Option<NeighborId>) {
        if !shared.flood.links.is_empty() {
            self.accepted.push(Accepted { record: record.clone(), from });
        }
    }

    /// Hands accepted records to the flooder and lines to the log: before the replies are written,
    /// since an AT reply says that its record is on its way. Blocks only while the flooder, which
    /// never waits for a connection, is behind.
    pub fn hand_over(&mut self, shared: &Shared) {
        std::mem::take(&mut self.tally).add_to(&shared.counters);
        if !self.accepted.is_empty() {
            // An error means that the flooder has ended, with the server.
            let _ = shared.flooder.send(std::mem::take(&mut self.accepted));
        }
        if self.line_count > 0 {
            shared.log.traffic(&self.lines, self.line_count);
            self.lines.clear();
            self.lines.shrink_to(KEPT_BYTES);
            self.line_count = 0;
        }
    }

    /// Logs a command and its reply, which stands in `replies` from `start` on: the AT line, and
    /// places as a byte count, at debug whole.
    pub fn log_exchange(&mut self, shared: &Shared, peer: &str, line: &[u8], start: usize) {
        if !shared.log.wants_traffic() {
            return;
        }
        self.begin_line(peer);
        let reply = &self.replies[start..];
        let first = memchr::memchr(b'\n', reply).unwrap_or(reply.len());
        let places = reply[first..].trim_ascii();
        escape_into(line, &mut self.lines);
        self.lines.extend_from_slice(b" -> ");
        escape_into(&reply[..first], &mut self.lines);
        if !places.is_empty() {
            if shared.log.wants_debug() {
                self.lines.push(b' ');
                escape_into(places, &mut self.lines);
            } else {
                let text = format!(" + {} bytes of places", places.len());
                self.lines.extend_from_slice(text.as_bytes());
            }
        }
        self.end_line();
    }

    /// Logs an UPDATE that came on a client's connection.
    pub fn log_update(&mut self, shared: &Shared, peer: &str, line: &[u8]) {
        if !shared.log.wants_traffic() {
            return;
        }
        self.begin_line(peer);
        escape_into(line, &mut self.lines);
        self.end_line();
    }

    fn begin_line(&mut self, peer: &str) {
        let stamp = *self.stamp.get_or_insert_with(|| self.log_clock.stamp(self.now.wall));
        stamp.begin(Level::Info, &mut self.lines);
        self.lines.extend_from_slice(peer.as_bytes());
        self.lines.push(b' ');
    }

    fn end_line(&mut self) {
        self.lines.push(b'\n');
        self.line_count += 1;
    }
}
