//! The log's thread: takes what waits, and writes it, whatever the disk does.

use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ::log::Level;

use super::backlog::{Backlog, Dropped, Limits, empty_buffer};
use super::line::{Stamp, write_event};

/// A buffer that a burst made use of beyond this is given back, not kept.
const KEPT_BYTES: usize = 2 << 20;

/// Where lines go.
pub(super) trait Sink: Send {
    /// Writes whole lines, in order. May block as long as a disk does.
    ///
    /// # Errors
    ///
    /// With how many bytes of whole lines, from the front, were written all the same.
    fn write(&mut self, lines: &[u8]) -> Result<(), Failure>;
}

/// A write that failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) written: usize,
    pub(super) error: io::Error,
}

/// Where the log's own trouble is told: standard error.
pub(super) type Report = Box<dyn FnMut(&dyn Display) + Send>;

/// The state of the log's thread.
pub(super) struct Writer<S> {
    backlog: Arc<Backlog>,
    limits: Limits,
    sink: S,
    report: Report,
    hand: Vec<u8>,
    /// Dropped and not yet said so in the log.
    unsaid: Dropped,
    notices: Pace,
    reports: Pace,
    /// Lines that the disk did not take before the log closed, and its last word.
    lost: Option<Lost>,
}

/// What a closing log could not write.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) lines: u64,
    pub(super) error: io::Error,
}

impl<S: Sink> Writer<S> {
    pub(super) fn new(backlog: Arc<Backlog>, limits: Limits, sink: S, report: Report) -> Self {
        Self {
            backlog,
            limits,
            sink,
            report,
            hand: empty_buffer(limits.capacity),
            unsaid: Dropped::default(),
            notices: Pace::new(limits.notice),
            reports: Pace::new(limits.report),
            lost: None,
        }
    }

    /// Writes until the log is closed and all that waited is written, or lost to a failing disk.
    pub(super) fn run(mut self) -> Option<Lost> {
        loop {
            let notice_due = if self.unsaid.any() { self.notices.due() } else { None };
            let taken = self.backlog.take(&mut self.hand, notice_due);
            self.unsaid += taken.dropped;
            if self.unsaid.any() && (self.notices.pass(Instant::now()) || taken.closing) {
                self.say_dropped();
            }
            self.write_out();
            if taken.closing {
                return self.lost;
            }
            self.empty_hand();
        }
    }

    fn say_dropped(&mut self) {
        let Dropped { traffic, events } = std::mem::take(&mut self.unsaid);
        write_event(
            Stamp::of(SystemTime::now()),
            Level::Warn,
            format_args!(
                "log dropped {traffic} traffic lines and {events} events: it grew faster than the disk took it"
            ),
            &mut self.hand,
        );
    }

    /// Writes what is in hand, again and again while the disk fails; what waits meanwhile is
    /// bounded by the backlog. A log that is closing gets one more try.
    fn write_out(&mut self) {
        let mut written = 0;
        let mut last_try = false;
        while written < self.hand.len() {
            let Err(failure) = self.sink.write(&self.hand[written..]) else { return };
            written += failure.written;
            if last_try {
                self.lose(written, failure.error);
                return;
            }
            self.report_failure(&failure.error);
            last_try = self.backlog.wait_for_close(self.limits.retry);
        }
    }

    fn lose(&mut self, written: usize, error: io::Error) {
        let lines = memchr::memchr_iter(b'\n', &self.hand[written..]).count() as u64;
        let before = self.lost.take().map_or(0, |lost| lost.lines);
        self.lost = Some(Lost { lines: before + lines, error });
    }

    fn report_failure(&mut self, error: &io::Error) {
        if self.reports.pass(Instant::now()) {
            let capacity = self.limits.capacity >> 20;
            (self.report)(&format_args!(
                "{error}; lines wait, over {capacity} MiB of them are dropped and counted"
            ));
        }
    }

    fn empty_hand(&mut self) {
        if self.hand.len() > KEPT_BYTES {
            self.hand = empty_buffer(self.limits.capacity);
        }
        self.hand.clear();
    }
}

/// Lets something happen at most once in so long.
#[derive(Debug)]
struct Pace {
    every: Duration,
    last: Option<Instant>,
}

impl Pace {
    fn new(every: Duration) -> Self {
        Self { every, last: None }
    }

    /// The earliest time of the next; `None` if there was none yet.
    fn due(&self) -> Option<Instant> {
        self.last.map(|last| last + self.every)
    }

    /// True if it may happen now; then it is taken to have happened.
    fn pass(&mut self, now: Instant) -> bool {
        let may = self.due().is_none_or(|due| now >= due);
        if may {
            self.last = Some(now);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_lets_one_pass_in_its_time() {
        let start = Instant::now();
        let mut pace = Pace::new(Duration::from_secs(60));
        assert!(pace.pass(start));
        assert!(!pace.pass(start + Duration::from_secs(59)));
        assert!(pace.pass(start + Duration::from_secs(60)));
        assert!(!pace.pass(start + Duration::from_secs(61)));
    }
}
