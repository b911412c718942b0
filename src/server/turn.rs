//! What one turn of a worker gathers of the connections that have it: accepted records, log lines.

use ::log::Level;
use smallvec::SmallVec;

use super::exchange::{Exchange, KEPT_BYTES};
use super::shared::{Clock, Shared};
use crate::counters::Counters;
use crate::flood::{Accepted, Batch, NeighborId};
use crate::log::{self, Stamp, escape_into};
use crate::records::{Merged, Record, TOGETHER};

/// What one turn gathers, to be handed over at its end: one send to the flooder, one to the log. A worker keeps one
/// and uses it again. What each connection is replied is in its [`Exchange`].
#[derive(Debug)]
pub struct Turn {
    /// The clock as a connection's lines were read: a clock read for all of them, not for each.
    pub now: Clock,
    /// Commands, by what became of them.
    pub tally: Tally,
    /// What became of reports that were merged together; empty in between.
    merged: Vec<Merged>,
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

impl Default for Turn {
    fn default() -> Self {
        Self {
            now: Clock::now(),
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
    /// Reads the clock, for lines that were just read.
    pub fn read_clock(&mut self) {
        self.now = Clock::now();
        self.stamp = None;
    }

    /// Merges the reports of exchanges, all together.
    pub fn merge(&mut self, shared: &Shared, exchanges: &mut [Exchange]) {
        // Something is left of a merge that panicked.
        self.merged.clear();
        let reports = exchanges.iter().flat_map(|exchange| &exchange.reports);
        let records: SmallVec<[&Record; TOGETHER]> = reports.map(|report| &report.record).collect();
        shared.records.report_all(&records, shared.limits.max_records, &mut self.merged);
        drop(records);
        let reports = exchanges.iter_mut().flat_map(|exchange| &mut exchange.reports);
        for (report, merged) in reports.zip(self.merged.drain(..)) {
            report.merged = Some(merged);
        }
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

    /// Logs a command and its reply: the AT line, and places as a byte count, at debug whole.
    pub fn log_exchange(&mut self, shared: &Shared, peer: &str, line: &[u8], reply: &[u8]) {
        if !shared.log.wants_traffic() {
            return;
        }
        self.begin_line(peer);
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

    /// Forgets a line that was begun and not ended.
    pub fn drop_half_a_line(&mut self) {
        let whole = memchr::memrchr(b'\n', &self.lines).map_or(0, |end| end + 1);
        self.lines.truncate(whole);
    }

    pub(super) fn begin_line(&mut self, peer: &str) {
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
