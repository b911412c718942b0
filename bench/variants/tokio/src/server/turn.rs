//! What one turn of a connection gathers: replies, accepted records, log lines.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

use herd::flood::{Accepted, NeighborId};
use herd::log::{self, Level, Stamp, escape_into};
use herd::protocol::Nanos;
use herd::records::Record;

use super::Shared;

/// Bytes read in one turn, at most.
const READ_BYTES: usize = 64 * 1024;

/// A buffer that grew beyond this (bytes) is given back after the turn.
const KEPT_BYTES: usize = 512 * 1024;

thread_local! {
    /// A turn never waits, so one desk serves all the connections of a thread of the runtime, and a connection
    /// that is idle holds no buffer.
    static DESK: RefCell<Desk> = RefCell::new(Desk { input: Vec::new(), turn: Turn::new() });
}

/// The buffers that the turns of a thread share.
pub(super) struct Desk {
    input: Vec<u8>,
    pub(super) turn: Turn,
}

/// What one turn of a connection gathers, to be handed over at its end.
pub(super) struct Turn {
    /// The clock as the turn began.
    pub(super) now: Nanos,
    wall: SystemTime,
    /// Replies, in order.
    pub(super) replies: Vec<u8>,
    accepted: Vec<Accepted>,
    lines: Vec<u8>,
    line_count: usize,
    log_clock: log::Clock,
    /// The text of `wall`, once a line needs it.
    stamp: Option<Stamp>,
}

impl Desk {
    /// The desk of this thread. `work` must not ask for it again.
    pub(super) fn with<T>(work: impl FnOnce(&mut Self) -> T) -> T {
        DESK.with_borrow_mut(work)
    }

    /// A buffer with what was carried over from the last turn in front, and room for a read behind it.
    pub(super) fn lay(&mut self, carried: &[u8]) -> (&mut [u8], &mut Turn) {
        let length = carried.len() + READ_BYTES;
        if self.input.len() < length {
            self.input.resize(length, 0);
        }
        self.input[..carried.len()].copy_from_slice(carried);
        (&mut self.input[..length], &mut self.turn)
    }
}

impl Turn {
    fn new() -> Self {
        Self {
            now: Nanos(0),
            wall: UNIX_EPOCH,
            replies: Vec::new(),
            accepted: Vec::new(),
            lines: Vec::new(),
            line_count: 0,
            log_clock: log::Clock::new(),
            stamp: None,
        }
    }

    /// Begins anew: reads the clock, which before the epoch shows 0.
    pub(super) fn begin(&mut self) {
        self.wall = SystemTime::now();
        let since = self.wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.now = Nanos(since.as_nanos().try_into().unwrap_or(i64::MAX));
        self.stamp = None;
        self.replies.clear();
        self.replies.shrink_to(KEPT_BYTES);
        // One that panicked may have left something.
        self.accepted.clear();
        self.lines.clear();
        self.line_count = 0;
    }

    /// Takes note of a record that was accepted as newer. A server without neighbors floods nothing.
    pub(super) fn accept(&mut self, shared: &Shared, record: &Record, from: Option<NeighborId>) {
        if shared.flood.has_links() {
            self.accepted.push(Accepted { record: record.clone(), from });
        }
    }

    /// Hands accepted records to the links and lines to the log: before the replies are written, since an AT
    /// reply says that its record is on its way.
    pub(super) fn hand_over(&mut self, shared: &Shared) {
        if !self.accepted.is_empty() {
            shared.flood.pass_on(&self.accepted);
        }
        if self.line_count > 0 {
            shared.log.traffic(&self.lines, self.line_count);
            self.lines.clear();
            self.lines.shrink_to(KEPT_BYTES);
        }
    }

    /// Logs a command and its reply, which stands in `replies` from `start` on; places as a byte count.
    pub(super) fn log_exchange(&mut self, shared: &Shared, peer: &str, line: &[u8], start: usize) {
        if !shared.log.wants_traffic() {
            return;
        }
        self.begin_line(peer);
        let reply = &self.replies[start..];
        let (first, places) = reply.split_at(memchr::memchr(b'\n', reply).unwrap_or(reply.len()));
        escape_into(line, &mut self.lines);
        self.lines.extend_from_slice(b" -> ");
        escape_into(first, &mut self.lines);
        let places = places.trim_ascii().len();
        if places > 0 {
            self.lines.extend_from_slice(format!(" + {places} bytes of places").as_bytes());
        }
        self.end_line();
    }

    /// Logs an UPDATE.
    pub(super) fn log_update(&mut self, shared: &Shared, peer: &str, line: &[u8]) {
        if shared.log.wants_traffic() {
            self.begin_line(peer);
            escape_into(line, &mut self.lines);
            self.end_line();
        }
    }

    fn begin_line(&mut self, peer: &str) {
        let stamp = *self.stamp.get_or_insert_with(|| self.log_clock.stamp(self.wall));
        stamp.begin(Level::Info, &mut self.lines);
        self.lines.extend_from_slice(peer.as_bytes());
        self.lines.push(b' ');
    }

    fn end_line(&mut self) {
        self.lines.push(b'\n');
        self.line_count += 1;
    }
}
