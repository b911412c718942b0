//! What waits to be written: one bounded buffer between those who log and the log's thread.
//!
//! Who logs copies whole lines in under a short lock, or finds the buffer full and drops them; the
//! log's thread swaps the whole buffer against an empty one. Neither holds the lock for longer
//! than a copy, so a stalled disk is felt by the log's thread alone.

use std::ops::AddAssign;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

/// The sizes and times of a log. One set of values serves; tests take smaller ones.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Bytes of waiting lines over which traffic is dropped; events are at twice as many.
    pub(super) capacity: usize,
    /// Waiting bytes that are worth a write at once.
    pub(super) batch: usize,
    /// How long fewer bytes wait for company.
    pub(super) delay: Duration,
    /// How long after a failed write the next is tried.
    pub(super) retry: Duration,
    /// How far apart two lines that say how many were dropped are at least.
    pub(super) notice: Duration,
    /// How far apart two reports of a failing disk on standard error are at least.
    pub(super) report: Duration,
}

impl Limits {
    /// What servers use.
    pub(super) const SERVER: Self = Self {
        // 16 MiB hold about 110,000 exchanges: a stall of 280 ms at 400,000 a second. What a
        // stalled disk costs in memory is twice that, waiting and in hand; more would ride out a
        // longer stall.
        capacity: 16 << 20,
        // Each write wakes the log's thread, which takes a core from a worker. Server CPU for 16 clients x 64
        // requests with 64 KiB, 256 KiB, 1 MiB: 1.57, 1.38, 1.31 us a request.
        batch: 512 << 10,
        delay: Duration::from_millis(200),
        retry: Duration::from_secs(1),
        notice: Duration::from_secs(1),
        report: Duration::from_secs(60),
    };
}

/// Lines that were not kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Dropped {
    pub(super) traffic: u64,
    pub(super) events: u64,
}

impl Dropped {
    pub(super) fn any(self) -> bool {
        self != Self::default()
    }

    pub(super) fn lines(self) -> u64 {
        self.traffic + self.events
    }
}

impl AddAssign for Dropped {
    fn add_assign(&mut self, more: Self) {
        self.traffic += more.traffic;
        self.events += more.events;
    }
}

/// The buffer and who waits at it.
#[derive(Debug)]
pub(super) struct Backlog {
    limits: Limits,
    state: Mutex<State>,
    /// A line came while the writer had nothing to wait for, enough for a write came, or the log is closing.
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    lines: Vec<u8>,
    /// The writer waits for whatever comes first. Else it looks by itself after `delay`, and one line tells it nothing.
    is_idle: bool,
    /// Since the last `take`.
    dropped: Dropped,
    dropped_before: Dropped,
    closing: bool,
}

/// What `take` got beside the lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    /// Dropped after these lines came, for want of room.
    pub(super) dropped: Dropped,
    /// Nothing will come after these lines.
    pub(super) closing: bool,
}

impl Backlog {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: Mutex::new(State {
                lines: empty_buffer(limits.capacity),
                is_idle: false,
                dropped: Dropped::default(),
                dropped_before: Dropped::default(),
                closing: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// Adds whole lines, or drops and counts all `count` of them when there is no room.
    pub(super) fn add_traffic(&self, lines: &[u8], count: usize) {
        let dropped = Dropped { traffic: count as u64, events: 0 };
        self.add(lines, self.limits.capacity, dropped);
    }

    /// Adds one event, for which there is twice the room.
    pub(super) fn add_event(&self, line: &[u8]) {
        self.add(line, 2 * self.limits.capacity, Dropped { traffic: 0, events: 1 });
    }

    fn add(&self, lines: &[u8], room: usize, otherwise: Dropped) {
        let mut state = self.state.lock();
        let before = state.lines.len();
        if state.closing || before + lines.len() > room {
            state.dropped += otherwise;
            return;
        }
        state.lines.extend_from_slice(lines);
        let is_enough = before < self.limits.batch && state.lines.len() >= self.limits.batch;
        let is_awaited = std::mem::take(&mut state.is_idle);
        drop(state);
        if is_enough || is_awaited {
            self.changed.notify_one();
        }
    }

    /// Waits until enough lines for a write are there, or for `delay`, or, if there is none even then, for `delay`
    /// after the first, and swaps them for the empty buffer `hand`. Comes back without lines at `until`, or up to
    /// `delay` later.
    pub(super) fn take(&self, hand: &mut Vec<u8>, until: Option<Instant>) -> Taken {
        let mut state = self.state.lock();
        self.gather(&mut state);
        if state.lines.is_empty() && !state.closing {
            state.is_idle = true;
            while state.is_idle && !state.closing {
                match until {
                    None => self.changed.wait(&mut state),
                    Some(until) if self.changed.wait_until(&mut state, until).timed_out() => break,
                    Some(_) => {}
                }
            }
            state.is_idle = false;
            if !state.lines.is_empty() {
                self.gather(&mut state);
            }
        }
        std::mem::swap(&mut state.lines, hand);
        let dropped = std::mem::take(&mut state.dropped);
        state.dropped_before += dropped;
        Taken { dropped, closing: state.closing }
    }

    /// Waits until enough lines for a write are there, at most for `delay`.
    fn gather(&self, state: &mut MutexGuard<'_, State>) {
        let due = Instant::now() + self.limits.delay;
        while state.lines.len() < self.limits.batch && !state.closing {
            if self.changed.wait_until(state, due).timed_out() {
                return;
            }
        }
    }

    /// Waits for the log to close, at most so long; true if it closes.
    pub(super) fn wait_for_close(&self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        let mut state = self.state.lock();
        while !state.closing {
            if self.changed.wait_until(&mut state, until).timed_out() {
                break;
            }
        }
        state.closing
    }

    /// From now on lines are dropped, and `take` no longer waits.
    pub(super) fn close(&self) {
        self.state.lock().closing = true;
        self.changed.notify_one();
    }

    /// All lines dropped so far.
    pub(super) fn dropped(&self) -> Dropped {
        let state = self.state.lock();
        let mut all = state.dropped_before;
        all += state.dropped;
        all
    }
}

/// A buffer that need not grow under the lock for traffic. Pages never written to cost nothing.
pub(super) fn empty_buffer(capacity: usize) -> Vec<u8> {
    Vec::with_capacity(capacity)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backlog(capacity: usize) -> Backlog {
        let delay = Duration::ZERO;
        Backlog::new(Limits { capacity, delay, batch: 4, ..Limits::SERVER })
    }

    fn taken(backlog: &Backlog) -> (Vec<u8>, Dropped) {
        let mut hand = Vec::new();
        let taken = backlog.take(&mut hand, Some(Instant::now()));
        (hand, taken.dropped)
    }

    #[test]
    fn lines_come_out_in_the_order_they_went_in() {
        let backlog = backlog(100);
        backlog.add_traffic(b"one\ntwo\n", 2);
        backlog.add_event(b"three\n");
        backlog.add_traffic(b"four\n", 1);
        assert_eq!(taken(&backlog), (b"one\ntwo\nthree\nfour\n".to_vec(), Dropped::default()));
        assert_eq!(taken(&backlog), (Vec::new(), Dropped::default()));
    }

    #[test]
    fn traffic_without_room_is_dropped_whole_and_counted() {
        let backlog = backlog(10);
        backlog.add_traffic(b"12345678\n", 1);
        backlog.add_traffic(b"1\n2\n", 2);
        backlog.add_traffic(b"\n", 1);
        let (lines, dropped) = taken(&backlog);
        assert_eq!(lines, b"12345678\n\n");
        assert_eq!(dropped, Dropped { traffic: 2, events: 0 });
    }

    #[test]
    fn events_have_twice_the_room_of_traffic() {
        let backlog = backlog(10);
        backlog.add_traffic(b"123456789\n", 1);
        backlog.add_event(b"abcdefghi\n");
        backlog.add_event(b"over\n");
        let (lines, dropped) = taken(&backlog);
        assert_eq!(lines, b"123456789\nabcdefghi\n");
        assert_eq!(dropped, Dropped { traffic: 0, events: 1 });
        assert_eq!(backlog.dropped(), Dropped { traffic: 0, events: 1 });
    }

    #[test]
    fn a_closed_backlog_gives_what_it_holds_and_takes_no_more() {
        let backlog = backlog(100);
        backlog.add_traffic(b"before\n", 1);
        backlog.close();
        backlog.add_traffic(b"after\n", 1);
        let mut hand = Vec::new();
        let taken = backlog.take(&mut hand, None);
        assert!(taken.closing);
        assert_eq!(hand, b"before\n");
        assert_eq!(taken.dropped.lines(), 1);
        assert!(backlog.wait_for_close(Duration::from_secs(3600)));
    }

    #[test]
    fn a_writer_that_waits_for_company_wakes_when_a_batch_is_there() {
        let delay = Duration::from_secs(3600);
        let limits = Limits { delay, batch: 8, ..Limits::SERVER };
        let backlog = Backlog::new(limits);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut hand = Vec::new();
                backlog.take(&mut hand, None);
                hand
            });
            for _ in 0..4 {
                backlog.add_traffic(b"x\n", 1);
            }
            assert_eq!(writer.join().unwrap(), b"x\nx\nx\nx\n");
        });
    }
}
