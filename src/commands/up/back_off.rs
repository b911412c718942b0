//! How long to wait before a server that died is started again.

use std::time::Duration;

/// The first wait: short, since most often one restart is all it takes.
const FIRST: Duration = Duration::from_millis(250);

/// The longest wait: a server that cannot run costs one attempt in so long.
const LONGEST: Duration = Duration::from_secs(10);

/// A server that ran for so long was well: its next death is a new trouble.
const WELL_AFTER: Duration = Duration::from_secs(30);

/// 250 ms, doubled each time to 10 s; from the start again after a run of 30 s.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BackOff {
    last: Option<Duration>,
}

impl BackOff {
    /// The wait after a run that took so long.
    pub(super) fn after(&mut self, ran: Duration) -> Duration {
        let wait = match self.last {
            Some(last) if ran < WELL_AFTER => (last * 2).min(LONGEST),
            _ => FIRST,
        };
        self.last = Some(wait);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_to_ten_seconds_and_starts_again_after_a_long_run() {
        let mut back_off = BackOff::default();
        let mut after = |ran| back_off.after(Duration::from_secs(ran)).as_millis();
        let waits: Vec<_> = (0..8).map(|_| after(29)).collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
        assert_eq!(after(30), 250);
        assert_eq!(after(0), 500);
    }

    #[test]
    fn the_first_wait_is_short_however_long_the_server_ran() {
        assert_eq!(BackOff::default().after(Duration::ZERO), FIRST);
        assert_eq!(BackOff::default().after(Duration::from_secs(3600)), FIRST);
    }
}
