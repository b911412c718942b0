//! What a thread of the generator counts.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::connection::Answered;

/// Latencies up to this are told apart, in nanoseconds; longer ones count as this.
const LONGEST_NANOS: u64 = 60_000_000_000;
/// Digits of a latency that are kept: 0.1 %.
const DIGITS: u8 = 3;

/// The measured time, in nanoseconds from the start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// What is before it is warm-up.
    pub(super) from: u64,
    /// Nothing is sent after it.
    pub(super) until: u64,
    /// When replies that are still missing are no longer waited for.
    pub(super) give_up: u64,
}

impl Window {
    pub(super) fn holds(&self, nanos: u64) -> bool {
        (self.from..self.until).contains(&nanos)
    }
}

/// The count of one thread, or of all.
#[derive(Debug)]
pub(super) struct Tally {
    /// Replies that came in the window.
    pub(super) answered: u64,
    /// Latencies of the requests that were due in the window, whenever they were answered.
    pub(super) latency: Histogram<u64>,
    /// How late the generator itself was with a request, at a fixed rate.
    pub(super) lateness: Histogram<u64>,
    /// Wrong replies.
    pub(super) errors: u64,
    pub(super) first_error: Option<String>,
    /// WHATSAT replies that say why there are no places.
    pub(super) without_places: u64,
    /// Requests that were never answered.
    pub(super) missing: u64,
    /// Connections that ended before the end.
    pub(super) ended: u64,
    /// Idle connections that did.
    pub(super) idle_ended: u64,
    /// Replies of each connection in the window.
    pub(super) per_connection: Vec<u64>,
    /// CPU time of the generator in the window.
    pub(super) cpu: Duration,
}

/// For latencies in nanoseconds; all have the same bounds, so that they can be merged.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_NANOS, DIGITS).expect("the bounds are in order")
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            answered: 0,
            latency: histogram(),
            lateness: histogram(),
            errors: 0,
            without_places: 0,
            first_error: None,
            missing: 0,
            ended: 0,
            idle_ended: 0,
            per_connection: Vec::new(),
            cpu: Duration::ZERO,
        }
    }

    pub(super) fn answered(&mut self, answered: &Answered, now: u64, window: &Window) {
        if window.holds(now) {
            self.answered += answered.count;
        }
        if window.holds(answered.due) {
            let nanos = now.saturating_sub(answered.due);
            self.latency.saturating_record_n(nanos, answered.count);
        }
    }

    pub(super) fn late(&mut self, nanos: u64, window: &Window, now: u64) {
        if window.holds(now) {
            self.lateness.saturating_record(nanos);
        }
    }

    pub(super) fn wrong(&mut self, reply: &[u8]) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| format!("\"{}\"", reply.escape_ascii()));
    }

    pub(super) fn ended(&mut self, unanswered: u64, answered: u64, reason: &str) {
        self.ended += 1;
        self.missing += unanswered;
        self.per_connection.push(answered);
        self.first_error.get_or_insert_with(|| reason.to_string());
    }

    pub(super) fn add(&mut self, other: Self) {
        self.answered += other.answered;
        self.latency.add(&other.latency).expect("all have the same bounds");
        self.lateness.add(&other.lateness).expect("all have the same bounds");
        self.errors += other.errors;
        self.without_places += other.without_places;
        self.first_error = self.first_error.take().or(other.first_error);
        self.missing += other.missing;
        self.ended += other.ended;
        self.idle_ended += other.idle_ended;
        self.per_connection.extend(other.per_connection);
        self.cpu += other.cpu;
    }
}
