//! The waits between the dials of one link.

use std::io;
use std::time::{Duration, Instant};

use ::log::Level;

use super::link::Neighbor;
use crate::log::Log;

/// First wait between two dials; doubles up to the last.
pub const FIRST: Duration = Duration::from_millis(50);

/// Longest wait between two dials: a neighbor that comes back is heard within a second or so.
pub const LAST: Duration = Duration::from_secs(1);

/// The same reason is logged again only after so long.
const SAY_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Waits between dials, and says in the log why the last one failed, but the same reason once a
/// minute only.
#[derive(Debug, Default)]
pub struct BackOff {
    wait: Option<Duration>,
    said: Option<(String, Instant)>,
}

impl BackOff {
    /// The neighbor answered as it should.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// The neighbor is there, whether or not it can be dialed: the next wait is the first again.
    pub fn hurry(&mut self) {
        self.wait = None;
    }

    /// The next wait: 50 ms doubling to 1 s, each cut by up to a half at random, so that servers
    /// that went down together do not dial in step.
    pub fn next_wait(&mut self) -> Duration {
        let wait = self.wait.map_or(FIRST, |wait| (wait * 2).min(LAST));
        self.wait = Some(wait);
        wait.mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    /// Logs why a dial failed, or a link went down.
    pub fn note(&mut self, neighbor: &Neighbor, error: &io::Error, log: &Log) {
        let reason = error.to_string();
        let is_repeated = self
            .said
            .as_ref()
            .is_some_and(|(said, when)| *said == reason && when.elapsed() < SAY_AGAIN_AFTER);
        if !is_repeated {
            let Neighbor { name, address, .. } = neighbor;
            log.event(Level::Warn, format_args!("link {name}: {address}: {reason}; redialing"));
            self.said = Some((reason, Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_50_ms_to_a_second_and_begin_again_when_the_neighbor_is_heard() {
        let mut back_off = BackOff::default();
        for whole in [50, 100, 200, 400, 800, 1000, 1000].map(Duration::from_millis) {
            let wait = back_off.next_wait();
            assert!((whole / 2..=whole).contains(&wait), "{wait:?} of {whole:?}");
        }
        back_off.hurry();
        assert!(back_off.next_wait() <= FIRST);
        assert!(back_off.next_wait() <= FIRST * 2);
        back_off.reset();
        assert!(back_off.next_wait() <= FIRST);
    }
}
